// Bars 4 to 7: interpreters that are forked from a template rather than started.

import Foundation
import Measuring
import SandboxCore

enum TemplateBars {
    private static let python = "/usr/bin/python3"

    static func measure(_ effort: Effort) async -> [Row] {
        await attempt("4", key: "python", "Python", unit: "/s", bar: Bar(.ratio, atLeast: 4)) {
            try await FarmUnderTest.with(pools: [SingleJobBars.pool(effort, pool)], ready: effort.ready) { farm in
                try await load(farm)
                return await rate(farm, effort) + imports(farm, effort) + tests(farm, effort) + burst(farm, effort)
            }
        }
    }

    /// What follows in the entry of a pool that keeps them.
    static let pool = ", templates: [python, pytest, science]"

    /// Waits until they are loaded. One that cannot be is left out of account: what is measured then says so.
    static func load(_ farm: FarmUnderTest) async throws {
        let end = now() + 60_000_000_000
        while try await farm.pool("default").templates.contains(where: { $0.state == .loading }) {
            guard now() < end else { throw BenchError("after a minute templates are still loading") }
            try await Task.sleep(for: .milliseconds(20))
        }
        for template in try await farm.pool("default").templates where template.state == .failed {
            say("  template \(template.name): \(template.error ?? "failed")")
        }
    }

    static func fork(_ job: JobRequest, of template: String) -> JobRequest {
        var job = job
        job.template = template
        return job
    }

    private static func code(_ text: String, template: String) -> JobRequest {
        fork(JobRequest(work: .command(["python3", "-c", text])), of: template)
    }

    /// Measures, and says how many of the jobs were what they were meant to be.
    private static func forked<Value>(_ farm: FarmUnderTest, _ measure: () async throws -> Value) async throws -> (Value, String?) {
        let before = farm.tally.withLock { $0 }
        let value = try await measure()
        let after = farm.tally.withLock { $0 }
        let share = Double(after.forks - before.forks) / Double(max(1, after.jobs - before.jobs))
        return (value, share == 1 ? nil : share == 0 ? "from a fresh start, not from a template" : "\(Int(share * 100)) % from a template")
    }

    private static func rate(_ farm: FarmUnderTest, _ effort: Effort) async -> [Row] {
        let name = "python3 -c 'print(1)': \(effort.inFlight) in flight", bar = Bar(.ratio, atLeast: 4)
        return await attempt("4", key: "python.rate", name, unit: "/s", bar: bar) {
            let job = code("print(1)", template: "python")
            _ = try await farm.rate(job, inFlight: effort.inFlight, seconds: 1)
            let (turns, note) = try await forked(farm) {
                try await Turns.measure(rounds: effort.rounds) {
                    try await Baseline.rate(Command(arguments: [python, "-c", "print(1)"]), threads: 2, seconds: effort.seconds)
                } farm: {
                    try await farm.rate(job, inFlight: effort.inFlight, seconds: effort.seconds).perSecond
                }
            }
            return [Row("4", key: "python.rate", name, turns, unit: "/s", bar: bar, note: note)]
        }
    }

    private static func imports(_ farm: FarmUnderTest, _ effort: Effort) async -> [Row] {
        var rows: [Row] = []
        for (module, use, share) in [
            ("numpy", "import numpy; print((numpy.ones((8, 8)) @ numpy.eye(8)).sum())", 15.0),
            ("sympy", "import sympy; x = sympy.Symbol('x'); print(sympy.diff(x**3, x))", 40.0),
        ] {
            let name = "import \(module) and use it: p50", bar = Bar(.ratio, atMost: 1 / share)
            rows += await alone(
                "5", key: "python.\(module)", name, Command(arguments: [python, "-c", use]), code(use, template: "science"), bar, farm, effort)
        }
        return rows
    }

    /// A few of a command that takes long, beside ten jobs that do the same.
    private static func alone(
        _ number: String, key: String, _ name: String, _ bare: Command, _ job: JobRequest, _ bar: Bar, _ farm: FarmUnderTest, _ effort: Effort
    ) async -> [Row] {
        await attempt(number, key: key, name, unit: "ms", bar: bar) {
            _ = try await (farm.alone(job, count: 3), Baseline.alone(bare, count: 1))
            let (turns, note) = try await forked(farm) {
                try await Turns.measure(rounds: effort.rounds) {
                    quantile(try Baseline.alone(bare, count: 2), 0.5)
                } farm: {
                    quantile(try await farm.alone(job, count: 10).ms, 0.5)
                }
            }
            return [Row(number, key: key, name, turns, unit: "ms", bar: bar, note: note)]
        }
    }

    /// A small suite as they come with coding tasks.
    static let suite = """
        import pytest

        def fibonacci(n):
            a, b = 0, 1
            for _ in range(n):
                a, b = b, a + b
            return a

        def test_begins(): assert [fibonacci(n) for n in range(5)] == [0, 1, 1, 2, 3]
        def test_grows(): assert fibonacci(90) == 2880067194370816120
        @pytest.mark.parametrize("n", [2, 10])
        def test_sums(n): assert fibonacci(n) == fibonacci(n - 1) + fibonacci(n - 2)
        def test_types():
            with pytest.raises(TypeError):
                fibonacci("2")

        """

    static var suiteJob: JobRequest {
        fork(
            JobRequest(
                work: .testsOnly, files: [FileIn(path: "test_five.py", content: .bytes([UInt8](suite.utf8)))],
                tests: TestRequest(framework: .pytest, paths: ["test_five.py"])), of: "pytest")
    }

    private static func tests(_ farm: FarmUnderTest, _ effort: Effort) async -> [Row] {
        let name = "five-test pytest file, test by test: p50", bar = Bar(.ratio, atMost: 0.25)
        return await attempt("6", key: "python.pytest", name, unit: "ms", bar: bar) {
            let place = try temporaryDirectory()
            defer { try? FileManager.default.removeItem(atPath: place) }
            try suite.write(toFile: "\(place)/test_five.py", atomically: true, encoding: .utf8)
            let seen = try await farm.run(suiteJob).tests?.count(.passed)
            guard seen == 5 else { throw BenchError("found \(seen ?? 0) passed tests, expected 5") }
            return await alone(
                "6", key: "python.pytest", name, Command(arguments: [python, "-m", "pytest", "\(place)/test_five.py"]), suiteJob, bar, farm, effort)
        }
    }

    /// All at once, as a rollout's calls come.
    private static func burst(_ farm: FarmUnderTest, _ effort: Effort) async -> [Row] {
        let name = "1,000 Python jobs at once: until the last answer", bar = Bar(.value, atMost: 2)
        return await attempt("7", key: "python.burst", name, unit: "s", bar: bar) {
            let job = code("print(1)", template: "python")
            var seconds: [Double] = []
            let (_, note) = try await forked(farm) {
                for _ in 0..<(effort.quick ? 1 : 3) {
                    let start = now()
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for _ in 0..<1_000 { group.addTask { try await farm.run(job) } }
                        try await group.waitForAll()
                    }
                    seconds.append(Double(now() - start) / 1e9)
                }
            }
            return [Row("7", key: "python.burst", name, value: median(seconds), unit: "s", bar: bar, note: note)]
        }
    }
}
