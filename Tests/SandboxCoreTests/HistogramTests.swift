// Durations in buckets.

import SandboxCore
import Testing

@Suite("A histogram of durations")
struct HistogramTests {
    private func histogram(_ times: [Int]) -> Histogram { times.reduce(into: Histogram()) { $0.record($1) } }

    @Test("has bounds from a microsecond to minutes, each at most 28 % above the one before")
    func bounds() {
        #expect(Histogram.bounds.first == 1_000 && Histogram.bounds.last == 1_000_000_000_000)
        for (bound, next) in zip(Histogram.bounds, Histogram.bounds.dropFirst()) {
            #expect(next > bound && Double(next) / Double(bound) < 1.281)
        }
        #expect(Histogram.coarseBounds.prefix(5) == [1_000, 2_000, 5_000, 10_000, 20_000] && Histogram.coarseBounds.count == 28)
    }

    @Test("reads quantiles that are never too low and less than 28 % too high", arguments: [0.0, 0.5, 0.9, 0.99, 1])
    func quantiles(_ share: Double) {
        let times = (1...10_000).map { $0 * 7_919 % 10_007 * 13_000 }
        let exact = times.sorted()[max(1, Int((share * Double(times.count)).rounded(.up))) - 1]
        let read = histogram(times).quantile(share)
        #expect(read >= exact && Double(read) < Double(max(exact, 1_000)) * 1.281)
    }

    @Test("knows its longest time, its sum and its count exactly, and takes what is out of all bounds")
    func ends() {
        let times = [-5, 0, 1, 1_000, 1_001, 3_600_000_000_000_000]
        let histogram = histogram(times)
        #expect(histogram.count == 6 && histogram.longest == times.last && histogram.sum == 3_600_000_000_002_002)
        #expect(histogram.quantile(1) == times.last && histogram.quantile(0) == 1_000)
        #expect(histogram.cumulative.first == 4 && histogram.cumulative.last == 5)
        #expect(Histogram().quantile(0.5) == 0 && Histogram().cumulative.allSatisfy { $0 == 0 })
    }

    @Test("a time that is a bound is within it", arguments: Histogram.coarseBounds.indices)
    func inclusive(_ index: Int) {
        let bound = Histogram.coarseBounds[index]
        #expect(histogram([bound]).cumulative[index] == 1 && histogram([bound + 1]).cumulative[index] == 0)
        #expect(histogram([bound]).quantile(0.5) == bound)
    }

    @Test("added to another is what recording all of it would have been")
    func added() {
        var sum = histogram([3_000, 5_000_000])
        sum.add(histogram([90_000, 4]))
        #expect(sum == histogram([4, 90_000, 3_000, 5_000_000]))
    }

    @Test("is shown without its empty buckets")
    func shown() {
        let shown = StageTimes(histogram([1_500_000, 1_600_000, 40_000_000, 5_000_000_000_000]))
        #expect(shown.buckets == [.init(upToMs: 2, count: 2), .init(upToMs: 50, count: 1), .init(upToMs: nil, count: 1)])
        #expect(shown.count == 4 && shown.p50Ms == 1.6 && shown.p90Ms == 5_000_000 && shown.maxMs == 5_000_000 && shown.sumMs == 5_000_043.1)
    }
}
