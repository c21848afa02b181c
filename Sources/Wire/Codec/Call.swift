// The questions a client can ask, one case per method of docs/protocol.md. A line from the socket becomes one of
// these before the farm sees anything of it; the client starts from the same type in the other direction.

import SandboxCore

/// One method call with its parameters, checked in shape and range.
public enum Call: Sendable, Equatable {
    case jobRun(JobRequest)
    case jobSubmit(JobRequest)
    /// - Parameter timeoutMs: answer with the job's state when it has not ended by then; `nil` waits for its end.
    case jobWait(JobID, timeoutMs: Int?)
    case jobGet(JobID)
    case jobList(JobFilter)
    case jobCancel(JobID)
    case blobPut(BlobPut)
    /// Lower-case hexadecimal SHA-256 sums, 64 digits each.
    case blobHas([String])
    case farmInfo
    case farmStats
    case poolList
    case poolSet(PoolChange)
    case poolDrain(String)
    case poolResume(String)

    public var method: Method {
        switch self {
        case .jobRun: .jobRun
        case .jobSubmit: .jobSubmit
        case .jobWait: .jobWait
        case .jobGet: .jobGet
        case .jobList: .jobList
        case .jobCancel: .jobCancel
        case .blobPut: .blobPut
        case .blobHas: .blobHas
        case .farmInfo: .farmInfo
        case .farmStats: .farmStats
        case .poolList: .poolList
        case .poolSet: .poolSet
        case .poolDrain: .poolDrain
        case .poolResume: .poolResume
        }
    }
}

/// A method's name on the wire.
public enum Method: String, Sendable, Equatable, CaseIterable {
    case jobRun = "job.run"
    case jobSubmit = "job.submit"
    case jobWait = "job.wait"
    case jobGet = "job.get"
    case jobList = "job.list"
    case jobCancel = "job.cancel"
    case blobPut = "blob.put"
    case blobHas = "blob.has"
    case farmInfo = "farm.info"
    case farmStats = "farm.stats"
    case poolList = "pool.list"
    case poolSet = "pool.set"
    case poolDrain = "pool.drain"
    case poolResume = "pool.resume"

    /// Whether only the daemon's own user or root may call it. The server refuses everyone else.
    public var needsOperator: Bool {
        switch self {
        case .jobList, .farmStats, .poolList, .poolSet, .poolDrain, .poolResume: true
        default: false
        }
    }

    /// Whether the answer waits for a job's progress, so that many calls of one connection may be open at once.
    var waitsForJob: Bool { self == .jobRun || self == .jobWait || self == .jobSubmit }
}

/// Which jobs `job.list` names.
public struct JobFilter: Sendable, Equatable {
    public var state: JobState?
    public var pool: String?
    /// At most this many jobs; `total` counts them all.
    public var limit: Int?

    public init(state: JobState? = nil, pool: String? = nil, limit: Int? = nil) {
        self.state = state
        self.pool = pool
        self.limit = limit
    }
}

/// Content to keep under its SHA-256.
public struct BlobPut: Sendable, Equatable {
    public var bytes: [UInt8]
    /// What the client expects the sum to be, in lower-case hexadecimal. The farm refuses a blob that differs.
    public var sha256: String?

    public init(bytes: [UInt8], sha256: String? = nil) {
        self.bytes = bytes
        self.sha256 = sha256
    }
}
