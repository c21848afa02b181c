// Bar 8: ten thousand live sandboxes, each with a process in it: the time to make them, their memory, and what they cost the others.

import Foundation
import Measuring
import SandboxCore
import Wire

enum LiveBars {
    private struct Kind {
        let policy: String, key: String, name: String
        /// How many seconds ten thousand may take.
        let seconds: Double
        /// Of one: kilobytes, and how much longer a job beside the others may take.
        let each: (kilobytes: Bar, beside: Bar)?
    }

    private static let kinds = [
        Kind(policy: "strict", key: "live", name: "without network", seconds: 30, each: (Bar(.value, atMost: 400), Bar(.ratio, atMost: 2))),
        Kind(policy: "default", key: "live.network", name: "with a network each", seconds: 120, each: nil),
    ]

    static func measure(_ effort: Effort) async -> [Row] {
        var rows: [Row] = []
        for kind in kinds { rows += await measure(kind, effort) }
        return rows
    }

    private static func measure(_ kind: Kind, _ effort: Effort) async -> [Row] {
        let count = effort.quick ? 1_000 : 10_000
        let name = "\(count.formatted(.number.locale(Locale(identifier: "en")))) live sandboxes \(kind.name)"
        let bar = Bar(.value, atMost: kind.seconds * Double(count) / 10_000)
        return await attempt("8", key: "\(kind.key).make", name, unit: "s", bar: bar) {
            // The pool beside is for the jobs that find out what the others cost.
            let pools = [
                "{name: default, size: \(effort.poolSize), policy: \(kind.policy)}",
                "{name: live, size: \(count), queue: \(count), policy: \(kind.policy)}",
            ]
            return try await FarmUnderTest.with(pools: pools, ready: effort.ready) { farm in
                try await SingleJobBars.warmUp(farm, effort)
                let one = try await alone(farm, effort)
                let memory = try availableMemory(), start = now()
                let connection = try hold(count, farm)
                try await untilAll(count, live: farm, connection)
                let seconds = Double(now() - start) / 1e9
                let each = Double(memory - (try availableMemory())) / Double(count) / 1000
                var beside = Turns()
                beside.add(baseline: one, farm: try await alone(farm, effort))
                return [
                    Row("8", key: "\(kind.key).make", "\(name): made in", value: seconds, unit: "s", bar: bar),
                    Row("8", key: "\(kind.key).memory", "  each, kernel and daemon, by MemAvailable", value: each, unit: "kB", bar: kind.each?.kilobytes),
                    Row("8", key: "\(kind.key).beside", "  /bin/true beside them: p50 ÷ alone", beside, unit: "ms", bar: kind.each?.beside),
                ]
            }
        }
    }

    private static func alone(_ farm: FarmUnderTest, _ effort: Effort) async throws -> Double {
        quantile(try await farm.alone(SingleJobBars.nothing, count: 3 * effort.count).ms, 0.5)
    }

    /// Jobs that sleep until the connection that holds them ends.
    private static func hold(_ count: Int, _ farm: FarmUnderTest) throws -> BareConnection {
        let connection = try BareConnection(path: farm.socket)
        let job = JobRequest(work: .command(["/bin/sleep", "900"]), limits: Limits(wallTimeMs: 900_000), pool: "live", labels: Labels(group: "live"))
        for id in 0..<count { connection.send(BareConnection.line(id, .jobRun(job))) }
        return connection
    }

    /// The farm says when each has a place; the kernel, when each has a process. To look at all processes takes long and is done for a
    /// quarter of the time at the most, and not before there are nearly as many more of them as there will be: a process each, and an
    /// init that some had before.
    private static func untilAll(_ count: Int, live farm: FarmUnderTest, _ connection: BareConnection) async throws {
        let (before, threads) = (sleepers(), threads()), end = now() + 480 * 1_000_000_000
        while now() < end {
            try connection.turn { _ in throw BenchError("a job that sleeps has ended") }
            let start = now()
            if try await farm.pool("live").running == count, Self.threads() - threads >= count * 19 / 10, sleepers() - before >= count { return }
            try await Task.sleep(for: .nanoseconds(max(100_000_000, 3 * (now() - start))))
        }
        throw BenchError("after eight minutes \(sleepers() - before) of \(count) were there")
    }

    /// Of the whole machine.
    private static func threads() -> Int {
        let words = contents("/proc/loadavg").split(separator: " ")
        return words.count > 3 ? Int(words[3].drop { $0 != "/" }.dropFirst()) ?? 0 : 0
    }

    private static func sleepers() -> Int {
        let processes = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return processes.count { $0.first?.isNumber == true && contents("/proc/\($0)/comm") == "sleep\n" }
    }
}
