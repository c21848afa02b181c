// Histograms as a person takes them in: one line each, all on the same scale of times, so that a stage's place in the line
// says how long it takes and its shape how evenly.

import SandboxCore

struct StageDrawing {
    private static let blocks = Array("▁▂▃▄▅▆▇█")
    /// The coarse bounds that are drawn, in milliseconds: from the shortest time there is to the longest.
    private let bounds: [Double]

    /// - Returns: `nil` where there is nothing to draw.
    init?(_ stages: [StageTimes]) {
        let all = Histogram.coarseBounds.map { Double($0) / 1_000_000 }
        let used = stages.flatMap(\.buckets).map { $0.upToMs ?? .infinity }
        guard let shortest = used.min(), let longest = used.max() else { return nil }
        bounds = all.filter { $0 >= shortest && $0 <= longest } + (longest == .infinity ? [.infinity] : [])
    }

    /// What the scale's ends are, over a line of the drawing.
    var title: String {
        let ends = ["≤ \(Self.time(bounds[0]))", bounds.last == .infinity ? "longer" : "≤ \(Self.time(bounds.last!))"]
        let gap = bounds.count - ends[0].count - ends[1].count
        return ends[0] + String(repeating: " ", count: max(2, gap)) + ends[1]
    }

    /// Each time's share of the stage's most frequent one.
    func line(_ stage: StageTimes) -> String {
        let most = stage.buckets.map(\.count).max() ?? 0
        return String(bounds.map { bound in
            guard let bucket = stage.buckets.first(where: { ($0.upToMs ?? .infinity) == bound }) else { return "·" }
            return Self.blocks[(bucket.count * Self.blocks.count - 1) / max(most, 1)]
        })
    }

    /// `4 µs`, and as `Human` from a tenth of a millisecond on: a sandbox that is kept ready is leased in less.
    static func time(_ milliseconds: Double) -> String {
        milliseconds < 0.095 ? "\(Int((milliseconds * 1_000).rounded())) µs" : Human.time(milliseconds)
    }
}
