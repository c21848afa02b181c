// A job's parameters → `JobRequest`. Shapes, ranges and what contradicts itself are checked here; whether a pool, an
// image or a blob exists is for the farm to say.

import SandboxCore

private enum JobKey: String, WireKey {
    case command, source, tests, stdin, env, cwd, files, collect, limits, policy, image, pool, template, labels, priority, stream
    case deadlineMs = "deadline_ms"
    case idempotencyKey = "idempotency_key"
    case onDisconnect = "on_disconnect"
    case compileCache = "compile_cache"
    static let table = KeyTable<Self>()
}

private enum SourceKey: String, WireKey {
    case text, language, args
    static let table = KeyTable<Self>()
}

private enum LabelKey: String, WireKey {
    case rollout, group
    static let table = KeyTable<Self>()
}

enum OnDisconnect: String, CaseIterable { case cancel, finish }

extension FieldReader {
    /// - Parameter surviveDisconnect: what holds without `on_disconnect`.
    func jobRequest(_ params: Int, surviveDisconnect: Bool) throws(Rejected) -> JobRequest {
        var request = JobRequest(work: .testsOnly, surviveDisconnect: surviveDisconnect)
        var work: Int?
        var tests: Int?
        try object(params, JobKey.self) { (key, value) throws(Rejected) in
            switch key {
            case .command, .source:
                if work != nil { throw wrong(value, "a second program, expected exactly one of command and source") }
                work = value
                request.work = key == .command ? .command(try command(value)) : try source(value)
            case .tests:
                tests = value
                request.tests = try testRequest(value)
            case .stdin: request.stdin = try content(value)
            case .env: request.environment = try environment(value)
            case .cwd: request.workingDirectory = try kernelText(value, bytes: 1...4_095)
            case .files: request.files = try filesIn(value)
            case .collect: request.collect = try filesOut(value)
            case .limits: request.limits = try limits(value)
            case .policy: request.policy = try name(value)
            case .image: request.image = try name(value)
            case .pool: request.pool = try name(value)
            case .template: request.template = try name(value)
            case .labels: request.labels = try labels(value)
            case .priority: request.priority = try integer(value, in: -100...100)
            case .deadlineMs: request.deadlineMs = try integer(value, in: FieldReader.durations)
            case .stream: request.stream = try bool(value)
            case .idempotencyKey: request.idempotencyKey = try idempotencyKey(value)
            case .compileCache: request.compileCache = try bool(value)
            case .onDisconnect: request.surviveDisconnect = try word(value, OnDisconnect.self) == .finish
            }
        }
        if let tests {
            try check(tests, request.tests!, goesWith: request.work)
        } else if work == nil {
            throw missing("command", in: params, "one of command, source and tests")
        }
        return request
    }

    private func command(_ value: Int) throws(Rejected) -> [String] {
        let arguments = try strings(value) { (item) throws(Rejected) in try kernelText(item) }
        guard let program = arguments.first, !program.isEmpty else {
            throw wrong(value, "no program, expected an array of at least one string, the first not empty")
        }
        return arguments
    }

    private func source(_ value: Int) throws(Rejected) -> Work {
        var text: String?
        var language: String?
        var arguments: [String] = []
        try object(value, SourceKey.self) { (key, member) throws(Rejected) in
            switch key {
            case .text: text = try self.text(member)
            case .language: language = try name(member)
            case .args: arguments = try strings(member) { (item) throws(Rejected) in try kernelText(item) }
            }
        }
        guard let text else { throw missing("text", in: value, "the source text") }
        guard let language else { throw missing("language", in: value, "a language's name") }
        return .source(text: text, language: language, arguments: arguments)
    }

    /// The one object of the protocol whose keys are the client's own.
    private func environment(_ value: Int) throws(Rejected) -> [String: String] {
        guard json.nodes[value].kind == .object else { throw wrong(value, expected: "an object of strings") }
        var environment: [String: String] = [:]
        environment.reserveCapacity(count(value))
        var key = value + 1
        for _ in 0..<count(value) {
            let name = json.contents(of: key)
            guard !name.isEmpty, !name.contains(0), !name.contains(UInt8(ascii: "=")) else {
                throw wrong(key, "expected a variable's name that is not empty and has neither '=' nor NUL")
            }
            environment[String(decoding: name, as: UTF8.self)] = try kernelText(key + 1)
            key = json.next(after: key + 1)
        }
        return environment
    }

    /// Every field of `LimitField`, under its key, within its range.
    private func limits(_ value: Int) throws(Rejected) -> Limits {
        guard json.nodes[value].kind == .object else { throw wrong(value, expected: "an object") }
        var limits = Limits()
        var key = value + 1
        for _ in 0..<count(value) {
            guard let field = LimitField.all.first(where: { json.string(at: key, is: $0.key) }) else {
                throw unknownKey(key, known: LimitField.all.map(\.key))
            }
            limits[field] = try integer(key + 1, in: field.range)
            key = json.next(after: key + 1)
        }
        return limits
    }

    func labels(_ value: Int) throws(Rejected) -> Labels {
        var labels = Labels()
        try object(value, LabelKey.self) { (key, member) throws(Rejected) in
            switch key {
            case .rollout: labels.rollout = try name(member)
            case .group: labels.group = try name(member)
            }
        }
        return labels
    }

    private func idempotencyKey(_ value: Int) throws(Rejected) -> String {
        let key = try bytes(value)
        // Every byte but UTF-8's continuations begins a character.
        guard key.count <= 512, (1...128).contains(key.count { $0 & 0xc0 != 0x80 }) else {
            throw wrong(value, expected: "1 to 128 characters")
        }
        return String(decoding: key, as: UTF8.self)
    }
}
