// A resolved policy -> prose for the person who has to answer for it: what it grants and why, what it denies. What
// `paddock policy explain` prints.

import SandboxCore

extension Policy {
    /// Plain text in lines of at most 118 columns.
    public func explain() -> String {
        var lines = prose("\(name): \(description)", first: "", next: "  ")
        if !ancestors.isEmpty { lines.append("Builds on \(ancestors.joined(separator: ", which builds on ")).") }
        lines += ["", "It grants:"] + facilities() + ["", "Limits (what a job may ask for at most):"] + limitLines()
        if !environment.isEmpty {
            lines += ["", "Environment:"] + environment.sorted { $0.key < $1.key }.map { "  \($0.key)=\($0.value)" }
        }
        lines += ["", "System calls that are carried out:"] + rules.filter(\.action.permits).flatMap(paragraph)
        let refused = rules.filter { !$0.action.permits }
        if !refused.isEmpty { lines += ["", "System calls that are answered without being carried out:"] + refused.flatMap(paragraph) }
        lines += ["", "Every other system call \(phrase(defaultAction)). Among them:"] + dangers()
        lines += [""] + prose(
            "In every policy: calls of other architectures (32-bit, x32) kill the process; calls younger than this farm "
                + "answer ENOSYS, as on an older kernel; ioctl does not take TIOCSTI and TIOCLINUX.", first: "", next: "")
        if !notes.isEmpty { lines += ["", "Note:"] + notes.flatMap { bullet($0) } }
        return lines.joined(separator: "\n") + "\n"
    }

    private func facilities() -> [String] {
        let network = switch self.network {
        case .none: "no network, not even the loopback"
        case .loopback: "the sandbox's own loopback network"
        case .outbound: "the loopback, and a way out to other machines"
        }
        let proc = switch self.proc {
        case .pids: "/proc with the sandbox's own processes only"
        case .masked: "/proc with the machine's general facts, the rest masked"
        }
        var lines = bullet(network, reasons["network"]) + bullet(proc, reasons["proc"])
        lines += pty ? bullet("pseudo-terminals of its own", reasons["pty"]) : bullet("no terminals")
        let missing = tolerateMissing.map(\.rawValue).sorted()
        if !missing.isEmpty {
            lines += bullet("hosts that lack \(missing.joined(separator: ", "))", reasons["tolerate_missing"])
        }
        return lines
    }

    private func limitLines() -> [String] {
        LimitField.all.map { field in
            let value = { (limits: Limits) in limits[field].map { Quantity.format($0, as: field.unit) } ?? "-" }
            return "  " + padded(field.name, to: 14) + padded(value(limits), to: 10) + "(\(value(ceiling)))"
        }
    }

    private func paragraph(_ rule: SyscallRule) -> [String] {
        var lines = wrapped(rule.names, first: "  ", next: "  ")
        for condition in rule.conditions { lines += prose("only if \(phrase(condition))") }
        if !rule.action.permits { lines.append("      \(phrase(rule.action))") }
        let origin = rule.origin == name ? "" : " [\(rule.origin)]"
        return lines + prose("\(rule.why)\(origin)")
    }

    private func dangers() -> [String] {
        (Danger.never + Danger.loud).flatMap { group in
            let names = group.names.filter { name in
                syscallNumber(name: name) != nil && !rules.contains { $0.names.contains(name) }
            }
            return names.isEmpty ? [] : wrapped(names, first: "  ", next: "  ") + ["      \(group.reason)"]
        }
    }

    private func phrase(_ action: SeccompAction) -> String {
        switch action {
        case .allow: "is carried out"
        case .log: "is carried out and logged on the host"
        case .errno(let number): "answers \(Errno.name(number))"
        case .notify where onDenied == .kill: "ends the job with syscall_denied"
        case .notify: "answers EPERM and is counted in the result"
        case .trap: "raises SIGSYS"
        case .killThread: "kills the thread"
        case .killProcess: "kills the process"
        }
    }

    private func phrase(_ condition: ArgumentCondition) -> String {
        let number = { (value: UInt64) in value < 10 ? "\(value)" : "0x" + String(value, radix: 16) }
        let values = condition.values.map(number).joined(separator: ", ")
        let several = condition.values.count > 1
        let subject = "argument \(condition.index)"
        return switch condition.op {
        case .equal: several ? "\(subject) is one of \(values)" : "\(subject) is \(values)"
        case .notEqual: "\(subject) is not \(values)"
        case .less: "\(subject) is below \(values)"
        case .lessOrEqual: "\(subject) is at most \(values)"
        case .greater: "\(subject) is above \(values)"
        case .greaterOrEqual: "\(subject) is at least \(values)"
        case .maskedEqual: "\(subject) masked with \(number(condition.mask)) is \(several ? "one of " : "")\(values)"
        }
    }

    private func bullet(_ text: String, _ reason: String? = nil) -> [String] {
        prose(text, first: "  - ") + (reason.map { prose($0) } ?? [])
    }

    private func prose(_ text: String, first: String = "      ", next: String = "      ") -> [String] {
        wrapped(pieces: text.split(whereSeparator: \.isWhitespace).map(String.init), first: first, next: next)
    }

    private func padded(_ text: String, to width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }
}
