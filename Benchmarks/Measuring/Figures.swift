// What is made of many measurements: quantiles, and ratios of two things that were measured in turns.

/// The value that a share of all values does not exceed; NaN of none.
public func quantile(_ values: [Double], _ share: Double) -> Double {
    guard !values.isEmpty else { return .nan }
    // In thousandths: 0.99 of 100 values is exactly the 99th of them, whatever 0.99 is in binary.
    let rank = (Int((share * 1000).rounded()) * values.count + 999) / 1000
    return values.sorted()[min(values.count, max(1, rank)) - 1]
}

/// The middle one, or what is between the two in the middle; NaN of none.
public func median(_ values: [Double]) -> Double {
    guard !values.isEmpty else { return .nan }
    let sorted = values.sorted(), half = values.count / 2
    return values.count.isMultiple(of: 2) ? (sorted[half - 1] + sorted[half]) / 2 : sorted[half]
}

/// Two measurements that took turns, round by round. A machine's speed drifts, with its neighbours' work and its clock, so
/// that only what was measured side by side can be compared: the ratio is the median of the rounds' ratios.
public struct Turns: Sendable, Equatable {
    public private(set) var baseline: [Double] = []
    public private(set) var farm: [Double] = []

    public init() {}

    public mutating func add(baseline: Double, farm: Double) {
        self.baseline.append(baseline)
        self.farm.append(farm)
    }

    /// Of each round.
    public var ratios: [Double] { zip(farm, baseline).map { $0 / $1 } }

    /// Measures both, and in every second round in the other order, so that a drift favours neither.
    public static func measure(
        rounds: Int, baseline: () async throws -> Double, farm: () async throws -> Double
    ) async rethrows -> Turns {
        var turns = Turns()
        for round in 0..<rounds {
            if round.isMultiple(of: 2) {
                let first = try await baseline()
                turns.add(baseline: first, farm: try await farm())
            } else {
                let first = try await farm()
                turns.add(baseline: try await baseline(), farm: first)
            }
        }
        return turns
    }
}
