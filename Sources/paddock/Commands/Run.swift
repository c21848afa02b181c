// `paddock run`: one job, here and now, by the same engine the daemon has.

import ArgumentParser
import Foundation
import Images
import SandboxCore
import StrictYAML
import Synchronization
import Wire

struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", _superCommandName: "paddock",
        abstract: "Run one job in a sandbox, without a daemon.",
        usage: """
            paddock run [OPTIONS] -- COMMAND [ARGS…]
            paddock run [OPTIONS] SOURCEFILE [ARGS…]
            paddock run [OPTIONS] --tests PATH [-- FRAMEWORK'S ARGUMENTS…]
            """,
        discussion: """
            The program's output is passed on as it comes. Why a job did not succeed is \
            said in one line on standard error. Options stand before the command or the \
            file; what follows belongs to the program.

            Exit codes: 0 the program (or every test) succeeded; 1 it failed, or a limit, \
            the policy or ^C ended it; 2 wrong usage, nothing was run; 3 Paddock failed.

            Limits: \(LimitField.all.map(\.name).joined(separator: ", ")).

            Examples:
              paddock run -- python3 -c 'print(6 * 7)'
              paddock run solution.py < input.txt
              paddock run --limit memory=256m --limit cpu_time=2s slow.py
              paddock run --file data.csv --collect 'out/*' --output-dir got crunch.py
              paddock run --tests tests/
              paddock run --tests . --framework tap -- prove -v t/
              paddock run --dry-run main.cpp
            """,
        version: Version.text)

    @Option(help: ArgumentHelp("The image to run in.", valueName: "name")) var image = "host"
    @Option(help: ArgumentHelp("The policy to run under.", valueName: "name")) var policy = "default"
    @Option(help: ArgumentHelp("A bound, such as memory=256m, cpu_time=10s or processes=8. Repeatable.", valueName: "name=value"))
    var limit: [String] = []
    @Option(help: ArgumentHelp("A file or directory to place, by default under its own name. Repeatable.", valueName: "path[:dest]"), completion: .file())
    var file: [String] = []
    @Option(help: ArgumentHelp("A variable of the program's environment; a name alone takes its value here. Repeatable.", valueName: "name=value"))
    var env: [String] = []
    @Option(help: ArgumentHelp("The working directory in the sandbox (default: /workspace).", valueName: "dir")) var cwd: String?
    @Option(help: ArgumentHelp("Standard input from a file instead of this command's own.", valueName: "file"), completion: .file())
    var stdin: String?
    @Option(help: ArgumentHelp("A file to bring back; *, ? and ** match several. Repeatable.", valueName: "pattern")) var collect: [String] = []
    @Option(help: ArgumentHelp("Where the files brought back go.", valueName: "dir"), completion: .directory) var outputDir: String?
    @Option(help: ArgumentHelp("The source file's language, where its ending does not say.", valueName: "name")) var language: String?
    @Option(help: ArgumentHelp("Run the unit tests in a file or directory, with the project around it.", valueName: "path"), completion: .file())
    var tests: String?
    @Option(help: ArgumentHelp("pytest, unittest, junit, tap or go_json (default: pytest if the image has it, else unittest).", valueName: "name"))
    var framework: String?
    @Option(help: ArgumentHelp("Where a junit or tap command leaves its report.", valueName: "path")) var report: String?
    @Flag(help: "Print the result as JSON, exactly as on the wire, instead of the program's output.") var json = false
    @Flag(help: "Say how long each stage took and what was used.") var trace = false
    @Flag(help: "Print what would be run and how, and run nothing.") var dryRun = false
    @Argument(
        parsing: .captureForPassthrough,
        help: ArgumentHelp("A command after --, or a source file with its arguments.", valueName: "command"))
    var words: [String] = []

    func run() async throws {
        if ["--help", "-h"].contains(words.first) { throw CleanExit.helpRequest(self) }
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

        let farm = try await LocalFarm.start(layout, image: image, policy: policy)
        let started = ContinuousClock.now
        let code: Int32
        do {
            let (result, readerGone) = try await carryOut(description, input, farm)
            try output?.write(result.files)
            report(result, start: started - began, readerGone: readerGone)
            code = Verdict.exitCode(result)
        } catch {
            await farm.stop()
            throw error
        }
        await farm.stop()
        throw ExitCode(code)
    }

    /// Runs the job; ^C ends it, a second one ends this process at once (and with it everything in the sandbox).
    private func carryOut(_ description: JobDescription, _ input: JobInput, _ farm: LocalFarm) async throws -> (JobResult, readerGone: Bool) {
        let running = Mutex<(task: Task<JobResult, any Error>?, interrupts: Int)>((nil, 0))
        let cancel: @Sendable () -> Void = { running.withLock { $0.task }?.cancel() }
        let relay = OutputRelay(readerGone: cancel)
        let interrupts = Interrupts { _ in
            let count = running.withLock { state in
                state.interrupts += 1
                return state.interrupts
            }
            if count > 1 { _exit(130) }
            relay.stop()
            cancel()
        }
        defer { _ = interrupts }
        let streams = !json && tests == nil
        let task = Task {
            let request = try await description.request(in: farm, streams: streams)
            return try await farm.run(request, input: input, relay: streams ? relay : nil)
        }
        let interrupted = running.withLock { state in
            state.task = task
            return state.interrupts > 0
        }
        if interrupted { task.cancel() }
        return (try await task.value, relay.isReaderGone)
    }

    private func printPlan(_ description: JobDescription, _ input: JobInput, _ layout: Layout) async throws {
        let request = try await description.request(in: nil, streams: true)
        let plan = try await LocalFarm.plan(request, input: input, layout, image: image, policy: policy)
        Console.out(json ? try MachineForm.json(plan) : plan.text(Style(1)))
    }

    /// What there is to say once the job is over.
    private func report(_ result: JobResult, start: Duration, readerGone: Bool) {
        if json {
            Console.out(bytes: MachineForm.line(.result(result)))
        } else if let tests = result.tests {
            TestSummary(report: tests, style: Style(1), width: Console.width(), all: true).lines().forEach(Console.out)
        }
        let notes = RunNotes(result: result, style: Style(2), readerGone: readerGone)
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
