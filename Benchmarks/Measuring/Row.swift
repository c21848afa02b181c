// One line of the table: a figure, its ratio to the baseline of the same run, and the bar it is held to.

/// What a figure has to reach.
public struct Bar: Codable, Sendable, Equatable {
    public enum Subject: String, Codable, Sendable { case ratio, value }

    /// Whether the ratio to the baseline is held to it, or the value itself.
    public var of: Subject
    /// Whether less is better.
    public var atMost: Bool
    public var limit: Double

    public init(_ of: Subject, atMost limit: Double) { (self.of, self.atMost, self.limit) = (of, true, limit) }
    public init(_ of: Subject, atLeast limit: Double) { (self.of, self.atMost, self.limit) = (of, false, limit) }
}

public enum Verdict: String, Codable, Sendable {
    case pass, short
    /// There is a bar, and no figure.
    case notMeasured = "not measured"
}

public struct Row: Codable, Sendable, Equatable {
    /// The bar's number in the table of bars, where it belongs to one.
    public let number: String?
    /// Names the row for machines, and between runs.
    public let key: String
    public let name: String
    public private(set) var value: Double?
    public let unit: String
    /// In the value's unit.
    public private(set) var baseline: Double?
    public private(set) var ratio: Double?
    /// The ratio of each round, which tells how much noise there was.
    public private(set) var rounds: [Double]
    public let bar: Bar?
    public private(set) var verdict: Verdict?
    /// What a reader has to know about this figure.
    public let note: String?

    /// A figure by itself.
    public init(_ number: String? = nil, key: String, _ name: String, value: Double?, unit: String, bar: Bar? = nil, note: String? = nil) {
        self.number = number
        self.key = key
        self.name = name
        self.value = value.flatMap { $0.isFinite ? $0 : nil }
        self.unit = unit
        self.rounds = []
        self.bar = bar
        self.note = note
        verdict = judged
    }

    /// A figure beside its baseline: medians of the rounds, and the median of their ratios.
    public init(_ number: String? = nil, key: String, _ name: String, _ turns: Turns, unit: String, bar: Bar? = nil, note: String? = nil) {
        self.init(number, key: key, name, value: median(turns.farm), unit: unit, bar: bar, note: note)
        baseline = median(turns.baseline)
        rounds = turns.ratios
        ratio = median(rounds)
        verdict = judged
    }

    private var judged: Verdict? {
        guard let bar else { return nil }
        guard let subject = bar.of == .ratio ? ratio : value else { return .notMeasured }
        return (bar.atMost ? subject <= bar.limit : subject >= bar.limit) ? .pass : .short
    }
}
