// `paddock run`: one job, here and now, by the same engine the daemon has.

import ArgumentParser
import Foundation
import SandboxCore

struct Run: AsyncParsableCommand {
    static let verb = "run"

    static let configuration = CommandConfiguration(
        commandName: verb, _superCommandName: "paddock",
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

    @Option(help: ArgumentHelp("The image to run in.", valueName: "name")) var image = LocalJob().image
    @Option(help: ArgumentHelp("The policy to run under.", valueName: "name")) var policy = LocalJob().policy
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
        try await job.run()
    }

    private var job: LocalJob {
        LocalJob(
            image: image, policy: policy, limit: limit, file: file, env: env, cwd: cwd, stdin: stdin, collect: collect, outputDir: outputDir,
            language: language, tests: tests, framework: framework, report: report, json: json, trace: trace, dryRun: dryRun, words: words)
    }
}
