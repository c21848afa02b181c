// One job, here and now: what `paddock run` does once its command line is read.

import Foundation
import Images
import LinuxSystem
import SandboxCore
import StrictYAML
import Wire

/// The options of `paddock run`, each as it is without being given.
struct LocalJob: Sendable {
    var image = "host"
    var policy = "default"
    var limit: [String] = []
    var file: [String] = []
    var env: [String] = []
    var cwd: String?
    var stdin: String?
    var collect: [String] = []
    var outputDir: String?
    var language: String?
    var tests: String?
    var framework: String?
    var report: String?
    var json = false
    var trace = false
    var dryRun = false
    /// A command after `--`, or a source file with its arguments.
    var words: [String] = []

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        let began = ContinuousClock.now
        try checkOptions()
        let layout = try Layout.find()
        // Whatever can be wrong with the command line shows before anything is started.
        let description = try JobDescription(self, layout)
        var output: OutputDirectory?
        if !dryRun { output = try outputDir.map { try OutputDirectory($0) } }
        let input = try stdin.map { try JobInput.file($0) } ?? (tests == nil ? JobInput.inherited() : .empty)
        if dryRun { return try await printPlan(description, input, layout) }

        let interruption = JobInterruption()
        let farm = try await LocalFarm.start(layout, image: image, policy: policy)
        let started = ContinuousClock.now
        let (result, loss): (JobResult, Errno?)
        do { (result, loss) = try await carryOut(description, input, farm, interruption) } catch {
            interruption.jobIsOver()
            await farm.stop()
            throw error
        }
        let isCut = interruption.hasHappened && showsOutput && result.outcome.kind != .cancelled
        interruption.jobIsOver()
        // Before anything is said: where that cannot be written this process ends.
        await farm.stop()
        try output?.write(result.files)
        tell(result, start: started - began, loss: loss)
        if isCut { Console.note("paddock: interrupted: the rest of the output was dropped") }
        // A reader that goes when it has what it wants is no failure.
        let isLost = isCut || loss.map { $0.code != EPIPE } ?? false
        // From here: on the way back the main thread's work would need a new thread.
        exit(isLost ? Exit.failed : Verdict.exitCode(result))
    }

    /// Whether the program's output is passed on as it comes.
    private var showsOutput: Bool { !json && tests == nil }

    private func carryOut(
        _ description: JobDescription, _ input: JobInput, _ farm: LocalFarm, _ interruption: JobInterruption
    ) async throws -> (JobResult, loss: Errno?) {
        let relay = OutputRelay(failed: interruption.endJob)
        let task = Task.immediate(executorPreference: MainThread.shared) { [showsOutput] in
            let request = try await description.request(in: farm, streams: showsOutput)
            return try await farm.run(request, input: input, relay: showsOutput ? relay : nil)
        }
        interruption.ends(task, relay)
        return (try await task.value, relay.loss)
    }

    private func printPlan(_ description: JobDescription, _ input: JobInput, _ layout: Layout) async throws {
        let request = try await description.request(in: nil, streams: true)
        let plan = try await LocalFarm.plan(request, input: input, layout, image: image, policy: policy)
        Console.out(json ? try MachineForm.json(plan) : plan.text(Style(1)))
    }

    /// What there is to say once the job is over.
    private func tell(_ result: JobResult, start: Duration, loss: Errno?) {
        if json {
            Console.out(bytes: MachineForm.line(.result(result)))
        } else if let tests = result.tests {
            TestSummary(report: tests, style: Style(1), width: Console.width(), all: true).lines().forEach(Console.out)
        }
        let notes = RunNotes(result: result, style: Style(2), loss: loss)
        notes.tell(withOutput: !json && tests != nil, compile: !json)
        if trace { notes.trace(start: start) }
    }

    private func checkOptions() throws {
        // The parser hands everything from the first word it does not know to the program.
        if let first = words.first, first.hasPrefix("-"), first != "--", first != "-" {
            let known = ["image", "policy", "limit", "file", "env", "cwd", "stdin", "collect", "output-dir", "language", "tests", "framework",
                "report", "json", "trace", "dry-run", "help"].map { "--\($0)" }
            let name = String(first.prefix { $0 != "=" })
            throw UserError(
                "unknown option '\(Human.safe(name))'",
                hint: nearestName(to: name, among: known).map { "did you mean '\($0)'?" } ?? "a command stands after --: paddock run -- COMMAND")
        }
        if outputDir != nil && collect.isEmpty {
            throw UserError("--output-dir: found no --collect, expected what to bring back", hint: "for example --collect 'out/*.txt'")
        }
        if !collect.isEmpty && outputDir == nil && !json && !dryRun {
            throw UserError("--collect: expected --output-dir, where the files go", hint: "or --json, where they are part of the result")
        }
        if framework != nil && tests == nil { throw UserError("--framework: expected --tests PATH beside it") }
        if report != nil && tests == nil { throw UserError("--report: expected --tests PATH beside it") }
        if language != nil && tests != nil { throw UserError("--language: expected a source file, not --tests") }
    }
}
