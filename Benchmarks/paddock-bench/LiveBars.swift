// Bar 8: ten thousand live sandboxes, each with a process in it: the time to make them, their memory, and what they cost the others.

import Foundation
import Measuring
import SandboxCore
import Wire

enum LiveBars {
    static func measure(_ effort: Effort) async -> [Row] {
        let count = effort.quick ? 1_000 : 10_000
        let name = "\(count.formatted(.number.locale(Locale(identifier: "en")))) live sandboxes without network"
        let bar = Bar(.value, atMost: 30)
        return await attempt("8", key: "live.make", name, unit: "s", bar: bar) {
            // The pool beside is for the jobs that find out what the others cost.
            let pools = [
                "{name: default, size: \(effort.poolSize), policy: strict}", "{name: live, size: \(count), queue: \(count), policy: strict}",
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
                    Row("8", key: "live.make", "\(name): made in", value: seconds, unit: "s", bar: effort.quick ? Bar(.value, atMost: 3) : bar),
                    Row("8", key: "live.memory", "  each, kernel and daemon, by MemAvailable", value: each, unit: "kB", bar: Bar(.value, atMost: 400)),
                    Row("8", key: "live.beside", "  /bin/true beside them: p50 ÷ alone", beside, unit: "ms", bar: Bar(.ratio, atMost: 2)),
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

    /// The farm says when each has a place; the kernel, when each has a process. To look at all processes takes long, so that is done
    /// for a tenth of the time at the most.
    private static func untilAll(_ count: Int, live farm: FarmUnderTest, _ connection: BareConnection) async throws {
        let before = sleepers(), end = now() + 480 * 1_000_000_000
        while now() < end {
            try connection.turn { _ in throw BenchError("a job that sleeps has ended") }
            let start = now()
            if try await farm.pool("live").running == count, sleepers() - before >= count { return }
            try await Task.sleep(for: .nanoseconds(max(100_000_000, 9 * (now() - start))))
        }
        throw BenchError("after eight minutes \(sleepers() - before) of \(count) were there")
    }

    private static func sleepers() -> Int {
        let processes = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return processes.count { $0.first?.isNumber == true && contents("/proc/\($0)/comm") == "sleep\n" }
    }
}
