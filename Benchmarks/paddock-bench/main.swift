// `make bench`: the baseline and the farm in turns, in one run, because the machine's speed drifts; medians of the rounds.

import Foundation
import SandboxCore

struct Options {
    var json = CommandLine.arguments.contains("--json")
    var quick = CommandLine.arguments.contains("--quick")
    var poolSize = Int(value("--pool-size") ?? "") ?? 4
    var inFlight = Int(value("--in-flight") ?? "") ?? 64
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

do {
    let farm = try await FarmUnderTest.start(poolSize: options.poolSize)
    _ = try await farm.alone(job, count: 50)
    if let profile = options.profile {
        let loaded = try await farm.rate(job, inFlight: options.inFlight, seconds: profile)
        print("\(Int(loaded.perSecond)) jobs/s, \(options.inFlight) in flight")
        await farm.stop()
        exit(0)
    }
    var spawnMs: [Double] = [], jobMs: [Double] = [], jobP99: [Double] = []
    var spawnRate: [Double] = [], jobRate: [Double] = [], loadedP50: [Double] = [], loadedP99: [Double] = []
    var stages: [Stages] = []
    for _ in 0..<rounds {
        spawnMs.append(quantile(Baseline.alone("/bin/true", count: count), 0.5))
        let alone = try await farm.alone(job, count: count)
        jobMs.append(quantile(alone.ms, 0.5))
        jobP99.append(quantile(alone.ms, 0.99))
        stages += alone.stages
        spawnRate.append(await Baseline.rate("/bin/true", threads: 2, seconds: seconds))
        let loaded = try await farm.rate(job, inFlight: options.inFlight, seconds: seconds)
        jobRate.append(loaded.perSecond)
        loadedP50.append(quantile(loaded.ms, 0.5))
        loadedP99.append(quantile(loaded.ms, 0.99))
    }
    let memory = try await farm.memoryBytes()
    await farm.stop()

    func ratios(_ a: [Double], _ b: [Double]) -> Double { quantile(zip(a, b).map { $0 / $1 }, 0.5) }
    let table = Table(rows: [
        Row(name: "posix_spawn of /bin/true, alone: p50", value: quantile(spawnMs, 0.5), unit: "ms"),
        Row(name: "job of the same, alone: p50", value: quantile(jobMs, 0.5), unit: "ms", ratio: ratios(jobMs, spawnMs), bar: 6, atMost: true),
        Row(name: "job of the same, alone: p99", value: quantile(jobP99, 0.5), unit: "ms"),
        Row(name: "posix_spawn with two threads", value: quantile(spawnRate, 0.5), unit: "/s"),
        Row(name: "jobs, \(options.inFlight) in flight", value: quantile(jobRate, 0.5), unit: "/s", ratio: ratios(jobRate, spawnRate), bar: 0.12, atMost: false),
        Row(name: "jobs, \(options.inFlight) in flight: p50", value: quantile(loadedP50, 0.5), unit: "ms"),
        Row(name: "jobs, \(options.inFlight) in flight: p99", value: quantile(loadedP99, 0.5), unit: "ms"),
        Row(name: "setup of a sandbox, alone: p50", value: quantile(stages.map(\.setupMs), 0.5), unit: "ms"),
        Row(name: "run, alone: p50", value: quantile(stages.map(\.runMs), 0.5), unit: "ms"),
        Row(name: "daemon's memory after all of it", value: Double(memory) / 1_048_576, unit: "MiB"),
    ])
    print(options.json ? table.json : table.text)
} catch {
    FileHandle.standardError.write(Data("paddock-bench: \(error)\n".utf8))
    exit(2)
}
