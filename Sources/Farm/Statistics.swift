// What the farm counts: jobs by their end, and where their time went.

import SandboxCore

/// Everything the farm counts; `farm.stats` is what operators get to see of it.
public struct FarmFigures: Sendable, Equatable {
    public var uptimeMs: Int
    public var queued: Int
    public var running: Int
    /// Jobs that were admitted, and those of them that got their place.
    public var submitted: Int
    public var started: Int
    /// Results by the outcome's word on the wire: `exited`, `limit_exceeded`…
    public var ended: [String: Int]
    public var rejected: [Rejected.Code: Int]
    public var failed: [FarmError.Code: Int]
    /// Ends per second, over the last ten seconds.
    public var jobsPerSecond: Double
    public var heldBytes: Int
    public var retainedResults: Int
    public var retainedBytes: Int
    public var blobs: Int
    public var blobBytes: Int
    public var stages: StageHistograms
}

/// A histogram for each stage of the jobs that were started and had a result.
public struct StageHistograms: Sendable, Equatable {
    public var queued = Histogram()
    public var setup = Histogram()
    public var run = Histogram()
    public var teardown = Histogram()

    var times: [String: StageTimes] {
        ["queued": queued, "setup": setup, "run": run, "teardown": teardown].mapValues {
            StageTimes(p50Ms: $0.quantile(0.5) ?? 0, p99Ms: $0.quantile(0.99) ?? 0, maxMs: $0.quantile(1) ?? 0)
        }
    }

    mutating func record(_ stages: Stages) {
        queued.record(milliseconds: stages.queuedMs)
        // A job that was cancelled before it had a sandbox says nothing of what sandboxes cost.
        guard stages.setupMs > 0 else { return }
        setup.record(milliseconds: stages.setupMs)
        run.record(milliseconds: stages.runMs)
        teardown.record(milliseconds: stages.teardownMs)
    }
}

/// Times in fixed buckets, four to each doubling from a microsecond on: any value read from it is less than 25 % too
/// high, and two histograms can be added.
public struct Histogram: Sendable, Equatable {
    /// How many times fell into each bucket; `upperBoundMs(of:)` says which.
    public private(set) var counts = [Int](repeating: 0, count: 168)
    public private(set) var count = 0
    public private(set) var sumMs = 0.0

    public init() {}

    public mutating func record(milliseconds: Double) {
        let microseconds = Int(min(max(milliseconds * 1_000, 0), 1e12).rounded(.up))
        counts[min(Self.bucket(of: microseconds), counts.count - 1)] += 1
        count += 1
        sumMs += max(milliseconds, 0)
    }

    /// The time that `share` (0…1) of all recorded ones did not exceed; `nil` when there are none.
    public func quantile(_ share: Double) -> Double? {
        guard count > 0 else { return nil }
        let rank = max(1, Int((share * Double(count)).rounded(.up)))
        var seen = 0
        for (bucket, number) in counts.enumerated() {
            seen += number
            if seen >= rank { return Self.upperBoundMs(of: bucket) }
        }
        return Self.upperBoundMs(of: counts.count - 1)
    }

    /// The largest time that falls into a bucket, in milliseconds.
    public static func upperBoundMs(of bucket: Int) -> Double {
        guard bucket >= 4 else { return Double(bucket) / 1_000 }
        let (doubling, quarter) = (bucket / 4 + 1, bucket % 4)
        return Double((4 + quarter + 1) << (doubling - 2) - 1) / 1_000
    }

    /// 0…3 stand for themselves; from 4 on the highest bit and the two below it decide.
    private static func bucket(of microseconds: Int) -> Int {
        guard microseconds >= 4 else { return microseconds }
        let doubling = Int.bitWidth - 1 - microseconds.leadingZeroBitCount
        return 4 * (doubling - 1) + (microseconds >> (doubling - 2)) & 3
    }
}

struct Counters: Sendable {
    var submitted = 0
    var started = 0
    var ended: [String: Int] = [:]
    /// Ends of any kind, by pool.
    var endedInPool: [String: Int] = [:]
    var rejected: [Rejected.Code: Int] = [:]
    var failed: [FarmError.Code: Int] = [:]
    var stages = StageHistograms()
    private let startedAt: Int
    /// Ends in each of the last seconds, by the second modulo the array's length.
    private var seconds = [(second: Int, ends: Int)](repeating: (-1, 0), count: 11)

    init(startedAt: Int) { self.startedAt = startedAt }

    mutating func count(_ end: JobEnd, pool: String, neverStarted: Bool, now: Int) {
        switch end {
        case .result(let result): ended[result.outcome.word, default: 0] += 1
        case .failed(let error): failed[error.code, default: 0] += 1
        }
        endedInPool[pool, default: 0] += 1
        guard !neverStarted else { return }
        let second = now / 1_000_000_000
        let index = second % seconds.count
        if seconds[index].second != second { seconds[index] = (second, 0) }
        seconds[index].ends += 1
    }

    /// Over the last ten whole seconds, or since the start if that is less.
    func jobsPerSecond(now: Int) -> Double {
        let second = now / 1_000_000_000
        let first = max(second - 10, startedAt / 1_000_000_000)
        let recent = seconds.filter { $0.second >= first && $0.second <= second }.reduce(0) { $0 + $1.ends }
        let span = Double(now - max(first * 1_000_000_000, startedAt)) / 1e9
        return span > 0 ? Double(recent) / max(span, 1) : 0
    }
}

extension Outcome {
    /// Its word on the wire.
    var word: String {
        switch self {
        case .exited: "exited"
        case .signaled: "signaled"
        case .limitExceeded: "limit_exceeded"
        case .syscallDenied: "syscall_denied"
        case .cancelled: "cancelled"
        }
    }
}
