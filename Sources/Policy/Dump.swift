// A resolved policy -> canonical YAML that means the same by itself: nothing extended, nothing included. What
// `paddock policy dump` prints; reading it again gives an equal policy.

import SandboxCore

extension Policy {
    /// The whole policy as one file in the format of docs/policies.md.
    public func dump() -> String {
        var lines = ["version: 1", "name: \(name)"]
        if !description.isEmpty { lines.append("description: \(yaml(description))") }
        lines += ["network: \(network.rawValue)", "proc: \(proc.rawValue)", "pty: \(pty)", "on_denied: \(onDenied.rawValue)"]
        let missing = tolerateMissing.map(\.rawValue).sorted()
        lines.append("tolerate_missing: [\(missing.joined(separator: ", "))]")
        lines += mapping("why", reasons.sorted { $0.key < $1.key }.map { ($0.key, yaml($0.value)) })
        lines += mapping("limits", quantities(limits))
        lines += mapping("ceiling", quantities(ceiling))
        lines += mapping("environment", environment.sorted { $0.key < $1.key }.map { (yaml($0.key), yaml($0.value)) })
        lines += ["seccomp:", "  defaultAction: \(defaultAction.word)"]
        if case .errno(let number) = defaultAction { lines.append("  defaultErrnoRet: \(Errno.name(number))") }
        lines.append("  syscalls:")
        lines += rules.flatMap(dumped)
        return lines.joined(separator: "\n") + "\n"
    }

    private func mapping(_ key: String, _ pairs: [(String, String)]) -> [String] {
        pairs.isEmpty ? [] : ["\(key):"] + pairs.map { "  \($0): \($1)" }
    }

    private func quantities(_ limits: Limits) -> [(String, String)] {
        LimitField.all.compactMap { field in
            limits[field].map { (field.key, Quantity.format($0, as: field.unit)) }
        }
    }

    private func dumped(_ rule: SyscallRule) -> [String] {
        var lines = wrapped(rule.names, first: "    - names: [", next: "              ", last: "]")
        lines.append("      action: \(rule.action.word)")
        if case .errno(let number) = rule.action { lines.append("      errnoRet: \(Errno.name(number))") }
        if !rule.conditions.isEmpty { lines.append("      args:") }
        for condition in rule.conditions {
            let values = condition.values.map(hexadecimal).joined(separator: ", ")
            let list = condition.values.count == 1 ? values : "[\(values)]"
            let operands = condition.op == .maskedEqual
                ? "value: \(hexadecimal(condition.mask)), valueTwo: \(list)" : "value: \(list)"
            lines.append("        - {index: \(condition.index), op: \(condition.op.rawValue), \(operands)}")
        }
        return lines + ["      why: \(yaml(rule.why))"]
    }

    private func hexadecimal(_ value: UInt64) -> String { value < 10 ? "\(value)" : "0x" + String(value, radix: 16) }

    /// Double-quoted, with escapes that YAML and JSON share.
    private func yaml(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

/// Words with commas between them, in lines of at most 118 columns.
func wrapped(_ words: [String], first: String, next: String, last: String = "") -> [String] {
    let pieces = words.enumerated().map { index, word in word + (index + 1 < words.count ? "," : last) }
    return wrapped(pieces: pieces, first: first, next: next)
}

/// Pieces with spaces between them, in lines of at most 118 columns.
func wrapped(pieces: [String], first: String, next: String) -> [String] {
    var lines: [String] = []
    var line = first
    var isFresh = true
    for piece in pieces {
        if !isFresh, line.count + 1 + piece.count > 118 {
            lines.append(line)
            line = next
            isFresh = true
        }
        line += (isFresh ? "" : " ") + piece
        isFresh = false
    }
    return lines + [line]
}
