// One thing the doctor looked at.

struct Finding: Encodable, Sendable {
    enum State: String, Encodable, Sendable {
        case ok
        /// Works, but something is weaker or will be in the way of a bigger farm.
        case weak
        /// Jobs that need it cannot run, or run without it being enforced.
        case missing
        /// Worth knowing, neither good nor bad.
        case note
    }

    var section: String
    var name: String
    var state: State
    /// What was found.
    var found: String
    /// What follows from it, where that is not plain.
    var why: String?
    /// How to mend it.
    var fix: String?

    init(_ section: String, _ name: String, _ state: State, _ found: String, why: String? = nil, fix: String? = nil) {
        self.section = section
        self.name = name
        self.state = state
        self.found = found
        self.why = why
        self.fix = fix
    }
}

struct Diagnosis: Encodable, Sendable {
    var healthy: Bool
    /// In the words of results.
    var unenforced: [String]
    var findings: [Finding]

    func lines(style: Style, width: Int) -> [String] {
        var lines: [String] = []
        var section = ""
        let column = findings.reduce(0) { max($0, $1.name.count) }
        for finding in findings {
            if finding.section != section {
                if !section.isEmpty { lines.append("") }
                section = finding.section
                lines.append(style.bold(section))
            }
            let word = switch finding.state {
            case .ok: style.green("ok")
            case .weak: style.yellow("weak")
            case .missing: style.red("missing")
            case .note: style.dim("note")
            }
            let indent = 2 + 9 + column + 2
            let head = "  " + word + String(repeating: " ", count: 9 - finding.state.rawValue.count) + finding.name.padding(to: column) + "  "
            let found = Human.wrap(finding.found, width: width - indent)
            lines.append(head + (found.first ?? ""))
            let rest = found.dropFirst() + Human.wrap(finding.why ?? "", width: width - indent)
            for line in rest { lines.append(String(repeating: " ", count: indent) + line) }
            for (index, line) in Human.wrap(finding.fix ?? "", width: width - indent - 5).enumerated() {
                lines.append(String(repeating: " ", count: indent) + (index == 0 ? style.bold("fix: ") : "     ") + line)
            }
        }
        lines.append("")
        if !healthy {
            lines.append(style.red("This host cannot run jobs yet: mend what is missing above."))
        } else if unenforced.isEmpty {
            lines.append(style.green("This host enforces everything."))
        } else {
            lines.append(style.yellow("This host runs jobs, but does not enforce: \(unenforced.joined(separator: ", "))."))
        }
        return lines
    }
}
