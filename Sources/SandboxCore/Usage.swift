// What a job used, in the words of `Limits`, and where its time went.

/// Measured use of one job. A figure the host could not measure is `nil`, never zero.
public struct Usage: Sendable, Equatable {
    public var wallTimeMs: Double = 0
    public var cpuTimeMs: Double = 0
    public var peakMemoryBytes: Int?
    public var peakProcesses: Int?
    /// Bytes and inodes in the writable layer when the job ended.
    public var diskBytes: Int?
    public var diskInodes: Int?
    /// Time the job's processes were ready to run but not running (throttled or the machine was busy).
    public var throttledMs: Double?
    public var stages = Stages()

    public init() {}
}

/// Where a job's time went, in milliseconds: waiting for its turn, making its sandbox, running, tidying up.
public struct Stages: Sendable, Equatable {
    public var queuedMs: Double = 0
    public var setupMs: Double = 0
    public var runMs: Double = 0
    public var teardownMs: Double = 0

    public init() {}
}
