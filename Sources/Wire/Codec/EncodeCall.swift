// A call → one line: the client's half of the codec. Only what differs from a default is written.

import SandboxCore

extension Request {
    /// The whole line, newline included.
    public func encode() -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.envelope(id: id)
        writer.key("method")
        writer.string(call.method.rawValue)
        writer.key("params")
        writer.params(call)
        writer.endObject()
        writer.newline()
        return writer.bytes
    }
}

extension JSONWriter {
    mutating func envelope(id: RequestID?) {
        key("jsonrpc")
        string("2.0")
        key("id")
        requestID(id)
    }

    mutating func requestID(_ id: RequestID?) {
        switch id {
        case .number(let number): integer(number)
        case .string(let text): string(text)
        case nil: null()
        }
    }

    /// Members whose value is absent are left out.
    mutating func member(_ name: String, _ value: String?) {
        guard let value else { return }
        key(name)
        string(value)
    }

    mutating func member(_ name: String, _ value: Int?) {
        guard let value else { return }
        key(name)
        integer(value)
    }

    mutating func member(_ name: String, figure value: Double?) {
        guard let value else { return }
        key(name)
        figure(value)
    }

    mutating func member(_ name: String, _ value: Bool?) {
        guard let value else { return }
        key(name)
        bool(value)
    }

    mutating func member(_ name: String, _ values: [String]) {
        key(name)
        beginArray()
        for value in values { string(value) }
        endArray()
    }

    /// Bytes as the key `text` where they are UTF-8, as `base64` where not; with the same prefix for both.
    mutating func content(_ bytes: [UInt8], prefix: String = "") {
        if UTF8Rules.isValid(bytes) {
            key(prefix + "text")
            string(utf8: bytes)
        } else {
            key(prefix + "base64")
            plain(Base64.encode(bytes))
        }
    }

    fileprivate mutating func content(_ content: Content) {
        switch content {
        case .bytes(let bytes): self.content(bytes)
        case .blob(let sum): member("blob", sum)
        }
    }

    fileprivate mutating func params(_ call: Call) {
        beginObject()
        switch call {
        case .jobRun(let job): self.job(job, survivesByDefault: false)
        case .jobSubmit(let job): self.job(job, survivesByDefault: true)
        case .jobWait(let job, let timeoutMs):
            member("job", job.text)
            member("timeout_ms", timeoutMs)
        case .jobGet(let job), .jobCancel(let job): member("job", job.text)
        case .jobList(let filter):
            member("state", filter.state?.rawValue)
            member("pool", filter.pool)
            member("limit", filter.limit)
        case .blobPut(let blob):
            content(blob.bytes)
            member("sha256", blob.sha256)
        case .blobHas(let sums): member("blobs", sums)
        case .farmInfo, .farmStats, .poolList: break
        case .poolSet(let change):
            member("pool", change.pool)
            member("size", change.size)
            member("queue", change.queue)
            member("image", change.image)
            member("policy", change.policy)
            if let templates = change.templates { member("templates", templates) }
            member("reuse", change.reuse?.rawValue)
        case .poolDrain(let pool), .poolResume(let pool): member("pool", pool)
        }
        endObject()
    }

    private mutating func job(_ job: JobRequest, survivesByDefault: Bool) {
        work(job.work)
        if let tests = job.tests { self.tests(tests) }
        if let stdin = job.stdin {
            key("stdin")
            beginObject()
            content(stdin)
            endObject()
        }
        if !job.environment.isEmpty {
            key("env")
            beginObject()
            for (name, value) in job.environment.sorted(by: { $0.key < $1.key }) {
                foreignKey(name)
                string(value)
            }
            endObject()
        }
        member("cwd", job.workingDirectory)
        files(job.files, job.collect)
        limits(job.limits)
        member("policy", job.policy)
        member("image", job.image)
        member("pool", job.pool)
        member("template", job.template)
        if job.labels != Labels() { labels(job.labels) }
        if job.priority != 0 { member("priority", job.priority) }
        member("deadline_ms", job.deadlineMs)
        if job.stream { member("stream", true) }
        member("idempotency_key", job.idempotencyKey)
        if !job.compileCache { member("compile_cache", false) }
        if job.surviveDisconnect != survivesByDefault {
            member("on_disconnect", (job.surviveDisconnect ? OnDisconnect.finish : .cancel).rawValue)
        }
    }

    private mutating func work(_ work: Work) {
        switch work {
        case .command(let arguments): member("command", arguments)
        case .source(let text, let language, let arguments):
            key("source")
            beginObject()
            member("text", text)
            member("language", language)
            if !arguments.isEmpty { member("args", arguments) }
            endObject()
        case .testsOnly: break
        }
    }

    private mutating func tests(_ tests: TestRequest) {
        key("tests")
        beginObject()
        member("framework", tests.framework.rawValue)
        if !tests.paths.isEmpty { member("paths", tests.paths) }
        if !tests.arguments.isEmpty { member("args", tests.arguments) }
        member("report", tests.report)
        if let ids = tests.failToPass { member("fail_to_pass", ids) }
        if let ids = tests.passToPass { member("pass_to_pass", ids) }
        endObject()
    }

    private mutating func files(_ files: [FileIn], _ collect: [FileOut]) {
        if !files.isEmpty {
            key("files")
            beginArray()
            for file in files {
                beginObject()
                member("path", file.path)
                content(file.content)
                if file.mode != 0o644 { member("mode", octal(file.mode)) }
                endObject()
            }
            endArray()
        }
        if !collect.isEmpty {
            key("collect")
            beginArray()
            for file in collect {
                beginObject()
                member("path", file.pattern)
                if file.maxBytes != FileOut(pattern: "").maxBytes { member("max_bytes", file.maxBytes) }
                endObject()
            }
            endArray()
        }
    }

    private mutating func limits(_ limits: Limits) {
        guard limits != Limits() else { return }
        key("limits")
        beginObject()
        for field in LimitField.all { member(field.key, limits[field]) }
        endObject()
    }

    mutating func labels(_ labels: Labels) {
        key("labels")
        beginObject()
        member("rollout", labels.rollout)
        member("group", labels.group)
        endObject()
    }

    func octal(_ mode: Int) -> String {
        let digits = String(mode, radix: 8)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }
}
