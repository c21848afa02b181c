// What the benchmarks make of their measurements.

import Measuring
import Testing

@Suite("Figures of the benchmarks")
struct FiguresTests {
    @Test("a quantile is the least value that the share does not exceed", arguments: [
        (share: 0.0, of: 1.0), (share: 0.5, of: 50.0), (share: 0.99, of: 99.0), (share: 0.999, of: 100.0), (share: 1.0, of: 100.0),
    ])
    func quantiles(_ expected: (share: Double, of: Double)) {
        #expect(quantile((1...100).reversed().map { Double($0) }, expected.share) == expected.of)
    }

    @Test("of one value every quantile is that value, and of none there is none")
    func fewValues() {
        #expect([0, 0.5, 0.99, 1].map { quantile([7], $0) } == [7, 7, 7, 7])
        #expect(quantile([], 0.5).isNaN && median([]).isNaN)
    }

    @Test("the median of an even number of values is between the two in the middle")
    func medians() {
        #expect(median([9, 1, 4]) == 4)
        #expect(median([9, 1, 4, 2]) == 3)
    }

    @Test("a ratio is taken within each round, so that a machine that slows down changes none of them")
    func turns() {
        var turns = Turns()
        turns.add(baseline: 1, farm: 2)
        turns.add(baseline: 10, farm: 20)
        turns.add(baseline: 100, farm: 300)
        #expect(turns.ratios == [2, 2, 3])
        let row = Row("1", key: "k", "work", turns, unit: "ms")
        #expect([row.value, row.baseline, row.ratio] == [20, 10, 2])
    }

    @Test("baseline and farm take turns, and in every second round the farm goes first")
    func order() async {
        var said = ""
        let turns = await Turns.measure(rounds: 3) {
            said += "b"
            return Double(said.count)
        } farm: {
            said += "f"
            return Double(said.count)
        }
        #expect(said == "bffbbf")
        #expect(turns.baseline == [1, 4, 5] && turns.farm == [2, 3, 6])
    }
}
