// How a step's report is written and read: part of the warden's protocol (see MessageCoding).

import SandboxCore

extension StepReport {
    func put(to w: inout MessageWriter) {
        outcome.put(to: &w)
        for output in [stdout, stderr] {
            w.put(output.head)
            w.put(output.tail)
            w.put(Int64(output.totalBytes))
        }
        w.put(usage.wallTimeMs.bitPattern)
        w.put(usage.cpuTimeMs.bitPattern)
        w.put(usage.peakMemoryBytes)
        w.put(usage.peakProcesses)
        w.put(usage.diskBytes)
        w.put(usage.diskInodes)
        w.put(usage.throttledMs != nil)
        w.put((usage.throttledMs ?? 0).bitPattern)
        w.put(denied) { $0.put($1.syscall); $0.put(Int64($1.count)) }
        w.put(files) { $0.put($1.path); $0.put($1.bytes); $0.put(Int64($1.size)); $0.put(UInt32($1.mode)) }
        w.put(filesSkipped) { $0.put($1) }
        w.put(filesTruncated)
        w.put(setupMs.bitPattern)
        w.put(forked)
    }

    init(from r: inout MessageReader) throws(MalformedMessage) {
        self.init(outcome: try Outcome(from: &r))
        stdout = Output(head: try r.data(), tail: try r.data(), totalBytes: try r.number())
        stderr = Output(head: try r.data(), tail: try r.data(), totalBytes: try r.number())
        usage.wallTimeMs = try r.time()
        usage.cpuTimeMs = try r.time()
        usage.peakMemoryBytes = try r.optional()
        usage.peakProcesses = try r.optional()
        usage.diskBytes = try r.optional()
        usage.diskInodes = try r.optional()
        let known = try r.flag()
        let throttled = try r.time()
        usage.throttledMs = known ? throttled : nil
        denied = try r.list { (r) throws(MalformedMessage) in DeniedSyscall(syscall: try r.text(), count: try r.number()) }
        files = try r.list { (r) throws(MalformedMessage) in
            CollectedFile(path: try r.text(), bytes: try r.data(), size: try r.number(), mode: Int(try r.integer(UInt32.self)))
        }
        filesSkipped = try r.list { (r) throws(MalformedMessage) in try r.text() }
        filesTruncated = try r.flag()
        setupMs = try r.time()
        forked = try r.flag()
    }
}

extension Outcome {
    func put(to w: inout MessageWriter) {
        switch self {
        case .exited(let code): w.put(UInt8(0)); w.put(Int64(code))
        case .signaled(let signal): w.put(UInt8(1)); w.put(Int64(signal))
        case .limitExceeded(let limit, let asked, let used):
            w.put(UInt8(2))
            w.put(limit.rawValue)
            w.put(Int64(asked))
            w.put(Int64(used))
        case .syscallDenied(let name): w.put(UInt8(3)); w.put(name)
        case .cancelled(let by): w.put(UInt8(4)); w.put(by.rawValue)
        }
    }

    init(from r: inout MessageReader) throws(MalformedMessage) {
        switch try r.integer(UInt8.self) {
        case 0: self = .exited(code: try r.number())
        case 1: self = .signaled(signal: try r.number())
        case 2: self = .limitExceeded(limit: try r.named(), asked: try r.number(), used: try r.number())
        case 3: self = .syscallDenied(syscall: try r.text())
        case 4: self = .cancelled(by: try r.named())
        default: throw MalformedMessage(at: 0, expected: "a known outcome")
        }
    }
}
