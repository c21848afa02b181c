// How a job ended, in one clear line for a person, and the exit code that goes with it.

import Foundation
import SandboxCore
import Wire

enum Verdict {
    /// 0 when the program, and the tests where there are some, succeeded.
    static func exitCode(_ result: JobResult) -> Int32 {
        guard result.outcome == .exited(code: 0) else { return Exit.failed }
        if let tests = result.tests { return (tests.resolved ?? tests.passed) ? Exit.succeeded : Exit.failed }
        return Exit.succeeded
    }

    /// `nil` for a program that returned 0.
    static func sentence(_ outcome: Outcome, phase: Phase = .run) -> String? {
        let text: String
        switch outcome {
        case .exited(0): return nil
        case .exited(let code): text = "exit code \(code)"
        case .signaled(let signal): text = "ended by \(SignalName.text(signal))" + (meaning(signal).map { " (\($0))" } ?? "")
        case .limitExceeded(let limit, let asked, let used):
            let unit = LimitField.of(limit)?.unit ?? .count
            let usedText = used > asked ? ", used \(Human.limit(used, unit))" : ""
            text = "limit exceeded: \(limit.rawValue) (asked \(Human.limit(asked, unit))\(usedText))"
        case .syscallDenied(let syscall): text = "ended by the policy: it tried the syscall \(Human.safe(syscall))"
        case .cancelled(let canceller): text = "cancelled by \(who(canceller))"
        }
        return phase == .compile ? "compile failed: \(text)" : text
    }

    /// `mount (3 times), bpf`
    static func denied(_ denied: [DeniedSyscall]) -> String? {
        guard !denied.isEmpty else { return nil }
        let list = denied.prefix(8).map { Human.safe($0.syscall) + ($0.count > 1 ? " (\(Human.count($0.count)) times)" : "") }
        let more = denied.count > 8 ? ", and \(denied.count - 8) more" : ""
        return "blocked syscalls: " + list.joined(separator: ", ") + more
    }

    /// One word for tables: `ok`, `exit 1`, `SIGSEGV`, `memory`, `denied mount`, `cancelled`.
    static func word(_ result: JobResult) -> String {
        if let tests = result.tests, result.outcome == .exited(code: 0) || result.outcome == .exited(code: 1) {
            if tests.completion != .complete { return "incomplete" }
            return (tests.resolved ?? tests.passed) ? "passed" : "failed"
        }
        let word = switch result.outcome {
        case .exited(0): "ok"
        case .exited(let code): "exit \(code)"
        case .signaled(let signal): SignalName.text(signal)
        case .limitExceeded(let limit, _, _): "limit \(limit.rawValue)"
        case .syscallDenied(let syscall): "denied \(Human.safe(syscall))"
        case .cancelled(let by): "cancelled (\(by.rawValue))"
        }
        return result.phase == .compile ? "compile: \(word)" : word
    }

    private static func who(_ canceller: Canceller) -> String {
        switch canceller {
        case .client: "you"
        case .deadline: "its deadline"
        case .drain: "the farm's drain"
        case .disconnect: "its client's disconnect"
        }
    }

    private static func meaning(_ signal: Int) -> String? {
        switch signal {
        case 4: "illegal instruction"
        case 6: "abort"
        case 7: "bus error"
        case 8: "arithmetic error"
        case 9: "killed"
        case 11: "segmentation fault"
        case 13: "broken pipe"
        case 15: "terminated"
        default: nil
        }
    }
}
