// What goes into the scheduler and what comes out: a ticket for each job, and actions for the engine to carry out.
// The scheduler knows a job by its ticket alone; what the job does is not its business.

import SandboxCore

/// A job as the scheduler sees it.
public struct Ticket: Sendable, Equatable {
    public var job: JobID
    public var pool: String
    /// The unit of fair sharing. Jobs without a label share one group of their own.
    public var group: String?
    /// Higher starts earlier within its group.
    public var priority: Int8
    /// Nanoseconds on the caller's clock; `nil`: none.
    public var deadline: Int?

    public init(job: JobID, pool: String, group: String? = nil, priority: Int8 = 0, deadline: Int? = nil) {
        self.job = job
        self.pool = pool
        self.group = group
        self.priority = priority
        self.deadline = deadline
    }
}

/// What the engine has to do now. Each admitted job gets exactly one `start` or exactly one `discard`.
public enum Action: Sendable, Equatable {
    /// The job holds a place in its pool until `Scheduler.finished` is called for it.
    case start(JobID)
    /// The job was queued and is gone. The scheduler has forgotten it.
    case discard(JobID, by: Canceller)
    /// The job holds a place and is to be ended; `Scheduler.finished` is still called for it. Said once per job.
    case stop(JobID, by: Canceller)
}

/// Where a job is, as long as the scheduler knows it.
public enum Place: Sendable, Equatable { case queued, running }

/// A pool's bounds and what is in it.
public struct PoolCounts: Sendable, Equatable {
    public var name: String
    public var state: PoolState
    /// Jobs that may run at once.
    public var size: Int
    /// Jobs that may wait.
    public var queue: Int
    public var queued: Int
    public var running: Int
    /// Groups with a job waiting.
    public var groups: Int
}
