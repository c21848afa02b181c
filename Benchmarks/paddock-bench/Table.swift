// Figures and how they are shown: as ratios to the baseline of the same run, beside the bar they are held to.

import Foundation

struct Row: Codable {
    var name: String
    var value: Double
    var unit: String
    /// To the baseline, the median of the rounds' ratios.
    var ratio: Double?
    var bar: Double?
    var atMost: Bool?

    var passes: Bool? {
        guard let ratio, let bar, let atMost else { return nil }
        return atMost ? ratio <= bar : ratio >= bar
    }
}

struct Table {
    var rows: [Row]

    var text: String {
        let lines = rows.map { row in
            let value = row.value < 10 ? String(format: "%.3f", row.value) : String(format: "%.1f", row.value)
            var line = row.name.padding(toLength: 44, withPad: " ", startingAt: 0) + String(repeating: " ", count: max(0, 10 - value.count)) + value + " "
                + row.unit.padding(toLength: 4, withPad: " ", startingAt: 0)
            if let ratio = row.ratio { line += String(format: "  %7.3f×", ratio) }
            if let bar = row.bar, let passes = row.passes {
                line += "  bar \(row.atMost == true ? "≤" : "≥") \(bar)×  \(passes ? "pass" : "short")"
            }
            return line
        }
        return lines.joined(separator: "\n")
    }

    var json: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return (try? encoder.encode(rows)).map { String(decoding: $0, as: UTF8.self) } ?? "[]"
    }
}

/// The value that a share of all values does not exceed.
func quantile(_ values: [Double], _ share: Double) -> Double {
    guard !values.isEmpty else { return .nan }
    let sorted = values.sorted()
    return sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
}
