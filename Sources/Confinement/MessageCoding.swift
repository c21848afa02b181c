// How each message of the warden's protocol is written and read. The daemon's and the warden's halves stand side by
// side so that one cannot change without the other.

import LinuxSystem
import SandboxCore

extension MakeRequest {
    fileprivate func encoded() -> [UInt8] {
        var w = MessageWriter()
        w.put(MessageKind.make.rawValue)
        w.put(sandbox)
        w.put(idBase.map { Int($0) })
        w.put(cgroupVersion.rawValue)
        w.put(cgroupFiles) { $0.put($1.rawValue) }
        spec.root.put(to: &w)
        w.put(spec.hostname)
        w.put(spec.network.rawValue)
        w.put(spec.proc.rawValue)
        w.put(spec.pty)
        w.put(Int64(spec.user.uid))
        w.put(Int64(spec.user.gid))
        SeccompProgram.put(spec.seccomp, to: &w)
        w.put(isKept)
        w.put(outbound != nil)
        if let outbound {
            w.put(outbound.link)
            w.put(outbound.address.raw)
            w.put(outbound.gateway.raw)
            w.put(Int64(outbound.mtu))
            w.put(outbound.resolvers) { $0.put($1.raw) }
        }
        w.put(templateID.map { Int($0) })
        return w.bytes
    }

    fileprivate init(from r: inout MessageReader) throws(MalformedMessage) {
        sandbox = try r.integer()
        idBase = try r.optional().map { UInt32(truncatingIfNeeded: $0) }
        cgroupVersion = try r.raw()
        cgroupFiles = try r.list { (r) throws(MalformedMessage) in try r.raw() }
        spec = SandboxSpec(
            root: try RootFilesystem(from: &r), hostname: try r.text(), network: try r.named(),
            proc: try r.named(), pty: try r.flag(), seccomp: nil,
            user: UserID(uid: try r.number(), gid: try r.number()))
        spec.seccomp = try SeccompProgram.take(from: &r)
        isKept = try r.flag()
        if try r.flag() {
            outbound = OutboundAddress(
                link: try r.text(), address: IPv4Address(try r.integer()), gateway: IPv4Address(try r.integer()), mtu: try r.number(),
                resolvers: try r.list { (r) throws(MalformedMessage) in IPv4Address(try r.integer()) })
        }
        templateID = try r.optional().map { UInt32(truncatingIfNeeded: $0) }
        try r.finish()
    }
}

extension SpawnerCommand {
    public func encoded() -> [UInt8] {
        switch self {
        case .make(let request): return request.encoded()
        case .makeTemplate(let request): return request.encoded()
        case .kill(let sandbox):
            var w = MessageWriter()
            w.put(MessageKind.kill.rawValue)
            w.put(sandbox)
            return w.bytes
        }
    }

    public init(decoding message: [UInt8]) throws(MalformedMessage) {
        var r = MessageReader(message)
        switch try r.raw(MessageKind.self) {
        case .make: self = .make(try MakeRequest(from: &r))
        case .makeTemplate: self = .makeTemplate(try TemplateRequest(from: &r))
        case .kill:
            self = .kill(sandbox: try r.integer())
            try r.finish()
        default: throw MalformedMessage(at: 0, expected: "make, makeTemplate or kill")
        }
    }
}

extension Failure {
    func put(to w: inout MessageWriter) {
        w.put(step.rawValue)
        w.put(errno)
        w.put(detail)
    }
    init(from r: inout MessageReader) throws(MalformedMessage) {
        step = try r.raw()
        errno = try r.integer()
        detail = try r.text()
    }
}

extension SpawnerEvent {
    public func encoded() -> [UInt8] {
        var w = MessageWriter()
        switch self {
        case .made(let sandbox, let pid):
            w.put(MessageKind.made.rawValue)
            w.put(sandbox)
            w.put(pid)
        case .makeFailed(let sandbox, let failure):
            w.put(MessageKind.makeFailed.rawValue)
            w.put(sandbox)
            failure.put(to: &w)
        case .ended(let sandbox, let inOrder):
            w.put(MessageKind.ended.rawValue)
            w.put(sandbox)
            w.put(inOrder)
        }
        return w.bytes
    }

