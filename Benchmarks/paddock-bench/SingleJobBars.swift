// Bars 1, 2 and 2b: what the isolation of one job costs, measured with a program that does nothing.

import Measuring
import SandboxCore

enum SingleJobBars {
    static let nothing = JobRequest(work: .command(["/bin/true"]))

    /// Sandboxes are ready ahead of need, each for one job.
    static func measure(_ effort: Effort) async -> [Row] {
        await attempt("1", key: "single", "/bin/true, ready ahead", unit: "ms", bar: Bar(.ratio, atMost: 1.6)) {
            try await FarmUnderTest.with(pools: [pool(effort)], ready: effort.ready) { farm in
                try await warmUp(farm, effort)
                return try await alone("1", key: "single", "/bin/true, ready ahead", farm, effort, bar: 1.6)
                    + loaded("2", key: "load", "/bin/true, ready ahead", nothing, farm, effort, bar: 0.4)
            }
        }
    }

    /// Each is made for its job, and taken apart after it: what all of the rest is gained over.
    static func measureCold(_ effort: Effort) async -> [Row] {
        await attempt("C1", key: "cold", "/bin/true, made for each job", unit: "ms", bar: Bar(.ratio, atMost: 6)) {
            try await FarmUnderTest.with(pools: [pool(effort)], ready: 0) { farm in
                try await warmUp(farm, effort)
                return try await alone("C1", key: "cold.single", "/bin/true, made for each job", farm, effort, bar: 6)
                    + loaded("C2", key: "cold.load", "/bin/true, made for each job", nothing, farm, effort, bar: 0.12)
            }
        }
    }

    /// One group's jobs may find the sandbox that its last one left.
    static func measureReuse(_ effort: Effort) async -> [Row] {
        await attempt("2b", key: "reuse", "/bin/true, a sandbox for a group", unit: "/s", bar: Bar(.ratio, atLeast: 0.6)) {
            try await FarmUnderTest.with(pools: [pool(effort, ", reuse: group")], ready: effort.ready) { farm in
                try await warmUp(farm, effort)
                var job = nothing
                job.labels = Labels(group: "one")
                return try await loaded("2b", key: "reuse", "/bin/true, a sandbox for a group", job, farm, effort, bar: 0.6)
            }
        }
    }

    static func pool(_ effort: Effort, _ more: String = "") -> String { "{name: default, size: \(effort.poolSize), queue: 100000\(more)}" }

    /// The stock of sandboxes has the size that load gives it, and caches are filled.
    static func warmUp(_ farm: FarmUnderTest, _ effort: Effort) async throws {
        _ = try await farm.alone(nothing, count: 50)
        _ = try await farm.rate(nothing, inFlight: effort.inFlight, seconds: 1)
    }

    private static func alone(
        _ number: String?, key: String, _ name: String, _ farm: FarmUnderTest, _ effort: Effort, bar: Double
    ) async throws -> [Row] {
        var p99: [Double] = [], stages: [Stages] = []
        let turns = try await Turns.measure(rounds: effort.rounds) {
            quantile(try Baseline.alone(.nothing, count: effort.count), 0.5)
        } farm: {
            let (ms, results) = try await farm.alone(nothing, count: effort.count)
            p99.append(quantile(ms, 0.99))
            stages += results.map(\.usage.stages)
            return quantile(ms, 0.5)
        }
        return [
            Row(number, key: "\(key).p50", "\(name): one at a time, p50", turns, unit: "ms", bar: Bar(.ratio, atMost: bar)),
            Row(key: "\(key).p99", "  p99", value: median(p99), unit: "ms"),
            Row(key: "\(key).setup", "  of it until its sandbox is there, p50", value: quantile(stages.map(\.setupMs), 0.5), unit: "ms"),
            Row(key: "\(key).run", "  of it the program's start to its end, p50", value: quantile(stages.map(\.runMs), 0.5), unit: "ms"),
        ]
    }

    private static func loaded(
        _ number: String?, key: String, _ name: String, _ job: JobRequest, _ farm: FarmUnderTest, _ effort: Effort, bar: Double, note: String? = nil
    ) async throws -> [Row] {
        var p50: [Double] = [], p99: [Double] = []
        let turns = try await Turns.measure(rounds: effort.rounds) {
            try await Baseline.rate(.nothing, threads: 2, seconds: effort.seconds)
        } farm: {
            let loaded = try await farm.rate(job, inFlight: effort.inFlight, seconds: effort.seconds)
            p50.append(quantile(loaded.ms, 0.5))
            p99.append(quantile(loaded.ms, 0.99))
            return loaded.perSecond
        }
        return [
            Row(number, key: "\(key).rate", "\(name): \(effort.inFlight) in flight", turns, unit: "/s", bar: Bar(.ratio, atLeast: bar), note: note),
            Row(key: "\(key).p50", "  p50", value: median(p50), unit: "ms"),
            Row(key: "\(key).p99", "  p99", value: median(p99), unit: "ms"),
        ]
    }
}
