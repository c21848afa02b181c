// Bars 4 to 7: interpreters that are forked from a template rather than started.

import Foundation
import Measuring
import SandboxCore

enum TemplateBars {
    private static let python = "/usr/bin/python3"

    static func measure(_ effort: Effort) async -> [Row] {
        await attempt("4", key: "python", "Python", unit: "/s", bar: Bar(.ratio, atLeast: 4)) {
            try await FarmUnderTest.with(pools: ["{name: default, size: \(effort.poolSize), queue: 100000\(Offers.templates)}"], ready: effort.ready) { farm in
                await rate(farm, effort) + imports(farm, effort) + tests(farm, effort) + burst(farm, effort)
            }
        }
    }

    private static func code(_ text: String, template: String) -> JobRequest {
        Offers.fork(JobRequest(work: .command(["python3", "-c", text])), of: template)
    }

    private static func rate(_ farm: FarmUnderTest, _ effort: Effort) async -> [Row] {
        let name = "python3 -c 'print(1)': \(effort.inFlight) in flight", bar = Bar(.ratio, atLeast: 4)
        return await attempt("4", key: "python.rate", name, unit: "/s", bar: bar) {
            let job = code("print(1)", template: "python")
            _ = try await farm.rate(job, inFlight: effort.inFlight, seconds: 1)
            let turns = try await Turns.measure(rounds: effort.rounds) {
                try await Baseline.rate(Command(arguments: [python, "-c", "print(1)"]), threads: 2, seconds: effort.seconds)
            } farm: {
                try await farm.rate(job, inFlight: effort.inFlight, seconds: effort.seconds).perSecond
            }
            return [Row("4", key: "python.rate", name, turns, unit: "/s", bar: bar, note: Offers.templatesNote)]
        }
    }

    private static func imports(_ farm: FarmUnderTest, _ effort: Effort) async -> [Row] {
        var rows: [Row] = []
        for (module, use, share) in [
            ("numpy", "import numpy; print((numpy.ones((8, 8)) @ numpy.eye(8)).sum())", 15.0),
            ("sympy", "import sympy; x = sympy.Symbol('x'); print(sympy.diff(x**3, x))", 40.0),
        ] {
            let name = "import \(module) and use it: p50", key = "python.\(module)", bar = Bar(.ratio, atMost: 1 / share)
            rows += await attempt("5", key: key, name, unit: "ms", bar: bar) {
                let job = code(use, template: "science"), bare = Command(arguments: [python, "-c", use])
                _ = try await (farm.alone(job, count: 3), Baseline.alone(bare, count: 1))
                let turns = try await Turns.measure(rounds: effort.rounds) {
                    quantile(try Baseline.alone(bare, count: 3), 0.5)
                } farm: {
                    quantile(try await farm.alone(job, count: 10).ms, 0.5)
                }
                return [Row("5", key: key, name, turns, unit: "ms", bar: bar, note: Offers.templatesNote)]
            }
        }
        return rows
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
        Offers.fork(
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
            let bare = Command(arguments: [python, "-m", "pytest", "\(place)/test_five.py"])
            let job = suiteJob
            let seen = try await farm.run(job).tests?.count(.passed)
            guard seen == 5 else { throw BenchError("found \(seen ?? 0) passed tests, expected 5") }
            let turns = try await Turns.measure(rounds: effort.rounds) {
                quantile(try Baseline.alone(bare, count: 3), 0.5)
            } farm: {
                quantile(try await farm.alone(job, count: 10).ms, 0.5)
            }
            return [Row("6", key: "python.pytest", name, turns, unit: "ms", bar: bar, note: Offers.templatesNote)]
        }
    }

    /// All at once, as a rollout's calls come.
    private static func burst(_ farm: FarmUnderTest, _ effort: Effort) async -> [Row] {
        let name = "1,000 Python jobs at once: until the last answer", bar = Bar(.value, atMost: 2)
        return await attempt("7", key: "python.burst", name, unit: "s", bar: bar) {
            let job = code("print(1)", template: "python")
            var seconds: [Double] = []
            for _ in 0..<(effort.quick ? 1 : 3) {
                let start = now()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<1_000 { group.addTask { try await farm.run(job) } }
                    try await group.waitForAll()
                }
                seconds.append(Double(now() - start) / 1e9)
            }
            return [Row("7", key: "python.burst", name, value: median(seconds), unit: "s", bar: bar, note: Offers.templatesNote)]
        }
    }
}
