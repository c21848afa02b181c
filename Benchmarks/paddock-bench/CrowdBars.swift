// Bar 10: a thousand connections with ten jobs in flight each, of a hundred groups with the same claim and unlike demand: is
// any job much slower than the others, does any group get less than its share?

import Glibc
import Measuring
import SandboxCore

enum CrowdBars {
    /// Connections of each group, in turn: one group wants nineteen times what another does. Taken as they come, their jobs
    /// would be shared out like that.
    private static let demand = [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]
    private static let jobsEach = 10

    static func measure(_ effort: Effort) async -> [Row] {
        let groups = effort.quick ? 20 : 100, connections = groups * 10
        let name = connections == 1_000 ? "1,000 connections, 10 in flight each" : "\(connections) connections, 10 in flight each"
        let bar = Bar(.value, atMost: 8)
        return await attempt("10", key: "crowd.tail", name, unit: "×", bar: bar) {
            try await FarmUnderTest.with(pools: [SingleJobBars.pool(effort)], ready: effort.ready) { farm in
                try await SingleJobBars.warmUp(farm, effort)
                let socket = farm.socket
                let seen = try await onThread { try drive(socket, groups: groups, seconds: effort.quick ? 6 : 30) }
                let share = Double(seen.perGroup.min() ?? 0) * Double(groups) / Double(seen.perGroup.reduce(0, +))
                let p50 = quantile(seen.seconds, 0.5), p99 = quantile(seen.seconds, 0.99)
                return [
                    Row("10", key: "crowd.tail", "\(name): p99 ÷ p50", value: p99 / p50, unit: "", bar: bar),
                    Row("10", key: "crowd.share", "  least share of \(groups) groups, of what is its due", value: share, unit: "", bar: Bar(.value, atLeast: 0.8)),
                    Row(key: "crowd.rate", "  jobs", value: Double(seen.seconds.count) / seen.window, unit: "/s"),
                    Row(key: "crowd.p50", "  p50", value: p50, unit: "s"),
                ]
            }
        }
    }

    private struct Seen {
        var perGroup: [Int]
        var seconds: [Double] = []
        var window = 0.0
    }

    private static func drive(_ socket: String, groups: Int, seconds: Double) throws -> Seen {
        let owners = (0..<groups).flatMap { group in Array(repeating: group, count: demand[group % demand.count]) }
        let lines = (0..<groups).map { group in
            (0..<jobsEach).map { slot in
                var job = SingleJobBars.nothing
                job.labels = Labels(group: "g\(group)")
                return BareConnection.line(slot, .jobRun(job))
            }
        }
        let connections = try owners.map { _ in try BareConnection(path: socket) }
        var begun = owners.map { _ in [Int](repeating: 0, count: jobsEach) }
        /// The first job of each place in flight met an empty farm and then all others at once; only what follows is counted.
        var first = owners.count * jobsEach, fresh = owners.map { _ in [Bool](repeating: true, count: jobsEach) }
        for (index, connection) in connections.enumerated() {
            for slot in 0..<jobsEach {
                begun[index][slot] = now()
                connection.send(lines[owners[index]][slot])
            }
        }
        var seen = Seen(perGroup: [Int](repeating: 0, count: groups)), start = now(), end = Int.max
        while now() < end {
            for (index, connection) in connections.enumerated() {
                try connection.turn { heard in
                    guard heard.good else { throw BenchError("a job of /bin/true did not exit with 0") }
                    let time = now()
                    if fresh[index][heard.id] {
                        fresh[index][heard.id] = false
                        first -= 1
                        if first == 0 { (start, end) = (time, time + Int(seconds * 1e9)) }
                    } else if first == 0 {
                        seen.perGroup[owners[index]] += 1
                        seen.seconds.append(Double(time - begun[index][heard.id]) / 1e9)
                    }
                    begun[index][heard.id] = time
                    connection.send(lines[owners[index]][heard.id])
                }
            }
            // A few milliseconds of what takes seconds; looking more often would cost the farm its processors.
            usleep(4_000)
        }
        seen.window = Double(now() - start) / 1e9
        return seen
    }
}
