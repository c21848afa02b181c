// One line of a server → what the client was waiting for. What is needed is insisted on; keys this client does not
// know are passed over here, and only here, because a newer farm may add to its answers.

import SandboxCore

/// A line from a server, as far as it can be understood without knowing the call it answers.
struct IncomingLine {
    enum Content {
        case result(Int)
        case error(ErrorObject)
        case output(JobOutput)
    }

    var id: RequestID?
    var content: Content
    var json: JSONDocument

    /// - Throws: what is wrong with the line, as a `Rejected` that names its field.
    static func decode(_ line: [UInt8], limits: JSONLimits) throws(Rejected) -> IncomingLine {
        let json: JSONDocument
        do {
            json = try JSONDocument.parse(line, limits: limits)
        } catch {
            throw Rejected(.invalidRequest, "byte \(error.offset): \(error.message)")
        }
        let reader = FieldReader(json: json, origin: json.root)
        if json.member("method", of: json.root) != nil {
            let output = try reader.output(try reader.need("params", in: json.root))
            return IncomingLine(id: nil, content: .output(output), json: json)
        }
        let id = json.requestID(at: try reader.need("id", in: json.root))
        if let error = json.member("error", of: json.root) {
            return IncomingLine(id: id, content: .error(try reader.error(error)), json: json)
        }
        return IncomingLine(id: id, content: .result(try reader.need("result", in: json.root)), json: json)
    }
}

extension FieldReader {
    /// The value under a key that must be there.
    func need(_ key: String, in object: Int) throws(Rejected) -> Int {
        guard json.nodes[object].kind == .object else { throw wrong(object, expected: "an object") }
        guard let value = json.member(key, of: object) else { throw missing(key, in: object, "a value") }
        return value
    }

    /// The value under a key that may be absent or null.
    func maybe(_ key: String, in object: Int) -> Int? {
        guard let value = json.member(key, of: object), json.nodes[value].kind != .null else { return nil }
        return value
    }

    func optional<Value>(
        _ key: String, in object: Int, _ read: (Int) throws(Rejected) -> Value
    ) throws(Rejected) -> Value? {
        guard let value = maybe(key, in: object) else { return nil }
        return try read(value)
    }

    func list<Value>(
        _ key: String, in object: Int, _ read: (Int) throws(Rejected) -> Value
    ) throws(Rejected) -> [Value] {
        var values: [Value] = []
        try array(try need(key, in: object), of: key) { (item) throws(Rejected) in values.append(try read(item)) }
        return values
    }

    func number(_ key: String, in object: Int) throws(Rejected) -> Int { try integer(try need(key, in: object)) }
    func string(_ key: String, in object: Int) throws(Rejected) -> String { try text(try need(key, in: object)) }
    func flag(_ key: String, in object: Int) throws(Rejected) -> Bool { try bool(try need(key, in: object)) }

    func figure(_ value: Int) throws(Rejected) -> Double {
        guard json.nodes[value].kind == .number else { throw wrong(value, expected: "a number") }
        return json.double(at: value)
    }

    /// `text` or `base64` behind an optional prefix; `nil` where neither is there.
    func contents(in object: Int, prefix: String = "") throws(Rejected) -> [UInt8]? {
        if let value = maybe(prefix + "text", in: object) { return Array(try bytes(value)) }
        if let value = maybe(prefix + "base64", in: object) { return try base64(value) }
        return nil
    }

    func error(_ value: Int) throws(Rejected) -> ErrorObject {
        let data = try need("data", in: value)
        return ErrorObject(
            code: try number("code", in: value), message: try string("message", in: value),
            kind: try word(try need("kind", in: data), ErrorObject.Kind.self), reason: try string("code", in: data),
            field: try optional("field", in: data) { (v) throws(Rejected) in try text(v) },
            retryAfterMs: try optional("retry_after_ms", in: data) { (v) throws(Rejected) in try integer(v) },
            retryable: try optional("retryable", in: data) { (v) throws(Rejected) in try bool(v) })
    }

    fileprivate func output(_ params: Int) throws(Rejected) -> JobOutput {
        let stream = try string("stream", in: params)
        guard let stream = OutputStream(rawValue: stream), let bytes = try contents(in: params) else {
            throw wrong(params, expected: "a stream, and its text or base64")
        }
        return JobOutput(
            job: JobID(try string("job", in: params)), request: maybe("request", in: params).flatMap(json.requestID),
            stream: stream, bytes: bytes,
            droppedBytes: try optional("dropped_bytes", in: params) { (v) throws(Rejected) in try integer(v) } ?? 0)
    }

    /// The result of a call of `method`.
    func answer(to method: Method, _ result: Int) throws(Rejected) -> Answer {
        switch method {
        case .jobRun: return .result(try jobResult(result))
        case .jobWait:
            guard let state = maybe("state", in: result) else { return .result(try jobResult(result)) }
            return .state(JobID(try string("job", in: result)), try word(state, JobState.self))
        case .jobSubmit: return .submitted(JobID(try string("job", in: result)))
        case .jobCancel:
            let state = try word(try need("state", in: result), JobState.self)
            return .state(JobID(try string("job", in: result)), state)
        case .jobGet: return .status(try status(result))
        case .jobList:
            let jobs = try list("jobs", in: result) { (item) throws(Rejected) in try status(item) }
            return .jobs(JobList(jobs: jobs, total: try number("total", in: result)))
        case .blobPut: return .blob(sha256: try string("blob", in: result), bytes: try number("bytes", in: result))
        case .blobHas: return .missing(try list("missing", in: result) { (item) throws(Rejected) in try text(item) })
        case .farmInfo: return .info(try info(result))
        case .farmStats: return .stats(try stats(result))
        case .poolList: return .pools(try list("pools", in: result) { (item) throws(Rejected) in try pool(item) })
        case .poolSet, .poolDrain, .poolResume: return .pool(try pool(result))
        }
    }
}
