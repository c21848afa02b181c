// A job's result in the words of docs/protocol.md, section "A result".

import SandboxCore

extension JSONWriter {
    mutating func result(_ result: JobResult) {
        beginObject()
        member("job", result.job.text)
        outcome(result.outcome)
        member("phase", result.phase.rawValue)
        output("stdout", result.stdout)
        output("stderr", result.stderr)
        usage(result.usage)
        key("denied")
        beginArray()
        for denied in result.denied {
            beginObject()
            member("syscall", denied.syscall)
            member("count", denied.count)
            endObject()
        }
        endArray()
        member("unenforced", result.unenforced)
        if let template = result.template { member("template", template) }
        key("files")
        beginArray()
        for file in result.files { collected(file) }
        endArray()
        if !result.filesSkipped.isEmpty { member("files_skipped", result.filesSkipped) }
        if result.filesTruncated { member("files_truncated", true) }
        if let compile = result.compile {
            key("compile")
            beginObject()
            outcome(compile.outcome)
            output("stdout", compile.stdout)
            output("stderr", compile.stderr)
            usage(compile.usage)
            member("cached", compile.cached)
            endObject()
        }
        if let tests = result.tests { report(tests) }
        member("sandbox", result.sandbox?.rawValue)
        labels(result.labels)
        endObject()
    }

    private mutating func outcome(_ outcome: Outcome) {
        switch outcome {
        case .exited(let code):
            member("outcome", "exited")
            member("exit_code", code)
        case .signaled(let signal):
            member("outcome", "signaled")
            member("signal", SignalName.text(signal))
        case .limitExceeded(let limit, let asked, let used):
            member("outcome", "limit_exceeded")
            member("limit", limit.rawValue)
            member("asked", asked)
            member("used", used)
        case .syscallDenied(let syscall):
            member("outcome", "syscall_denied")
            member("syscall", syscall)
        case .cancelled(let canceller):
            member("outcome", "cancelled")
            member("by", canceller.rawValue)
        }
    }

    private mutating func output(_ name: String, _ output: Output) {
        key(name)
        beginObject()
        content(output.head)
        member("bytes", output.totalBytes)
        member("truncated", output.truncated)
        if !output.tail.isEmpty { content(output.tail, prefix: "tail_") }
        endObject()
    }

    private mutating func usage(_ usage: Usage) {
        key("usage")
        beginObject()
        member("wall_time_ms", figure: usage.wallTimeMs)
        member("cpu_time_ms", figure: usage.cpuTimeMs)
        member("peak_memory_bytes", usage.peakMemoryBytes)
        member("peak_processes", usage.peakProcesses)
        member("disk_bytes", usage.diskBytes)
        member("disk_inodes", usage.diskInodes)
        member("throttled_ms", figure: usage.throttledMs)
        member("queued_ms", figure: usage.stages.queuedMs)
        member("setup_ms", figure: usage.stages.setupMs)
        member("run_ms", figure: usage.stages.runMs)
        member("teardown_ms", figure: usage.stages.teardownMs)
        endObject()
    }

    private mutating func collected(_ file: CollectedFile) {
        beginObject()
        member("path", file.path)
        content(file.bytes)
        member("size", file.size)
        member("truncated", file.size > file.bytes.count)
        member("mode", octal(file.mode))
        endObject()
    }

    private mutating func report(_ report: TestReport) {
        key("tests")
        beginObject()
        member("framework", report.framework.rawValue)
        member("complete", report.completion == .complete)
        key("reason")
        switch report.completion {
        case .complete: null()
        case .endedEarly(let reason), .unreadable(let reason): string(reason)
        }
        member("passed", report.passed)
        member("expected", report.expected)
        member("resolved", report.resolved)
        key("totals")
        beginObject()
        for outcome in TestOutcome.allCases { member(outcome.rawValue, report.count(outcome)) }
        endObject()
        key("tests")
        beginArray()
        for test in report.tests {
            beginObject()
            member("id", test.id)
            member("outcome", test.outcome.rawValue)
            member("duration_ms", figure: test.durationMs)
            if !test.message.isEmpty { member("message", test.message) }
            endObject()
        }
        endArray()
        endObject()
    }
}
