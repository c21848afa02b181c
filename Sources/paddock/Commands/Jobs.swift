// `paddock jobs`: what a farm's jobs are doing, one of them in full, and an end to it.

import ArgumentParser
import Foundation
import SandboxCore
import Wire

struct Jobs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List, show and cancel a farm's jobs.",
        discussion: """
            A job that has ended is known as long as its result is kept: those that were \
            submitted, or had a key.

            Examples:
              paddock jobs list --state running
              paddock jobs show j-mi9zk2a1-4
              paddock jobs cancel j-mi9zk2a1-4 j-mi9zk2a1-5
            """,
        subcommands: [List.self, Show.self, Cancel.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the newest jobs.", discussion: "Example:\n  paddock jobs list --state queued --pool default --limit 20")
        @OptionGroup var address: FarmAddress
        @Option(help: ArgumentHelp("Only jobs that are so far.", valueName: "state"), completion: .list(JobState.allCases.map(\.rawValue)))
        var state: JobState?
        @Option(help: ArgumentHelp("Only this pool's.", valueName: "name")) var pool: String?
        @Option(help: ArgumentHelp("At most this many.", valueName: "n")) var limit = 50
        @Flag(help: "Print JSON, as on the wire.") var json = false

        func run() async throws {
            guard (1...100_000).contains(limit) else { throw UserError("--limit: found \(limit), expected 1 to 100000") }
            let list = try await address.connect().jobs(JobFilter(state: state, pool: pool, limit: limit))
            if json { return Console.out(bytes: MachineForm.line(.jobs(list))) }
            guard !list.jobs.isEmpty else { return Console.out("no jobs") }
            let style = Style(1)
            JobTables.lines(list.jobs, width: Console.width(), style: style).forEach(Console.out)
            if list.total > list.jobs.count {
                Console.out(style.dim("the newest \(Human.count(list.jobs.count)) of \(Human.count(list.total)); --limit shows more"))
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show one job and, when it has ended, its result.", discussion: "Example:\n  paddock jobs show j-mi9zk2a1-4 --json")
        @OptionGroup var address: FarmAddress
        @Argument(help: "The job's id.") var job: String
        @Flag(help: "Print JSON, as on the wire.") var json = false

        func run() async throws {
            let status = try await address.connect().job(JobID(job))
            if json { return Console.out(bytes: MachineForm.line(.status(status))) }
            JobTables.lines(status, style: Style(1), width: Console.width()).forEach(Console.out)
        }
    }

    struct Cancel: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "End jobs, queued or running.", discussion: "Example:\n  paddock jobs cancel j-mi9zk2a1-4 j-mi9zk2a1-5")
        @OptionGroup var address: FarmAddress
        @Argument(help: "The jobs' ids.") var jobs: [String]
        @Flag(help: "Print one line of JSON for each job, as on the wire.") var json = false

        func run() async throws {
            let client = try await address.connect()
            var failed = false
            for id in jobs {
                do {
                    let state = try await client.cancelJob(JobID(id))
                    if json {
                        Console.out(bytes: MachineForm.line(.state(JobID(id), state)))
                    } else {
                        Console.out("\(Human.safe(id)): \(state == .done ? "had ended already" : "cancelled while \(state.rawValue)")")
                    }
                } catch ClientError.rejected(let rejected) where jobs.count > 1 {
                    Complaint(ClientError.rejected(rejected) as any Error).tell()
                    failed = true
                }
            }
            if failed { throw ExitCode(Exit.usage) }
        }
    }
}

extension JobState: ExpressibleByArgument {}
