// What `paddock run` says on standard error when the job is over: why it did not succeed, what was blocked, what this
// host did not enforce, and with --trace where the time went.

import Foundation
import LinuxSystem
import SandboxCore

struct RunNotes {
    var result: JobResult
    var style: Style
    /// Why the job's output could not be passed on, and it was ended if it still ran.
    var loss: Errno?

    /// - Parameters:
    ///   - withOutput: the program's own output was not shown yet (a suite's), so its end is, where the suite broke.
    ///   - compile: what the compiler said is shown where it failed.
    func tell(withOutput: Bool, compile: Bool) {
        if compile, result.phase == .compile, let step = result.compile {
            for output in [step.stdout, step.stderr] { show(output) }
        }
        if withOutput, let tests = result.tests, tests.completion != .complete {
            show(result.stdout, last: 40)
            show(result.stderr, last: 40)
        }
        // Of a suite that ended as suites with failures do, the summary has said it all.
        let toldByTests = result.tests?.completion == .complete
        if let loss, loss.code != EPIPE {
            note(style.red("its output could not be written: \(loss.sentence)"))
        } else if loss != nil, case .cancelled = result.outcome {
            note(style.yellow("cancelled: nobody reads its output any more"))
        } else if !toldByTests, let sentence = Verdict.sentence(result.outcome, phase: result.phase) {
            // A shell's own words would have been on standard error.
            let notFound = result.outcome == .exited(code: 127) && result.stderr.totalBytes == 0 && result.stdout.totalBytes == 0
            note(style.red(sentence) + (notFound ? ": there is no such command in the sandbox" : ""))
        }
        if let denied = Verdict.denied(result.denied) { note(style.yellow(denied)) }
        let truncated = result.files.filter { $0.size > $0.bytes.count }.map { Human.safe($0.path) }
        if !truncated.isEmpty { note(style.yellow("cut because of their size: \(truncated.joined(separator: ", "))")) }
        if !result.filesSkipped.isEmpty {
            note(style.yellow("not brought back, because their names are not UTF-8: \(result.filesSkipped.prefix(8).map { Human.safe($0) }.joined(separator: ", "))"))
        }
        if result.filesTruncated {
            note(style.yellow("not all files that match were brought back: \(result.files.count) were, see 'collect' in docs/protocol.md"))
        }
        if !result.unenforced.isEmpty {
            note(style.yellow("not enforced on this host: \(result.unenforced.joined(separator: ", "))") + " (see 'paddock doctor')")
        }
    }

    /// - Parameter start: what this command itself took before the job began.
    func trace(start: Duration) {
        let usage = result.usage
        let stages = usage.stages
        func line(_ label: String, _ value: String) {
            Console.note("  " + style.dim(label.padding(toLength: 12, withPad: " ", startingAt: 0)) + value)
        }
        note("where the time went")
        line("start", Human.time(Double(start.components.attoseconds) / 1e15 + Double(start.components.seconds) * 1000) + style.dim("   policies, warden"))
        line("queued", Human.time(stages.queuedMs))
        line("setup", Human.time(stages.setupMs) + style.dim("   namespaces, root filesystem, cgroup"))
        if let compile = result.compile { line("compile", Human.time(compile.usage.wallTimeMs)) }
        let waited = usage.throttledMs.map { style.dim(", waited for a processor ") + Human.time($0) } ?? ""
        line("run", Human.time(usage.wallTimeMs) + style.dim("   cpu ") + Human.time(usage.cpuTimeMs) + waited)
        line("teardown", Human.time(stages.teardownMs))
        var used: [String] = []
        if let memory = usage.peakMemoryBytes { used.append("memory \(Human.bytes(memory))") }
        if let processes = usage.peakProcesses { used.append(Human.counted(processes, "process", plural: "processes")) }
        if let disk = usage.diskBytes { used.append("disk \(Human.bytes(disk))") }
        if let inodes = usage.diskInodes { used.append(Human.counted(inodes, "inode")) }
        if !used.isEmpty { line("at most", used.joined(separator: ", ")) }
    }

    private func note(_ text: String) { Console.note("paddock: " + text) }

    private func show(_ output: Output, last: Int = .max) {
        guard output.totalBytes > 0 else { return }
        let text = String(decoding: output.head, as: UTF8.self)
            + (output.truncated ? "\n… \(Human.bytes(output.totalBytes - output.head.count - output.tail.count)) left out …\n" : "")
            + String(decoding: output.tail, as: UTF8.self)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let shown = lines.count > last ? ["…"] + lines.suffix(last) : lines[...]
        for line in shown.last?.isEmpty == true ? shown.dropLast() : shown { Console.note(Human.safe(String(line), limit: 4000)) }
    }
}
