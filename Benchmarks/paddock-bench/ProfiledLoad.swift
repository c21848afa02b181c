// A farm kept busy with one kind of job, for a profiler to look at. Nothing is compared.

import SandboxCore

enum ProfiledLoad: String, CaseIterable {
    case single, reuse, cold, python

    func run(_ effort: Effort, seconds: Double) async throws {
        let more = switch self {
        case .single, .cold: ""
        case .reuse: ", reuse: group"
        case .python: TemplateBars.pool
        }
        try await FarmUnderTest.with(pools: [SingleJobBars.pool(effort, more)], ready: self == .cold ? 0 : effort.ready) { farm in
            try await SingleJobBars.warmUp(farm, effort)
            var job = SingleJobBars.nothing
            if self == .reuse { job.labels = Labels(group: "one") }
            if self == .python {
                try await TemplateBars.load(farm)
                job = TemplateBars.fork(JobRequest(work: .command(["python3", "-c", "print(1)"])), of: "python")
            }
            let loaded = try await farm.rate(job, inFlight: effort.inFlight, seconds: seconds)
            print("\(Int(loaded.perSecond)) jobs/s, \(effort.inFlight) in flight")
        }
    }
}
