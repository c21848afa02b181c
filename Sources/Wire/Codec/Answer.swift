// What a call is answered with: one case per shape of result in docs/protocol.md, or one of the two failures.

import SandboxCore

/// The result of a call that was carried out.
public enum Answer: Sendable, Equatable {
    /// `job.run`, `job.wait`: how the job ended.
    case result(JobResult)
    /// `job.submit`
    case submitted(JobID)
    /// `job.wait` whose timeout passed, and `job.cancel` (the state the job was in when the cancel came).
    case state(JobID, JobState)
    /// `job.get`
    case status(JobStatus)
    /// `job.list`
    case jobs(JobList)
    /// `blob.put`: the content's SHA-256 and size.
    case blob(sha256: String, bytes: Int)
    /// `blob.has`
    case missing([String])
    /// `farm.info`
    case info(FarmInfo)
    /// `farm.stats`
    case stats(FarmStats)
    /// `pool.list`
    case pools([PoolStatus])
    /// `pool.set`, `pool.drain`, `pool.resume`
    case pool(PoolStatus)
}

/// Why there is no result.
public enum Failure: Error, Sendable, Equatable {
    case rejected(Rejected)
    case farm(FarmError)
}

public struct JobList: Sendable, Equatable {
    public var jobs: [JobStatus]
    /// How many jobs match, listed or not.
    public var total: Int

    public init(jobs: [JobStatus], total: Int) {
        self.jobs = jobs
        self.total = total
    }
}

/// A piece of what a running job wrote, as the `job.output` notification carries it.
public struct JobOutput: Sendable, Equatable {
    public var job: JobID
    /// The id of the `job.run` that asked for it; `nil` for a job that was submitted.
    public var request: RequestID?
    public var stream: OutputStream
    public var bytes: [UInt8]
    /// How many bytes of this stream before these were not sent, because the client did not read fast enough.
    public var droppedBytes: Int

    public init(job: JobID, request: RequestID?, stream: OutputStream, bytes: [UInt8], droppedBytes: Int = 0) {
        self.job = job
        self.request = request
        self.stream = stream
        self.bytes = bytes
        self.droppedBytes = droppedBytes
    }
}

/// What a client calls one of its requests.
public enum RequestID: Sendable, Hashable {
    case number(Int)
    /// At most 256 bytes.
    case string(String)
}
