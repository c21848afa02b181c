// Bar 12: one command in a sandbox for someone who has no daemon, from the shell's fork to the exit code.

import Foundation
import Measuring

enum CommandBars {
    static func measure(_ effort: Effort) async -> [Row] {
        let name = "paddock run -- /bin/true, the whole process: p50", bar = Bar(.value, atMost: 12)
        return await attempt("12", key: "command.run", name, unit: "ms", bar: bar) {
            let place = try temporaryDirectory()
            defer { try? FileManager.default.removeItem(atPath: place) }
            let command = Command(
                arguments: [FarmUnderTest.paddock, "run", "--", "/bin/true"],
                environment: ["PATH=/usr/bin:/bin", "HOME=\(place)", "PADDOCK_HOME=\(place)/home", "PADDOCK_RUN=\(place)/run"])
            _ = try Baseline.alone(command, count: 3)
            let turns = try await Turns.measure(rounds: effort.rounds) {
                quantile(try Baseline.alone(.nothing, count: effort.count), 0.5)
            } farm: {
                quantile(try Baseline.alone(command, count: effort.quick ? 15 : 40), 0.5)
            }
            return [Row("12", key: "command.run", name, turns, unit: "ms", bar: bar)]
        }
    }
}
