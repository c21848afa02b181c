// The parameters of each method, by its name. A job's own are in DecodeJob.swift.

import SandboxCore

private enum NoKey: String, WireKey {
    case none = ""
    static let allCases: [NoKey] = []
    static let table = KeyTable<Self>()
}

private enum JobIDKey: String, WireKey {
    case job
    static let table = KeyTable<Self>()
}

private enum WaitKey: String, WireKey {
    case job
    case timeoutMs = "timeout_ms"
    static let table = KeyTable<Self>()
}

private enum FilterKey: String, WireKey {
    case state, pool, limit
    static let table = KeyTable<Self>()
}

private enum BlobKey: String, WireKey {
    case text, base64, sha256
    static let table = KeyTable<Self>()
}

private enum BlobsKey: String, WireKey {
    case blobs
    static let table = KeyTable<Self>()
}

private enum PoolNameKey: String, WireKey {
    case pool
    static let table = KeyTable<Self>()
}

private enum PoolKey: String, WireKey {
    case pool, size, queue, image, policy, templates, reuse
    static let table = KeyTable<Self>()
}

extension FieldReader {
    /// A week: longer than any job, and far from overflowing when it is turned into nanoseconds.
    static let durations = 1...604_800_000

    func call(_ method: Method, params: Int) throws(Rejected) -> Call {
        switch method {
        case .jobRun: return .jobRun(try jobRequest(params, surviveDisconnect: false))
        case .jobSubmit: return .jobSubmit(try jobRequest(params, surviveDisconnect: true))
        case .jobWait: return try wait(params)
        case .jobGet: return .jobGet(try onlyJob(params))
        case .jobList: return .jobList(try filter(params))
        case .jobCancel: return .jobCancel(try onlyJob(params))
        case .blobPut: return .blobPut(try blobPut(params))
        case .blobHas: return .blobHas(try blobs(params))
        case .farmInfo: return try nothing(params, .farmInfo)
        case .farmStats: return try nothing(params, .farmStats)
        case .poolList: return try nothing(params, .poolList)
        case .poolSet: return .poolSet(try poolChange(params))
        case .poolDrain: return .poolDrain(try onlyPool(params))
        case .poolResume: return .poolResume(try onlyPool(params))
        }
    }

    private func nothing(_ params: Int, _ call: Call) throws(Rejected) -> Call {
        try object(params, NoKey.self) { (_, _) throws(Rejected) in }
        return call
    }

    private func onlyJob(_ params: Int) throws(Rejected) -> JobID {
        var id: JobID?
        try object(params, JobIDKey.self) { (_, value) throws(Rejected) in id = try job(value) }
        guard let id else { throw missing("job", in: params, "a job's id") }
        return id
    }

    private func wait(_ params: Int) throws(Rejected) -> Call {
        var id: JobID?
        var timeoutMs: Int?
        try object(params, WaitKey.self) { (key, value) throws(Rejected) in
            switch key {
            case .job: id = try job(value)
            case .timeoutMs: timeoutMs = try integer(value, in: 0...FieldReader.durations.upperBound)
            }
        }
        guard let id else { throw missing("job", in: params, "a job's id") }
        return .jobWait(id, timeoutMs: timeoutMs)
    }

    private func filter(_ params: Int) throws(Rejected) -> JobFilter {
        var filter = JobFilter()
        try object(params, FilterKey.self) { (key, value) throws(Rejected) in
            switch key {
            case .state: filter.state = try word(value, JobState.self)
            case .pool: filter.pool = try name(value)
            case .limit: filter.limit = try integer(value, in: 1...100_000)
            }
        }
        return filter
    }

    private func blobPut(_ params: Int) throws(Rejected) -> BlobPut {
        var bytes: [UInt8]?
        var sha256: String?
        try object(params, BlobKey.self) { (key, value) throws(Rejected) in
            switch key {
            case .sha256: sha256 = try self.sha256(value)
            case .text, .base64:
                if bytes != nil { throw wrong(value, "a second content, expected exactly one of text and base64") }
                bytes = key == .text ? Array(try self.bytes(value)) : try base64(value)
            }
        }
        guard let bytes else { throw missing("text", in: params, "exactly one of text and base64") }
        return BlobPut(bytes: bytes, sha256: sha256)
    }

    private func blobs(_ params: Int) throws(Rejected) -> [String] {
        var blobs: [String]?
        try object(params, BlobsKey.self) { (_, value) throws(Rejected) in
            blobs = try strings(value) { (item) throws(Rejected) in try sha256(item) }
        }
        guard let blobs else { throw missing("blobs", in: params, "an array of SHA-256 sums") }
        return blobs
    }

    private func onlyPool(_ params: Int) throws(Rejected) -> String {
        var pool: String?
        try object(params, PoolNameKey.self) { (_, value) throws(Rejected) in pool = try name(value) }
        guard let pool else { throw missing("pool", in: params, "a pool's name") }
        return pool
    }

    private func poolChange(_ params: Int) throws(Rejected) -> PoolChange {
        var pool: String?
        var change = PoolChange(pool: "")
        try object(params, PoolKey.self) { (key, value) throws(Rejected) in
            switch key {
            case .pool: pool = try name(value)
            case .size: change.size = try integer(value, in: 0...100_000)
            case .queue: change.queue = try integer(value, in: 0...10_000_000)
            case .image: change.image = try name(value)
            case .policy: change.policy = try name(value)
            case .templates: change.templates = try strings(value) { (item) throws(Rejected) in try name(item) }
            case .reuse: change.reuse = try word(value, SandboxReuse.self)
            }
        }
        guard let pool else { throw missing("pool", in: params, "a pool's name") }
        change.pool = pool
        return change
    }
}
