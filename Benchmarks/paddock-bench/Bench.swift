// `make bench`: every bar of the farm, measured beside a baseline of the same run, as one table.

import ArgumentParser
import Foundation
import Measuring

@main
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "paddock-bench", abstract: "Measure a farm against the bare kernel, side by side.",
        discussion: "Groups of bars:\n" + BarGroup.all.map { "  \($0.name.padding(toLength: 10, withPad: " ", startingAt: 0))\($0.measures)" }.joined(separator: "\n"))

    @Flag(help: "Fewer and shorter rounds, and a tenth of the numbers at scale.") var quick = false
    @Flag(help: "Print the run as JSON instead of a table.") var json = false
    @Option(help: "Write the run as JSON to this file as well.", completion: .file()) var save: String?
    @Flag(help: "Measure other sandboxes as well.") var peers = false
    @Option(help: "Measure only these groups, separated by commas.") var only: String?
    @Option(help: "Jobs that run at once.") var poolSize = 4
    @Option(help: "Jobs under way at once, where many are.") var inFlight = 64
    @Option(help: "The most sandboxes that wait ready.") var ready = 64
    @Option(help: "Keep jobs of one group (--only single, reuse, cold or python) under way for so many seconds and measure nothing: for a profiler.") var profile: Double?

    func validate() throws {
        guard poolSize > 0, inFlight > 0, ready >= 0 else { throw ValidationError("sizes are positive") }
        _ = try profile == nil ? nil : profiledLoad()
        _ = try groups()
    }

    func run() async throws {
        raiseDescriptorLimit()
        Interruption.watch()
        let effort = Effort(quick: quick, poolSize: poolSize, inFlight: inFlight, ready: ready)
        if let profile { return try await profiledLoad().run(effort, seconds: profile) }
        let begun = Date()
        var run = Run(begun: begun.formatted(.iso8601), seconds: 0, quick: quick, host: .this(), rows: [])
        let groups = try groups()
        var rows: [[Row]] = groups.map { _ in [] }
        for place in groups.indices.filter({ !groups[$0].leavesTraces }) + groups.indices.filter({ groups[$0].leavesTraces }) {
            let group = groups[place]
            say("\(group.name): \(group.measures)")
            let start = now()
            rows[place] = await group.measure(effort)
            run.rows = rows.flatMap { $0 }
            say("  \((now() - start) / 1_000_000_000) s")
            run.seconds = Date().timeIntervalSince(begun).rounded()
            // Whoever ends a run that takes long has what was measured until then.
            if let save { try run.json.write(toFile: save, atomically: true, encoding: .utf8) }
        }
        print(json ? try run.json : Table(run.rows).text)
        // A figure that is short is a finding; one that could not be had is a failure.
        if run.rows.contains(where: { $0.verdict == .notMeasured }) { throw ExitCode(1) }
    }

    private func profiledLoad() throws -> ProfiledLoad {
        guard let load = ProfiledLoad(rawValue: only ?? "single") else {
            throw ValidationError("--profile --only: found \"\(only ?? "")\", expected one of \(ProfiledLoad.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return load
    }

    private func groups() throws -> [BarGroup] {
        guard let only else { return BarGroup.all.filter { $0.byDefault || peers } }
        return try only.split(separator: ",").map { name in
            guard let group = BarGroup.all.first(where: { $0.name == name }) else {
                throw ValidationError("--only: found \"\(name)\", expected some of \(BarGroup.all.map(\.name).joined(separator: ", "))")
            }
            return group
        }
    }
}

/// To whoever waits.
func say(_ text: String) { FileHandle.standardError.write(Data("\(text)\n".utf8)) }
