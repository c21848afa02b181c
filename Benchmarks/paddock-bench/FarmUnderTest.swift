// A real daemon on a socket of its own, and jobs through it.

import Foundation
import SandboxCore
import Synchronization
import Wire

final class FarmUnderTest: Sendable {
    let client: Client
    private let process: Mutex<Process>
    private let place: String

    private init(client: Client, process: sending Process, place: String) {
        self.client = client
        self.process = Mutex(process)
        self.place = place
    }

    /// Starts `paddock serve` beside this executable.
    /// - Parameter ready: how many sandboxes may wait ready; 0 makes each when its job's turn comes.
    static func start(poolSize: Int, ready: Int) async throws -> FarmUnderTest {
        let own = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        let place = NSTemporaryDirectory() + "paddock-bench-\(getpid())"
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        let socket = "\(place)/farm.sock"
        let process = Process()
        process.executableURL = own.appendingPathComponent("paddock")
        let configuration = "\(place)/farm.yaml"
        try "version: 1\nready: \(ready)\n".write(toFile: configuration, atomically: true, encoding: .utf8)
        process.arguments = ["serve", "--socket", socket, "--log-level", "error", "--config", configuration]
        var environment = ProcessInfo.processInfo.environment
        environment["PADDOCK_HOME"] = environment["PADDOCK_HOME"] ?? "\(place)/home"
        environment["PADDOCK_RUN"] = "\(place)/run"
        process.environment = environment
        try process.run()
        for _ in 0..<200 {
            if let client = try? await Client.connect(path: socket) {
                _ = try await client.call(.poolSet(PoolChange(pool: "default", size: poolSize, queue: 100_000)))
                return FarmUnderTest(client: client, process: process, place: place)
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        process.terminate()
        throw BenchError("the daemon did not answer on \(socket)")
    }

    func stop() async {
        await client.close()
        process.withLock {
            $0.terminate()
            $0.waitUntilExit()
        }
        try? FileManager.default.removeItem(atPath: place)
    }

    /// Runs one job; anything but exit code 0 ends the benchmark, because it would measure something else.
    func run(_ request: JobRequest) async throws -> JobResult {
        guard case .result(let result) = try await client.call(.jobRun(request)) else { throw BenchError("no result") }
        guard result.outcome == .exited(code: 0) else {
            throw BenchError("\(result.outcome): \(String(decoding: result.stderr.head, as: UTF8.self))")
        }
        return result
    }

    /// One after the other: latencies in milliseconds, and the stages of each.
    func alone(_ request: JobRequest, count: Int) async throws -> (ms: [Double], stages: [Stages]) {
        var ms: [Double] = [], stages: [Stages] = []
        for _ in 0..<count {
            let start = now()
            let result = try await run(request)
            ms.append(Double(now() - start) / 1e6)
            stages.append(result.usage.stages)
        }
        return (ms, stages)
    }

    /// Keeps this many in flight: jobs per second, and latencies.
    func rate(_ request: JobRequest, inFlight: Int, seconds: Double) async throws -> (perSecond: Double, ms: [Double]) {
        let start = now()
        let end = start + Int(seconds * 1e9)
        let all = try await withThrowingTaskGroup(of: [Double].self) { group in
            for _ in 0..<inFlight {
                group.addTask {
                    var ms: [Double] = []
                    while now() < end {
                        let begun = now()
                        _ = try await self.run(request)
                        ms.append(Double(now() - begun) / 1e6)
                    }
                    return ms
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        return (Double(all.count) / (Double(now() - start) / 1e9), all)
    }

    func memoryBytes() async throws -> Int {
        guard case .stats(let stats) = try await client.call(.farmStats) else { return 0 }
        return stats.memoryBytes
    }
}

struct BenchError: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
