// Where jobs spend their time: the stages every job passes, in this order, with no time between them that is not counted.

public enum Stage: String, Sendable, Equatable, CaseIterable {
    /// From its submission until it has a place in its pool.
    case queue
    /// From then until it has a sandbox: next to nothing where one is kept ready.
    case lease
    /// What has to be there before its program can start: its files are read and placed, its limits set.
    case setup
    /// From its program's start to its end.
    case run
    /// From then until its result is whole: its processes ended, output and files brought back, its tests judged.
    case collect
    /// From its last step's report until its sandbox is gone and, where the next one is made in its place, that is
    /// ready. The answer does not wait for it.
    case teardown
}

/// A histogram for each stage.
public struct StageHistograms: Sendable, Equatable {
    public var queue = Histogram()
    public var lease = Histogram()
    public var setup = Histogram()
    public var run = Histogram()
    public var collect = Histogram()
    public var teardown = Histogram()

    public init() {}

    public subscript(stage: Stage) -> Histogram {
        switch stage {
        case .queue: queue
        case .lease: lease
        case .setup: setup
        case .run: run
        case .collect: collect
        case .teardown: teardown
        }
    }

    public mutating func add(_ other: StageHistograms) {
        queue.add(other.queue)
        lease.add(other.lease)
        setup.add(other.setup)
        run.add(other.run)
        collect.add(other.collect)
        teardown.add(other.teardown)
    }
}

/// What operators get to see of one stage's histogram, in milliseconds.
public struct StageTimes: Sendable, Equatable {
    /// How many took up to `upToMs` and longer than the bucket before; without a bound where they took longer than all.
    public struct Bucket: Sendable, Equatable {
        public var upToMs: Double?
        public var count: Int
        public init(upToMs: Double?, count: Int) {
            self.upToMs = upToMs
            self.count = count
        }
    }

    public var count: Int
    public var sumMs: Double
    public var p50Ms: Double
    public var p90Ms: Double
    public var p99Ms: Double
    public var maxMs: Double
    /// Those that are not empty, the shortest times first.
    public var buckets: [Bucket]

    public init(
        count: Int, sumMs: Double, p50Ms: Double, p90Ms: Double, p99Ms: Double, maxMs: Double, buckets: [Bucket] = []
    ) {
        self.count = count
        self.sumMs = sumMs
        self.p50Ms = p50Ms
        self.p90Ms = p90Ms
        self.p99Ms = p99Ms
        self.maxMs = maxMs
        self.buckets = buckets
    }

    public init(_ histogram: Histogram) {
        func milliseconds(_ nanoseconds: Int) -> Double { Double(nanoseconds) / 1_000_000 }
        var buckets: [Bucket] = []
        var before = 0
        for (bound, seen) in zip(Histogram.coarseBounds, histogram.cumulative) where seen > before {
            buckets.append(Bucket(upToMs: milliseconds(bound), count: seen - before))
            before = seen
        }
        if histogram.count > before { buckets.append(Bucket(upToMs: nil, count: histogram.count - before)) }
        self.init(
            count: histogram.count, sumMs: histogram.sum / 1_000_000, p50Ms: milliseconds(histogram.quantile(0.5)),
            p90Ms: milliseconds(histogram.quantile(0.9)), p99Ms: milliseconds(histogram.quantile(0.99)),
            maxMs: milliseconds(histogram.longest), buckets: buckets)
    }
}
