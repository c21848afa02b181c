// A suite's result for a person: what did not pass and why, then one line of totals.

import SandboxCore

struct TestSummary {
    var report: TestReport
    var style: Style
    var width: Int
    /// Whether tests that passed are listed too.
    var all: Bool

    func lines() -> [String] {
        var lines: [String] = []
        let shown = report.tests.filter { all || $0.outcome != .passed }
        for test in shown {
            let time = test.durationMs.map { Human.time($0) } ?? ""
            let word = test.outcome.rawValue
            let name = Human.safe(test.id)
            let room = max(20, width - 11 - time.count - 2)
            let cut = name.count > room ? "…" + String(name.suffix(room - 1)) : name
            let gap = String(repeating: " ", count: max(2, width - 11 - cut.count - time.count))
            let line = painted(test.outcome, word) + String(repeating: " ", count: 9 - word.count) + "  " + cut
            lines.append(time.isEmpty ? line : line + gap + style.dim(time))
            guard test.outcome == .failed || test.outcome == .error else { continue }
            for reason in Self.tail(test.message, lines: 12) {
                let cut = reason.count > width - 11 ? String(reason.prefix(max(1, width - 12))) + "…" : reason
                lines.append("           " + style.dim(cut))
            }
        }
        if !lines.isEmpty { lines.append("") }
        return lines + [totals()]
    }

    private func totals() -> String {
        var parts: [String] = []
        for outcome in TestOutcome.allCases {
            let count = report.count(outcome)
            if count > 0 { parts.append(painted(outcome, "\(Human.count(count)) \(outcome.rawValue)")) }
        }
        if parts.isEmpty { parts = ["no tests were found"] }
        var line = parts.joined(separator: ", ")
        if let resolved = report.resolved { line += resolved ? ", " + style.green("resolved") : ", " + style.red("not resolved") }
        switch report.completion {
        case .complete: break
        case .endedEarly(let reason): line += "; " + style.red("the suite ended early: ") + Human.safe(reason)
        case .unreadable(let reason): line += "; " + style.red("no report that can be believed: ") + Human.safe(reason)
        }
        return line
    }

    private func painted(_ outcome: TestOutcome, _ text: String) -> String {
        switch outcome {
        case .passed, .xfailed: style.green(text)
        case .failed, .error: style.red(text)
        case .skipped, .xpassed: style.yellow(text)
        }
    }

    /// The end of a message says most: an assertion stands last.
    static func tail(_ text: String, lines: Int) -> [String] {
        let all = text.split(whereSeparator: \.isNewline).map { Human.safe(String($0)) }
        return all.count > lines ? ["…"] + all.suffix(lines) : all
    }
}
