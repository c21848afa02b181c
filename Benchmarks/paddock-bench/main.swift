// `make bench`: the baseline and the farm in turns, in one run, because the machine's speed drifts; medians of the rounds.

import Foundation
import SandboxCore

struct Options {
    var json = CommandLine.arguments.contains("--json")
    var quick = CommandLine.arguments.contains("--quick")
    var poolSize = Int(value("--pool-size") ?? "") ?? 4
    var inFlight = Int(value("--in-flight") ?? "") ?? 64
    var ready = Int(value("--ready") ?? "") ?? 64
    /// Keep that many in flight for so many seconds and nothing else: for a profiler to look at.
    var profile = value("--profile").flatMap { Double($0) }

    private static func value(_ name: String) -> String? {
        CommandLine.arguments.firstIndex(of: name).flatMap { CommandLine.arguments.dropFirst($0 + 1).first }
    }
}

let options = Options()
let rounds = options.quick ? 2 : 5
let count = options.quick ? 100 : 300
let seconds = options.quick ? 1.0 : 3.0
let job = JobRequest(work: .command(["/bin/true"]))

/// What one kind of farm did, round by round, beside the baseline of the same round.
struct Measured {
    var spawnMs: [Double] = [], jobMs: [Double] = [], jobP99: [Double] = []
    var spawnRate: [Double] = [], jobRate: [Double] = [], loadedP50: [Double] = [], loadedP99: [Double] = []
    var stages: [Stages] = []
    var memoryBytes = 0

    static func farm(ready: Int) async throws -> Measured {
        let farm = try await FarmUnderTest.start(poolSize: options.poolSize, ready: ready)
        _ = try await farm.alone(job, count: 50)
        var m = Measured()
        for _ in 0..<rounds {
            m.spawnMs.append(quantile(Baseline.alone("/bin/true", count: count), 0.5))
            let alone = try await farm.alone(job, count: count)
            m.jobMs.append(quantile(alone.ms, 0.5))
            m.jobP99.append(quantile(alone.ms, 0.99))
            m.stages += alone.stages
            m.spawnRate.append(await Baseline.rate("/bin/true", threads: 2, seconds: seconds))
            let loaded = try await farm.rate(job, inFlight: options.inFlight, seconds: seconds)
            m.jobRate.append(loaded.perSecond)
            m.loadedP50.append(quantile(loaded.ms, 0.5))
            m.loadedP99.append(quantile(loaded.ms, 0.99))
        }
        m.memoryBytes = try await farm.memoryBytes()
        await farm.stop()
        return m
    }

    func rows(_ kind: String, alone: Double, loaded: Double) -> [Row] {
        func ratios(_ a: [Double], _ b: [Double]) -> Double { quantile(zip(a, b).map { $0 / $1 }, 0.5) }
        return [
            Row(name: "\(kind): alone, p50", value: quantile(jobMs, 0.5), unit: "ms", ratio: ratios(jobMs, spawnMs), bar: alone, atMost: true),
            Row(name: "\(kind): alone, p99", value: quantile(jobP99, 0.5), unit: "ms"),
            Row(name: "\(kind): setup, alone, p50", value: quantile(stages.map(\.setupMs), 0.5), unit: "ms"),
            Row(name: "\(kind): run, alone, p50", value: quantile(stages.map(\.runMs), 0.5), unit: "ms"),
            Row(name: "\(kind): \(options.inFlight) in flight", value: quantile(jobRate, 0.5), unit: "/s", ratio: ratios(jobRate, spawnRate), bar: loaded, atMost: false),
            Row(name: "\(kind): \(options.inFlight) in flight, p50", value: quantile(loadedP50, 0.5), unit: "ms"),
            Row(name: "\(kind): \(options.inFlight) in flight, p99", value: quantile(loadedP99, 0.5), unit: "ms"),
            Row(name: "\(kind): daemon's memory at the end", value: Double(memoryBytes) / 1_048_576, unit: "MiB"),
        ]
    }
}

do {
    if let profile = options.profile {
        let farm = try await FarmUnderTest.start(poolSize: options.poolSize, ready: options.ready)
        _ = try await farm.alone(job, count: 50)
        let loaded = try await farm.rate(job, inFlight: options.inFlight, seconds: profile)
        print("\(Int(loaded.perSecond)) jobs/s, \(options.inFlight) in flight")
        await farm.stop()
        exit(0)
    }
    let cold = try await Measured.farm(ready: 0)
    let warm = try await Measured.farm(ready: options.ready)
    let table = Table(rows: [
        Row(name: "posix_spawn of /bin/true: alone, p50", value: quantile(cold.spawnMs + warm.spawnMs, 0.5), unit: "ms"),
        Row(name: "posix_spawn of /bin/true: two threads", value: quantile(cold.spawnRate + warm.spawnRate, 0.5), unit: "/s"),
    ] + cold.rows("made for each job", alone: 6, loaded: 0.12) + warm.rows("ready ahead", alone: 1.6, loaded: 0.4))
    print(options.json ? table.json : table.text)
} catch {
    FileHandle.standardError.write(Data("paddock-bench: \(error)\n".utf8))
    exit(2)
}
