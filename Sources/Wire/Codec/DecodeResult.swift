// A job's result back from its line: the mirror of EncodeResult.swift.

import SandboxCore

extension FieldReader {
    func jobResult(_ value: Int) throws(Rejected) -> JobResult {
        JobResult(
            job: JobID(try string("job", in: value)), outcome: try outcome(in: value),
            phase: try word(try need("phase", in: value), Phase.self),
            stdout: try output("stdout", in: value), stderr: try output("stderr", in: value), usage: try usage(in: value),
            denied: try list("denied", in: value) { (item) throws(Rejected) in
                DeniedSyscall(syscall: try string("syscall", in: item), count: try number("count", in: item))
            },
            unenforced: try list("unenforced", in: value) { (item) throws(Rejected) in try text(item) },
            template: try optional("template", in: value) { (v) throws(Rejected) in try text(v) },
            files: try list("files", in: value) { (item) throws(Rejected) in try collected(item) },
            filesSkipped: maybe("files_skipped", in: value) == nil
                ? [] : try list("files_skipped", in: value) { (item) throws(Rejected) in try text(item) },
            filesTruncated: try optional("files_truncated", in: value) { (v) throws(Rejected) in try bool(v) } ?? false,
            compile: try optional("compile", in: value) { (step) throws(Rejected) in
                CompileReport(
                    outcome: try outcome(in: step), stdout: try output("stdout", in: step),
                    stderr: try output("stderr", in: step), usage: try usage(in: step),
                    cached: try optional("cached", in: step) { (v) throws(Rejected) in try bool(v) } ?? false)
            },
            tests: try optional("tests", in: value) { (report) throws(Rejected) in try testReport(report) },
            sandbox: try optional("sandbox", in: value) { (v) throws(Rejected) in try word(v, SandboxUse.self) },
            labels: try optional("labels", in: value) { (labels) throws(Rejected) in try looseLabels(labels) } ?? Labels())
    }

    func looseLabels(_ value: Int) throws(Rejected) -> Labels {
        Labels(
            rollout: try optional("rollout", in: value) { (v) throws(Rejected) in try text(v) },
            group: try optional("group", in: value) { (v) throws(Rejected) in try text(v) })
    }

    private func outcome(in value: Int) throws(Rejected) -> Outcome {
        let word = try need("outcome", in: value)
        switch try text(word) {
        case "exited": return .exited(code: try number("exit_code", in: value))
        case "signaled":
            let name = try need("signal", in: value)
            guard let signal = SignalName.number(try text(name)) else { throw wrong(name, expected: "a signal's name") }
            return .signaled(signal: signal)
        case "limit_exceeded":
            return .limitExceeded(
                limit: try self.word(try need("limit", in: value), LimitName.self), asked: try number("asked", in: value),
                used: try number("used", in: value))
        case "syscall_denied": return .syscallDenied(syscall: try string("syscall", in: value))
        case "cancelled": return .cancelled(by: try self.word(try need("by", in: value), Canceller.self))
        default: throw wrong(word, expected: "exited, signaled, limit_exceeded, syscall_denied or cancelled")
        }
    }

    private func output(_ key: String, in value: Int) throws(Rejected) -> Output {
        let output = try need(key, in: value)
        return Output(
            head: try contents(in: output) ?? [], tail: try contents(in: output, prefix: "tail_") ?? [],
            totalBytes: try number("bytes", in: output))
    }

    private func usage(in value: Int) throws(Rejected) -> Usage {
        let object = try need("usage", in: value)
        func measured(_ key: String) throws(Rejected) -> Double? {
            try optional(key, in: object) { (v) throws(Rejected) in try figure(v) }
        }
        func counted(_ key: String) throws(Rejected) -> Int? {
            try optional(key, in: object) { (v) throws(Rejected) in try integer(v) }
        }
        var usage = Usage()
        usage.wallTimeMs = try measured("wall_time_ms") ?? 0
        usage.cpuTimeMs = try measured("cpu_time_ms") ?? 0
        usage.peakMemoryBytes = try counted("peak_memory_bytes")
        usage.peakProcesses = try counted("peak_processes")
        usage.diskBytes = try counted("disk_bytes")
        usage.diskInodes = try counted("disk_inodes")
        usage.throttledMs = try measured("throttled_ms")
        usage.stages.queuedMs = try measured("queued_ms") ?? 0
        usage.stages.setupMs = try measured("setup_ms") ?? 0
        usage.stages.runMs = try measured("run_ms") ?? 0
        usage.stages.teardownMs = try measured("teardown_ms") ?? 0
        return usage
    }

    private func collected(_ file: Int) throws(Rejected) -> CollectedFile {
        let mode = try need("mode", in: file)
        guard let bits = Int(try text(mode), radix: 8) else { throw wrong(mode, expected: "an octal string") }
        return CollectedFile(
            path: try string("path", in: file), bytes: try contents(in: file) ?? [], size: try number("size", in: file),
            mode: bits)
    }

    private func testReport(_ report: Int) throws(Rejected) -> TestReport {
        let reason = try optional("reason", in: report) { (v) throws(Rejected) in try text(v) }
        return TestReport(
            framework: try word(try need("framework", in: report), TestFramework.self),
            completion: try flag("complete", in: report) ? .complete : .endedEarly(reason: reason ?? ""),
            tests: try list("tests", in: report) { (test) throws(Rejected) in
                TestCase(
                    id: try string("id", in: test), outcome: try word(try need("outcome", in: test), TestOutcome.self),
                    durationMs: try optional("duration_ms", in: test) { (v) throws(Rejected) in try figure(v) },
                    message: try optional("message", in: test) { (v) throws(Rejected) in try text(v) } ?? "")
            },
            expected: try optional("expected", in: report) { (v) throws(Rejected) in try integer(v) },
            resolved: try optional("resolved", in: report) { (v) throws(Rejected) in try bool(v) })
    }
}