    public init(decoding message: [UInt8]) throws(MalformedMessage) {
        var r = MessageReader(message)
        switch try r.raw(MessageKind.self) {
        case .made: self = .made(sandbox: try r.integer(), pid: try r.integer())
        case .makeFailed: self = .makeFailed(sandbox: try r.integer(), try Failure(from: &r))
        case .ended: self = .ended(sandbox: try r.integer(), inOrder: try r.flag())
        default: throw MalformedMessage(at: 0, expected: "made, makeFailed or ended")
        }
        try r.finish()
    }
}

extension InitCommand {
    public func encoded() -> [UInt8] {
        var w = MessageWriter()
        switch self {
        case .run(let plan, let hasInput, let cgroupFiles):
            w.put(MessageKind.run.rawValue)
            w.put(hasInput)
            w.put(cgroupFiles) { $0.put($1.rawValue) }
            w.put(plan.arguments) { $0.put($1) }
            w.put(plan.environment) { $0.put($1) }
            w.put(plan.workingDirectory)
            w.put(plan.files) { $1.put(to: &$0) }
            w.put(plan.collect) { $0.put($1.pattern); $0.put(Int64($1.maxBytes)) }
            let l = plan.limits
            for value in [l.cpuTimeMs, l.wallTimeMs, l.memoryBytes, l.processes, l.diskBytes, l.diskInodes, l.outputBytes, l.openFiles, l.stackBytes, l.fileSizeBytes] {
                w.put(Int64(value))
            }
            w.put(Int64(plan.keepOutputBytes))
            w.put(plan.stream)
            w.put(plan.isLast)
            w.put(plan.fork)
        case .cancel(let by):
            w.put(MessageKind.cancel.rawValue)
            w.put(by.rawValue)
        case .renew: w.put(MessageKind.renew.rawValue)
        }
        return w.bytes
    }

    public init(decoding message: [UInt8]) throws(MalformedMessage) {
        var r = MessageReader(message)
        switch try r.raw(MessageKind.self) {
        case .run:
            let hasInput = try r.flag()
            let cgroupFiles: [CgroupFile] = try r.list { (r) throws(MalformedMessage) in try r.raw() }
            let plan = LaunchPlan(
                arguments: try r.list { (r) throws(MalformedMessage) in try r.text() },
                environment: try r.list { (r) throws(MalformedMessage) in try r.text() },
                workingDirectory: try r.text(),
                files: try r.list { (r) throws(MalformedMessage) in try PlacedFile(from: &r) },
                collect: try r.list { (r) throws(MalformedMessage) in FileOut(pattern: try r.text(), maxBytes: try r.number()) },
                limits: EnforcedLimits(
                    cpuTimeMs: try r.number(), wallTimeMs: try r.number(), memoryBytes: try r.number(),
                    processes: try r.number(), diskBytes: try r.number(), diskInodes: try r.number(), outputBytes: try r.number(), openFiles: try r.number(),
                    stackBytes: try r.number(), fileSizeBytes: try r.number()),
                keepOutputBytes: try r.number(), stream: try r.flag(), isLast: try r.flag(), fork: try r.flag())
            self = .run(plan, hasInput: hasInput, cgroupFiles: cgroupFiles)
        case .cancel: self = .cancel(try r.named())
        case .renew: self = .renew
        default: throw MalformedMessage(at: 0, expected: "run, cancel or renew")
        }
        try r.finish()
    }
}

extension InitEvent {
    public func encoded() -> [UInt8] {
        var w = MessageWriter()
        switch self {
        case .ready: w.put(MessageKind.ready.rawValue)
        case .spent: w.put(MessageKind.spent.rawValue)
        case .failed(let failure):
            w.put(MessageKind.failed.rawValue)
            failure.put(to: &w)
        case .output(let stream, let bytes):
            w.put(MessageKind.output.rawValue)
            w.put(stream.rawValue)
            w.put(bytes)
        case .report(let report):
            w.put(MessageKind.report.rawValue)
            report.put(to: &w)
        }
        return w.bytes
    }

    public init(decoding message: [UInt8]) throws(MalformedMessage) {
        var r = MessageReader(message)
        switch try r.raw(MessageKind.self) {
        case .ready: self = .ready
        case .spent: self = .spent
        case .failed: self = .failed(try Failure(from: &r))
        case .output: self = .output(try r.named(), try r.data())
        case .report: self = .report(try StepReport(from: &r))
        default: throw MalformedMessage(at: 0, expected: "ready, failed, output or report")
        }
        try r.finish()
    }
}
