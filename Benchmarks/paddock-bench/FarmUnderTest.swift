// A real daemon on a socket of its own, and jobs through it.

import Foundation
import SandboxCore
import Synchronization
import Wire

final class FarmUnderTest: Sendable {
    let client: Client
    let socket: String
    /// Jobs whose results came, and those of them that were forked from a template.
    let tally = Mutex(Tally())
    private let process: Mutex<Process>
    private let place: String

    private init(client: Client, process: sending Process, place: String) {
        self.client = client
        self.socket = "\(place)/farm.sock"
        self.process = Mutex(process)
        self.place = place
    }

    /// The executable beside this one.
    static var paddock: String {
        URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent().appendingPathComponent("paddock").path
    }

    /// Serves for as long as `body` takes.
    /// - Parameters:
    ///   - pools: each as the configuration file has it, such as `{name: default, size: 4}`.
    ///   - ready: how many sandboxes may wait ready; 0 makes each when its job's turn comes.
    ///   - more: further lines of the file.
    static func with<Value>(
        pools: [String], ready: Int = 64, more: [String] = [], _ body: (FarmUnderTest) async throws -> Value
    ) async throws -> Value {
        let farm = try await start(pools: pools, ready: ready, more: more)
        do {
            let value = try await body(farm)
            await farm.stop()
            return value
        } catch {
            await Interruption.holdIfUnderWay()
            await farm.stop()
            throw error
        }
    }

    private static func start(pools: [String], ready: Int, more: [String]) async throws -> FarmUnderTest {
        let place = try temporaryDirectory()
        let configuration = "\(place)/farm.yaml"
        // What is under way at the end is of no interest.
        let lines = ["version: 1", "socket: farm.sock", "home: home", "run: run", "log_level: error", "grace: 1s", "ready: \(ready)"] + more
        try (lines + ["pools:"] + pools.map { "  - \($0)" }).joined(separator: "\n").appending("\n")
            .write(toFile: configuration, atomically: true, encoding: .utf8)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: paddock)
        process.arguments = ["serve", "--config", configuration]
        try process.run()
        let pid = process.processIdentifier
        Interruption.daemons.withLock { _ = $0.insert(pid) }
        for _ in 0..<600 {
            if let client = try? await Client.connect(path: "\(place)/farm.sock") {
                return FarmUnderTest(client: client, process: process, place: place)
            }
            guard process.isRunning else { break }
            try await Task.sleep(for: .milliseconds(50))
        }
        process.terminate()
        process.waitUntilExit()
        Interruption.daemons.withLock { _ = $0.remove(pid) }
        try? FileManager.default.removeItem(atPath: place)
        throw BenchError("the daemon does not serve")
    }

    private func stop() async {
        await client.close()
        process.withLock {
            $0.terminate()
            $0.waitUntilExit()
            let pid = $0.processIdentifier
            Interruption.daemons.withLock { _ = $0.remove(pid) }
        }
        try? FileManager.default.removeItem(atPath: place)
    }

    /// Runs one job; anything but exit code 0 and passed tests ends the benchmark, because it would measure something else.
    @discardableResult
    func run(_ request: JobRequest) async throws -> JobResult {
        guard case .result(let result) = try await client.call(.jobRun(request)) else { throw BenchError("no result") }
        guard result.outcome == .exited(code: 0), result.tests?.passed != false else {
            throw BenchError("\(result.outcome) \(result.phase): \(String(decoding: result.stderr.head, as: UTF8.self))")
        }
        tally.withLock { $0.add(result) }
        return result
    }

    /// One after the other: latencies in milliseconds, and the results.
    func alone(_ request: JobRequest, count: Int) async throws -> (ms: [Double], results: [JobResult]) {
        try await withTaskExecutorPreference(client.executor) {
            var ms: [Double] = [], results: [JobResult] = []
            for _ in 0..<count {
                let start = now()
                results.append(try await run(request))
                ms.append(Double(now() - start) / 1e6)
            }
            return (ms, results)
        }
    }

    /// Keeps this many in flight: jobs per second, and latencies.
    func rate(_ request: JobRequest, inFlight: Int, seconds: Double) async throws -> (perSecond: Double, ms: [Double]) {
        let start = now()
        let end = start + Int(seconds * 1e9)
        let all = try await withThrowingTaskGroup(of: [Double].self) { group in
            for _ in 0..<inFlight {
                group.addTask(executorPreference: client.executor) {
                    var ms: [Double] = []
                    while now() < end {
                        let begun = now()
                        try await self.run(request)
                        ms.append(Double(now() - begun) / 1e6)
                    }
                    return ms
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        return (Double(all.count) / (Double(now() - start) / 1e9), all)
    }

    func stats() async throws -> FarmStats {
        guard case .stats(let stats) = try await client.call(.farmStats) else { throw BenchError("no stats") }
        return stats
    }

    func pool(_ name: String) async throws -> PoolStatus {
        guard case .pools(let pools) = try await client.call(.poolList), let pool = pools.first(where: { $0.name == name }) else {
            throw BenchError("no pool \(name)")
        }
        return pool
    }
}

struct Tally {
    var jobs = 0
    var forks = 0

    mutating func add(_ result: JobResult) {
        jobs += 1
        if result.template != nil { forks += 1 }
    }
}

/// A directory that the users of sandboxes can pass, with a path that is short enough for a socket in it.
/// What the names of all of this process's directories begin with.
let temporaryPrefix = "pdk-bench-\(getpid())-"

func temporaryDirectory() throws -> String {
    let place = NSTemporaryDirectory() + temporaryPrefix + String(places.take())
    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o711])
    return place
}

private let places = Counter()
