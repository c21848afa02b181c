// Bar 9: a hundred thousand jobs that wait, all from one connection: what each costs the daemon, and how fast they are taken in.

import Foundation
import Measuring
import SandboxCore

enum QueueBars {
    static func measure(_ effort: Effort) async -> [Row] {
        let count = effort.quick ? 20_000 : 100_000
        let name = "\(count.formatted(.number.locale(Locale(identifier: "en")))) queued jobs on one connection"
        let bar = Bar(.value, atLeast: 20_000)
        return await attempt("9", key: "queue.submit", name, unit: "/s", bar: bar) {
            try await FarmUnderTest.with(pools: ["{name: default, size: 1, queue: \(count)}"], ready: 0) { farm in
                let connection = try BareConnection(path: farm.socket)
                // One job has the only place for as long as the others come.
                let first = JobRequest(work: .command(["/bin/sleep", "60"]), labels: Labels(group: "queue"))
                try await submit([BareConnection.line(0, .jobSubmit(first))], connection)
                while try await farm.pool("default").running == 0 { try await Task.sleep(for: .milliseconds(10)) }

                let lines = (1...count).map { id in
                    var job = SingleJobBars.nothing
                    job.labels = Labels(rollout: "r\(id / 16)", group: "g\(id % 8)")
                    return BareConnection.line(id, .jobSubmit(job))
                }
                let before = try await farm.stats().memoryBytes
                let seconds = try await submit(lines, connection)
                let stats = try await farm.stats()
                guard stats.queued == count else { throw BenchError("\(stats.queued) are queued, expected \(count)") }
                return [
                    Row("9", key: "queue.submit", "\(name): taken in", value: Double(count) / seconds, unit: "/s", bar: bar),
                    Row(
                        "9", key: "queue.memory", "  daemon's memory, each", value: Double(stats.memoryBytes - before) / Double(count) / 1000, unit: "kB",
                        bar: Bar(.value, atMost: 2)),
                ]
            }
        }
    }

    /// Seconds until the last is answered.
    @discardableResult
    private static func submit(_ lines: [[UInt8]], _ connection: BareConnection) async throws -> Double {
        let start = now()
        var left = lines.count
        for line in lines { connection.send(line) }
        while left > 0 {
            try connection.turn { heard in
                guard heard.good else { throw BenchError("a job was not taken in") }
                left -= 1
            }
            if left > 0 { usleep(200) }
        }
        return Double(now() - start) / 1e9
    }
}
