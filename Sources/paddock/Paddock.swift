// The one executable: each verb is a file in Commands, and Composition puts the rooms together.

import ArgumentParser
import Foundation

@main
enum Main {
    static func main() {
        // What is opened later must never become one of the three standard streams.
        for descriptor: Int32 in 0...2 where fcntl(descriptor, F_GETFD) == -1 {
            _ = open("/dev/null", descriptor == 0 ? O_RDONLY : O_WRONLY)
        }
        // The doctor's assistant has to be alone in its process.
        if CommandLine.arguments.dropFirst().first == ProbeProcess.verb { ProbeProcess.answerAndExit() }
        begin()
        MainThread.shared.serve()
    }

    /// On this thread as far as it goes without waiting. A main function that is itself asynchronous would first go to another thread, and
    /// have Dispatch serve a main queue that nobody uses.
    private nonisolated static func begin() {
        // A job alone stays here after that as well; a farm is for many threads.
        Task.immediate(executorPreference: CommandLine.arguments.dropFirst().first == Run.verb ? MainThread.shared : nil) {
            do {
                try await carryOut()
                exit(0)
            } catch {
                Complaint.endProcess(with: error)
            }
        }
    }

    private nonisolated static func carryOut() async throws {
        if let job = commandAlone() { return try await job.run() }
        var command = try parsed()
        if var asynchronous = command as? any AsyncParsableCommand {
            try await asynchronous.run()
        } else {
            try command.run()
        }
    }
}

extension Main {
    /// `paddock run -- COMMAND…`: without options there is nothing to parse, and the parser takes longer than many a command.
    private static func commandAlone() -> LocalJob? {
        let words = CommandLine.arguments.dropFirst()
        guard words.first == Run.verb, words.dropFirst().first == "--" else { return nil }
        return LocalJob(words: Array(words.dropFirst()))
    }

    /// The command line. What is run a thousand times a day does not wait for the parser to learn of every other verb.
    private static func parsed() throws -> any ParsableCommand {
        let words = Array(CommandLine.arguments.dropFirst())
        guard words.first == Run.verb else { return try Paddock.parseAsRoot(words) }
        // What stands behind -- is the program's. The parser would only hand it on, in a time that grows with the square of its length.
        let own = words.dropFirst().prefix { $0 != "--" }
        let command = try Run.parseAsRoot(Array(own))
        guard var run = command as? Run else { return command }
        run.words += words[own.endIndex...]
        return run
    }
}

struct Paddock: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "paddock",
        abstract: "Runs code nobody has read yet; its verdicts can be trusted.",
        discussion: """
            Examples:
              paddock run -- python3 -c 'print(6 * 7)'    one command, here and now
              paddock run solution.py < input.txt         a source file
              paddock run --tests tests/                  a project's unit tests
              paddock serve                               a farm for many clients
              paddock submit jobs.jsonl                   a batch of jobs for the farm
              paddock doctor                              what this host can enforce

            Exit codes: 0 succeeded, 1 the program or a check failed, 2 wrong usage,
            3 Paddock failed. docs/cli.md has more.
            Completions: paddock --generate-completion-script bash|zsh|fish
            """,
        version: Version.text,
        subcommands: [
            Run.self, Serve.self, Submit.self, Status.self, Top.self, Pools.self, Jobs.self, Policies.self, ImagesCommand.self,
            Doctor.self,
        ])
}

enum Version {
    static let text = "0.1.0"
}
