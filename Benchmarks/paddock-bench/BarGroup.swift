// The groups of bars, and what holds for all of them: how thorough a run is, and what becomes of a figure that cannot be had.

import Measuring

/// How thorough a run is. Quick ones are for a look and for the guard against regressions.
struct Effort: Sendable {
    var quick = false
    var poolSize = 4
    var inFlight = 64
    var ready = 64

    /// Many and short: what else the machine does comes and goes within a second or so.
    var rounds: Int { quick ? 5 : 9 }
    /// Of what is measured one at a time, in each round.
    var count: Int { quick ? 60 : 150 }
    /// Of what is measured by its rate, in each round.
    var seconds: Double { quick ? 0.8 : 2 }
}

struct BarGroup: Sendable {
    var name: String
    var measures: String
    /// Whether it is measured when no group is asked for.
    var byDefault = true
    /// Whether the machine is another one afterwards: then it is measured after all others.
    var leavesTraces = false
    var measure: @Sendable (Effort) async -> [Row]

    static let all = [
        BarGroup(name: "single", measures: "/bin/true, alone and 64 in flight (bars 1, 2)", measure: SingleJobBars.measure),
        BarGroup(name: "reuse", measures: "the same where one group's jobs share a sandbox (bar 2b)", measure: SingleJobBars.measureReuse),
        BarGroup(name: "cold", measures: "the same with nothing made ahead of need", measure: SingleJobBars.measureCold),
        BarGroup(name: "soak", measures: "the same for five minutes (bar 3)", measure: SoakBars.measure),
        BarGroup(name: "python", measures: "Python and its tests, from templates (bars 4 to 7)", measure: TemplateBars.measure),
        // The kernel takes minutes to take their cgroups apart, and each one made later is larger until the machine's next start (docs/adr/0008).
        BarGroup(name: "live", measures: "10,000 live sandboxes (bar 8)", leavesTraces: true, measure: LiveBars.measure),
        BarGroup(name: "queue", measures: "100,000 queued jobs (bar 9)", measure: QueueBars.measure),
        BarGroup(name: "crowd", measures: "1,000 connections with 10 jobs each (bar 10)", measure: CrowdBars.measure),
        BarGroup(name: "compile", measures: "C++, compiled and run (bar 11)", measure: CompileBars.measure),
        BarGroup(name: "command", measures: "paddock run as a whole process (bar 12)", measure: CommandBars.measure),
        BarGroup(name: "client", measures: "the Python client's own ceiling", measure: ClientBars.measure),
        BarGroup(name: "peers", measures: "other sandboxes, where they are installed", byDefault: false, measure: PeerBars.measure),
    ]
}

/// The rows of one measurement, or one that says why there are none: a bar that cannot be measured must not cost the others.
func attempt(_ number: String?, key: String, _ name: String, unit: String, bar: Bar? = nil, _ measure: () async throws -> [Row]) async -> [Row] {
    do {
        return try await measure()
    } catch {
        say("  \(name): \(error)")
        return [Row(number, key: key, name, value: nil, unit: unit, bar: bar, note: "\(error)")]
    }
}
