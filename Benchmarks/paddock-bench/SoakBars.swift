// Bar 3: whether a farm that has been busy for minutes is as fast as it was, and no larger.

import Measuring
import SandboxCore

enum SoakBars {
    static func measure(_ effort: Effort) async -> [Row] {
        let minutes = 5, part = effort.quick ? 4.0 : 60.0
        let name = "/bin/true for \(effort.quick ? "20 s" : "5 minutes"), \(effort.inFlight) in flight"
        let bar = Bar(.ratio, atLeast: 0.9)
        return await attempt("3", key: "soak.rate", name, unit: "/s", bar: bar) {
            try await FarmUnderTest.with(pools: [SingleJobBars.pool(effort)], ready: effort.ready) { farm in
                try await SingleJobBars.warmUp(farm, effort)
                var rates: [Double] = [], memory: [Double] = []
                for _ in 0..<minutes {
                    rates.append(try await farm.rate(SingleJobBars.nothing, inFlight: effort.inFlight, seconds: part).perSecond)
                    memory.append(Double(try await farm.stats().memoryBytes) / 1_048_576)
                }
                var rate = Turns(), grown = Turns()
                rate.add(baseline: rates[0], farm: rates[minutes - 1])
                grown.add(baseline: memory[0], farm: memory[minutes - 1])
                return [
                    Row("3", key: "soak.rate", "\(name): last fifth ÷ first", rate, unit: "/s", bar: bar),
                    // An allocator takes a few percent; a leak of ten bytes a job would be more.
                    Row("3", key: "soak.memory", "  daemon's memory after the last ÷ after the first", grown, unit: "MiB", bar: Bar(.ratio, atMost: 1.05)),
                ]
            }
        }
    }
}
