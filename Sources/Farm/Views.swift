// What the farm says about jobs, pools and itself: the shapes its public functions return.

import SandboxCore
import Scheduling

/// Who submitted a job; one per connection. Numbers are the caller's to choose and never reused.
public struct ClientID: Sendable, Hashable {
    public let number: UInt64
    public init(_ number: UInt64) { self.number = number }
}

/// How a job ended: with the program's fate, or with the farm's failure.
public enum JobEnd: Sendable, Equatable {
    case result(JobResult)
    case failed(FarmError)
}

public enum JobState: String, Sendable, Equatable, CaseIterable { case queued, running, done }

/// A job as `job.get` and `job.list` show it.
public struct JobStatus: Sendable, Equatable {
    public var job: JobID
    public var state: JobState
    public var pool: String
    public var labels: Labels
    public var submittedMsAgo: Int
    /// There when the state is `done`; `list` leaves it out.
    public var end: JobEnd?
}

/// A pool as `pool.list` shows it.
public struct PoolStatus: Sendable, Equatable {
    public var name: String
    public var state: PoolState
    public var backend: String
    public var image: String
    public var policy: String
    public var size: Int
    public var queue: Int
    public var queued: Int
    public var running: Int
    /// Groups with a job waiting.
    public var groups: Int
}

/// What `farm.info` knows from the farm; version and host facts are the composition root's.
public struct FarmInfo: Sendable, Equatable {
    public var backend: String
    public var pools: [PoolStatus]
    public var policies: [String]
    public var images: [String]
    public var languages: [String]
    public var unenforced: [Mechanism]
    public var uptimeMs: Int
    public var draining: Bool
}

/// A place among those who wait for a job; see `Farm.wait`.
public struct WaitID: Sendable, Hashable {
    let job: JobID
    let number: UInt64
}
