// Jobs of a farm as a table and one by one.

import SandboxCore
import Wire

enum JobTables {
    static func lines(_ jobs: [JobStatus], width: Int, style: Style) -> [String] {
        var table = Table([
            .init("JOB"), .init("STATE"), .init("POOL", shrinks: true), .init("AGE", .right), .init("GROUP", shrinks: true),
            .init("ROLLOUT", shrinks: true),
        ])
        for job in jobs {
            let paint: (@Sendable (String) -> String)? = switch job.state {
            case .running: { style.green($0) }
            case .queued: { style.yellow($0) }
            case .done: nil
            }
            table.add([
                .init(Human.safe(job.job.text), style.bold), .init(job.state.rawValue, paint), .init(Human.safe(job.pool)),
                .init(Human.time(job.submittedMsAgo)), .init(Human.safe(job.labels.group ?? "-")), .init(Human.safe(job.labels.rollout ?? "-")),
            ])
        }
        return table.lines(width: width, style: style)
    }

    /// Everything about one job that a person wants at once; the whole of it is in `--json`.
    static func lines(_ job: JobStatus, style: Style, width: Int) -> [String] {
        var lines: [String] = []
        func line(_ label: String, _ value: String) {
            lines.append(style.dim(label.padding(to: 10)) + value)
        }
        line("job", style.bold(Human.safe(job.job.text)))
        line("state", job.state.rawValue)
        line("pool", Human.safe(job.pool))
        if let group = job.labels.group { line("group", Human.safe(group)) }
        if let rollout = job.labels.rollout { line("rollout", Human.safe(rollout)) }
        line("submitted", "\(Human.time(job.submittedMsAgo)) ago")
        if case .failed(let error)? = job.end { line("failed", style.red(Complaint(error as any Error).message)) }
        guard case .result(let result)? = job.end else { return lines }
        line("outcome", Verdict.sentence(result.outcome, phase: result.phase).map(style.red) ?? style.green("succeeded"))
        if let denied = Verdict.denied(result.denied) { line("", style.yellow(denied)) }
        if !result.unenforced.isEmpty { line("", style.yellow("not enforced: \(result.unenforced.map { Human.safe($0) }.joined(separator: ", "))")) }
        if let compile = result.compile {
            let sentence = Verdict.sentence(compile.outcome) ?? "succeeded"
            line("compile", compile.cached ? "\(sentence), for an earlier job (cached)" : "\(sentence), in \(Human.time(compile.usage.wallTimeMs))")
        }
        let usage = result.usage
        var used = ["wall \(Human.time(usage.wallTimeMs))", "cpu \(Human.time(usage.cpuTimeMs))"]
        if let memory = usage.peakMemoryBytes { used.append("memory \(Human.bytes(memory))") }
        if let processes = usage.peakProcesses { used.append(Human.counted(processes, "process", plural: "processes")) }
        line("used", used.joined(separator: ", "))
        let stages = usage.stages
        line("stages", "queued \(Human.time(stages.queuedMs)), setup \(Human.time(stages.setupMs)), run \(Human.time(stages.runMs)), teardown \(Human.time(stages.teardownMs))")
        if !result.files.isEmpty {
            line("files", result.files.prefix(10).map { "\(Human.safe($0.path)) (\(Human.bytes($0.size)))" }.joined(separator: ", ") + (result.files.count > 10 ? ", …" : ""))
        }
        for (name, output) in [("stdout", result.stdout), ("stderr", result.stderr)] where output.totalBytes > 0 {
            lines += ["", style.dim("\(name), \(Human.bytes(output.totalBytes))\(output.truncated ? ", cut" : "")")]
            let text = String(decoding: output.head, as: UTF8.self) + (output.tail.isEmpty ? "" : "\n…\n" + String(decoding: output.tail, as: UTF8.self))
            let all = text.split(separator: "\n", omittingEmptySubsequences: false).map { Human.safe(String($0), limit: 2000) }
            let shown = all.last?.isEmpty == true ? all.dropLast() : all[...]
            lines += shown.count > 40 ? shown.prefix(20) + ["…"] + shown.suffix(20) : Array(shown)
        }
        if let tests = result.tests {
            lines += [""] + TestSummary(report: tests, style: style, width: width, all: true).lines()
        }
        return lines
    }
}

extension String {
    /// With spaces after it up to a width.
    func padding(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
