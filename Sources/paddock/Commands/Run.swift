// `paddock run`: one job, here and now, by the same engine the daemon has.

import ArgumentParser
import Farm
import Foundation
import Logging
import SandboxCore
import Wire

struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run one job in a sandbox, without a daemon.",
        discussion: """
            Exit code: 0 the program succeeded, 1 it failed (or a limit or the policy ended it), 2 or above: Paddock failed.

            Examples:
              paddock run -- python3 -c 'print(1)'
              paddock run solution.py < input.txt
            """)

    @Option(name: .long, help: "The image to run in.") var image = "host"
    @Option(name: .long, help: "The policy to run under.") var policy = "default"
    @Flag(name: .long, help: "Print the result as JSON, as on the wire.") var json = false
    @Argument(parsing: .captureForPassthrough, help: "A command, after --.") var command: [String] = []

    func run() async throws {
        let layout = try Layout.find()
        let engine = try Engine.start(
            layout, configuration: FarmConfiguration(pools: [PoolConfiguration(size: 1, queue: 1, image: image, policy: policy)], blobDirectory: layout.blobs),
            logger: Logger(label: "paddock") { _ in SwiftLogNoOpLogHandler() })
        let words = command.first == "--" ? Array(command.dropFirst()) : command
        let request = JobRequest(work: .command(words), stream: !json)
        let end = try await engine.farm.run(request, client: ClientID(1), standardInput: 0) { _, stream, bytes in
            (stream == .stdout ? FileHandle.standardOutput : .standardError).write(Data(bytes))
        }
        await engine.backend.shutdown()
        print(end)
    }
}
