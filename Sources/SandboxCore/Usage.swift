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

/// Where a job's time went, in milliseconds, as its client saw it: what it waited for, one after the other. `Stage` tells
/// the same apart as an operator needs it.
public struct Stages: Sendable, Equatable {
    /// Waiting for its turn.
    public var queuedMs: Double = 0
    /// From then until its sandbox is there.
    public var setupMs: Double = 0
    /// Its steps, from the files that are placed to those that are brought back.
    public var runMs: Double = 0
    /// What the answer waited for its sandbox's end: nothing, because no process of it is left when its report is there.
    public var teardownMs: Double = 0

    public init() {}
}
