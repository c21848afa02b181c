// `paddock status`: the farm on one screen.

import ArgumentParser
import Foundation
import Wire

struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show a farm: its host, its jobs, its pools.",
        discussion: """
            Figures and pools are shown to the daemon's own user and to root.

            Examples:
              paddock status
              paddock status --pool builds
              paddock status --socket /tmp/farm.sock --json
            """)

    @OptionGroup var address: FarmAddress
    @Option(help: ArgumentHelp("Whose stages to show (default: of all pools together).", valueName: "name")) var pool: String?
    @Flag(help: "Print {\"info\", \"stats\", \"pools\"} as JSON, each as on the wire.") var json = false

    func run() async throws {
        let client = try await address.connect()
        let screen = try await FarmScreen.ask(client, socket: address.path, pool: pool, style: Style(1), width: Console.width())
        await client.close()
        guard json else { return screen.lines().forEach(Console.out) }
        var bytes = Array(#"{"info":"#.utf8) + Bare.result(.info(screen.info))
        if let stats = screen.stats { bytes += Array(#","stats":"#.utf8) + Bare.result(.stats(stats)) }
        if let pools = screen.pools {
            // `{"pools":[…]}` without its braces is the member itself.
            bytes += Array(",".utf8) + Bare.result(.pools(pools)).dropFirst().dropLast()
        }
        Console.out(bytes: bytes + Array("}\n".utf8))
    }
}
