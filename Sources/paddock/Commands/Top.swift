// `paddock top`: the farm as it lives, redrawn until q.

import ArgumentParser
import Foundation
import SandboxCore
import Wire

struct Top: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Watch a farm live: its figures, pools and running jobs.",
        discussion: """
            q or ^C ends it. Without a terminal it prints one screen, as with --once.

            Examples:
              paddock top
              paddock top --interval 0.5
              paddock top --once
              paddock top --pool builds
            """)

    @OptionGroup var address: FarmAddress
    @Option(help: ArgumentHelp("Seconds between two screens.", valueName: "seconds")) var interval = 1.0
    @Option(help: ArgumentHelp("Whose stages to show (default: of all pools together).", valueName: "name")) var pool: String?
    @Flag(help: "Print one screen and end.") var once = false
    @Flag(help: "Print one JSON object per screen: {\"stats\", \"pools\", \"jobs\"}, each as on the wire.") var json = false

    func run() async throws {
        guard interval >= 0.1, interval <= 3600 else { throw UserError("--interval: found \(interval), expected 0.1 to 3600 seconds") }
        let client = try await address.connect()
        if json { return try await printJSON(client) }
        guard !once, isatty(0) == 1, let screen = LiveScreen() else {
            return try await lines(client, width: Console.width(), jobs: 20).forEach(Console.out)
        }
        var failure: (any Error)?
        do {
            repeat {
                let size = Console.size() ?? (80, 24)
                // Asked for more than fit only where the rest is to be counted.
                screen.draw(try await lines(client, width: size.columns, jobs: size.rows), rows: size.rows)
            } while screen.wait(seconds: interval)
        } catch {
            failure = error
        }
        screen.close()
        if let failure { throw failure }
    }

    private func lines(_ client: Client, width: Int, jobs: Int) async throws -> [String] {
        let style = Style(1)
        let screen = try await FarmScreen.ask(client, socket: address.path, pool: pool, style: style, width: width)
        var lines = screen.lines()
        guard screen.stats != nil else { return lines }
        let running = try await client.jobs(JobFilter(state: .running, limit: jobs))
        lines.append("")
        if running.jobs.isEmpty {
            lines.append(style.dim("no job is running"))
        } else {
            lines += JobTables.lines(running.jobs, width: width, style: style)
        }
        return lines
    }

    private func printJSON(_ client: Client) async throws {
        while true {
            let stats = Bare.result(.stats(try await client.farmStats()))
            let pools = Bare.result(.pools(try await client.pools())).dropFirst().dropLast()
            let jobs = Bare.result(.jobs(try await client.jobs(JobFilter(state: .running, limit: 1000)))).dropFirst().dropLast()
            var line = Array("{\"stats\":".utf8)
            line += stats
            for member in [pools, jobs] {
                line.append(UInt8(ascii: ","))
                line += member
            }
            line += Array("}\n".utf8)
            Console.out(bytes: line)
            if once { return }
            try await Task.sleep(for: .seconds(interval))
        }
    }
}
