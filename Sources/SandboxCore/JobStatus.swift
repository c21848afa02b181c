// What can be said of a job before and after its end.

/// How a job ended: with the program's fate, or with the farm's failure.
public enum JobEnd: Sendable, Equatable {
    case result(JobResult)
    case failed(FarmError)
}

public enum JobState: String, Sendable, Equatable, CaseIterable {
    case queued, running, done
}

/// One job as `job.get` and `job.list` tell of it.
public struct JobStatus: Sendable, Equatable {
    public var job: JobID
    public var state: JobState
    public var pool: String
    public var labels: Labels
    public var submittedMsAgo: Int
    /// There where `state` is `done` and one job was asked for, not a list.
    public var end: JobEnd?

    public init(
        job: JobID, state: JobState, pool: String, labels: Labels = Labels(), submittedMsAgo: Int, end: JobEnd? = nil
    ) {
        self.job = job
        self.state = state
        self.pool = pool
        self.labels = labels
        self.submittedMsAgo = submittedMsAgo
        self.end = end
    }
}
