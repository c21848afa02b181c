// Bar 11: a C++ program, compiled and run, beside the same by hand; and what the second compilation of the same source costs.

import Foundation
import Measuring
import SandboxCore

enum CompileBars {
    private static let inFlight = 8

    static func measure(_ effort: Effort) async -> [Row] {
        let name = "C++, compiled and run: \(inFlight) in flight", bar = Bar(.ratio, atMost: 1.15)
        return await attempt("11", key: "compile.fresh", name, unit: "s", bar: bar) {
            try await FarmUnderTest.with(pools: ["{name: default, size: \(inFlight)}"], ready: effort.ready) { farm in
                try await measure(farm, effort, name, bar)
            }
        }
    }

    private static func measure(_ farm: FarmUnderTest, _ effort: Effort, _ name: String, _ bar: Bar) async throws -> [Row] {
        let place = try temporaryDirectory()
        defer { try? FileManager.default.removeItem(atPath: place) }
        let numbers = Counter(), count = inFlight
        _ = try await farm.run(job(numbers.take()))
        let turns = try await Turns.measure(rounds: effort.quick ? 2 : 4) {
            try await Baseline.time(threads: inFlight, count: count) { _ in try byHand(numbers.take(), place) }
        } farm: {
            let start = now()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<count {
                    group.addTask { try await farm.run(job(numbers.take())) }
                }
                try await group.waitForAll()
            }
            return Double(now() - start) / 1e9
        }
        var again = Turns(), hits = 0.0
        let samples = effort.quick ? 2 : 5
        for _ in 0..<samples {
            let same = job(numbers.take())
            let first = try await farm.alone(same, count: 1).ms[0]
            let second = try await farm.alone(same, count: 1)
            again.add(baseline: first, farm: second.ms[0])
            if second.results[0].compile?.cached == true { hits += 1 }
        }
        return [
            Row("11", key: "compile.fresh", "\(name), each another source", turns, unit: "s", bar: bar),
            Row("11", key: "compile.hits", "  the same source again: share of cache hits", value: hits / Double(samples), unit: "", bar: Bar(.value, atLeast: 1)),
            Row(key: "compile.again", "  its time ÷ the first's", again, unit: "ms"),
        ]
    }

    /// No two with the same number.
    private static func source(_ number: Int) -> String {
        """
        // \(getpid())-\(number)
        #include <algorithm>
        #include <iostream>
        #include <map>
        #include <string>
        #include <vector>
        int main() {
            std::map<std::string, std::vector<int>> squares;
            for (int i = 0; i < 100; ++i) squares[i % 2 ? "odd" : "even"].push_back(i * i);
            for (auto& [name, values] : squares) {
                std::sort(values.rbegin(), values.rend());
                std::cout << name << ' ' << values.front() << '\\n';
            }
        }

        """
    }

    private static func job(_ number: Int) -> JobRequest {
        JobRequest(work: .source(text: source(number), language: "cpp", arguments: []))
    }

    /// What the language table does, without a sandbox.
    private static func byHand(_ number: Int, _ place: String) throws {
        let path = "\(place)/\(number)"
        try source(number).write(toFile: "\(path).cpp", atomically: false, encoding: .utf8)
        try Baseline.spawn(Command(arguments: ["/usr/bin/g++", "-std=gnu++20", "-O2", "-o", path, "\(path).cpp", "-lpthread"]))
        try Baseline.spawn(Command(arguments: [path]))
        unlink(path)
        unlink("\(path).cpp")
    }
}
