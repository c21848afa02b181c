// What the Python client can do by itself, so that one sees whether it or the farm is what a batch waits for.

import Foundation
import Measuring

enum ClientBars {
    private struct Ceiling: Decodable {
        var name: String
        var callsPerSecond: Double
        var ceilingPerSecond: Double
    }

    static func measure(_ effort: Effort) async -> [Row] {
        await attempt(nil, key: "client", "Python client, 64 in flight against a stand-in", unit: "/s") {
            let source = "clients/python"
            guard FileManager.default.fileExists(atPath: "\(source)/benchmarks/ceiling.py") else {
                return [Row(key: "client", "Python client", value: nil, unit: "/s", note: "skipped: this is not started in a checkout")]
            }
            let text = try await onThread {
                try output(["/usr/bin/python3", "\(source)/benchmarks/ceiling.py", "--json"], environment: ["PYTHONPATH": "\(source)/src"])
            }
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            let figures = try decoder.decode([Ceiling].self, from: Data(text.utf8))
            return ["Client", "AsyncClient"].flatMap { kind in
                let own = figures.filter { $0.name.hasSuffix(" \(kind).gather") }
                return [
                    Row(
                        key: "client.\(kind).rate", "Python \(kind), 64 in flight against a stand-in that answers at once",
                        value: own.first { $0.name.contains("at once") }?.callsPerSecond, unit: "/s"),
                    Row(
                        key: "client.\(kind).ceiling", "  1 s ÷ its processor time for a job whose answer comes singly",
                        value: own.first { $0.name.contains("one by one") }?.ceilingPerSecond, unit: "/s"),
                ]
            }
        }
    }
}
