// `paddock pool`: what an operator does with a farm's pools.

import ArgumentParser
import Foundation
import SandboxCore
import Wire

struct Pools: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pool",
        abstract: "List, change, drain and resume a farm's pools.",
        discussion: """
            Examples:
              paddock pool list
              paddock pool set default --size 8 --queue 50000
              paddock pool set heavy --size 2 --image python --policy build
              paddock pool set rollouts --size 8 --reuse group
              paddock pool set default --templates python,pytest
              paddock pool drain heavy --wait
              paddock pool resume heavy
            """,
        subcommands: [List.self, Set.self, Drain.self, Resume.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show the pools.", discussion: "Example:\n  paddock pool list --json")
        @OptionGroup var address: FarmAddress
        @Flag(help: "Print JSON, as on the wire.") var json = false

        func run() async throws {
            let pools = try await address.connect().pools()
            if json { return Console.out(bytes: MachineForm.line(.pools(pools))) }
            FarmScreen.table(of: pools, width: Console.width(), style: Style(1)).forEach(Console.out)
        }
    }

    struct Set: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change a pool, or make one.",
            discussion: """
                What is not given stays as it is; a new pool gets size 2, queue 10000, image \
                host, policy default, and a fresh sandbox for each job.

                Example:
                  paddock pool set heavy --size 2 --image python --policy build
                """)
        @OptionGroup var address: FarmAddress
        @Argument(help: "The pool's name: a-z, 0-9, '-', '_' and '.'.") var pool: String
        @Option(help: ArgumentHelp("Jobs that run at once.", valueName: "n")) var size: Int?
        @Option(help: ArgumentHelp("Jobs that may wait.", valueName: "n")) var queue: Int?
        @Option(help: ArgumentHelp("For jobs that name no image.", valueName: "name")) var image: String?
        @Option(help: ArgumentHelp("For jobs that name no policy.", valueName: "name")) var policy: String?
        @Option(help: ArgumentHelp("none: a fresh sandbox for each job; group: one for jobs of the same group.", valueName: "none|group"))
        var reuse: SandboxReuse?
        @Option(help: ArgumentHelp("Interpreters of its image that are kept loaded, by name; none to keep none.", valueName: "name,…"))
        var templates: String?
        @Flag(help: "Print the pool as JSON, as on the wire.") var json = false

        func run() async throws {
            guard size != nil || queue != nil || image != nil || policy != nil || reuse != nil || templates != nil else {
                throw UserError("nothing to change: expected --size, --queue, --image, --policy, --reuse or --templates", hint: "for example paddock pool set \(pool) --size 4")
            }
            let names = templates.map { $0 == "none" ? [] : $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
            let change = PoolChange(pool: pool, size: size, queue: queue, image: image, policy: policy, templates: names, reuse: reuse)
            try await Pools.show(.poolSet(change), address, json)
        }
    }

    struct Drain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let a pool take no new jobs and finish those it has.", discussion: "Example:\n  paddock pool drain default --wait")
        @OptionGroup var address: FarmAddress
        @Argument(help: "The pool's name.") var pool: String
        @Flag(help: "Wait until it has no job left.") var wait = false
        @Flag(help: "Print the pool as JSON, as on the wire.") var json = false

        func run() async throws {
            let client = try await address.connect()
            var status = try await client.pool(.poolDrain(pool))
            while wait, status.queued + status.running > 0 {
                try await Task.sleep(for: .milliseconds(200))
                guard let now = try await client.pools().first(where: { $0.name == pool }) else { break }
                status = now
            }
            Pools.show(status, json)
        }
    }

    struct Resume: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let a drained pool take jobs again.", discussion: "Example:\n  paddock pool resume default")
        @OptionGroup var address: FarmAddress
        @Argument(help: "The pool's name.") var pool: String
        @Flag(help: "Print the pool as JSON, as on the wire.") var json = false

        func run() async throws { try await Pools.show(.poolResume(pool), address, json) }
    }

    private static func show(_ call: Call, _ address: FarmAddress, _ json: Bool) async throws {
        show(try await address.connect().pool(call), json)
    }

    private static func show(_ pool: PoolStatus, _ json: Bool) {
        if json { return Console.out(bytes: MachineForm.line(.pool(pool))) }
        FarmScreen.table(of: [pool], width: Console.width(), style: Style(1)).forEach(Console.out)
    }
}

extension SandboxReuse: ExpressibleByArgument {}
