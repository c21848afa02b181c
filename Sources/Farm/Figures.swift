// Everything the farm counts, as one consistent picture. `farm.stats` and a scrape of its metrics show parts of it.

import SandboxCore

public struct FarmFigures: Sendable, Equatable {
    public var uptimeMs: Int
    public var queued: Int
    public var running: Int
    /// Whether the farm takes no more jobs because it is about to end.
    public var draining: Bool
    public var rejected: [Rejected.Code: Int]
    /// Ends per second, over the last ten seconds.
    public var jobsPerSecond: Double
    public var heldBytes: Int
    public var retainedResults: Int
    public var retainedBytes: Int
    public var blobs: Int
    public var blobBytes: Int
    public var compileCache: CompileCacheFigures
    /// In the order they were made.
    public var pools: [PoolFigures]
    /// Of a backend that counts for itself.
    public var backend: BackendFigures?

    public var submitted: Int { pools.reduce(0) { $0 + $1.jobs.submitted } }
    public var started: Int { pools.reduce(0) { $0 + $1.jobs.started } }
    public var ended: [OutcomeKind: Int] { sum(\.ended) }
    public var failed: [FarmError.Code: Int] { sum(\.failed) }
    public var stages: StageHistograms { pools.reduce(into: StageHistograms()) { $0.add($1.jobs.stages) } }

    private func sum<Key>(_ counts: KeyPath<JobCounts, [Key: Int]>) -> [Key: Int] {
        pools.reduce(into: [:]) { $0.merge($1.jobs[keyPath: counts], uniquingKeysWith: +) }
    }
}

public struct PoolFigures: Sendable, Equatable {
    public var pool: PoolStatus
    public var jobs: JobCounts
}

/// What became of one pool's jobs since the daemon started.
public struct JobCounts: Sendable, Equatable {
    /// Jobs that were admitted, and those of them that got their place.
    public var submitted = 0
    public var started = 0
    public var ended: [OutcomeKind: Int] = [:]
    /// Of `ended[.limitExceeded]`, by the limit.
    public var limits: [LimitName: Int] = [:]
    public var failed: [FarmError.Code: Int] = [:]
    /// Of the jobs that had a result; all but `queue` only of those among them that had a sandbox.
    public var stages = StageHistograms()

    public init() {}

    /// Ends of any kind.
    var ends: Int { ended.values.reduce(0, +) + failed.values.reduce(0, +) }

    mutating func count(_ end: JobEnd) {
        switch end {
        case .result(let result):
            ended[result.outcome.kind, default: 0] += 1
            if case .limitExceeded(let limit, _, _) = result.outcome { limits[limit, default: 0] += 1 }
        case .failed(let error): failed[error.code, default: 0] += 1
        }
    }
}
