// Rows as people read them.

import Foundation

public struct Table: Sendable {
    private static let headings = ["bar", "work", "value", "ratio", "asked", "", ""]
    /// Columns of numbers.
    private static let right: Set<Int> = [2, 3]

    private let cells: [[String]]

    public init(_ rows: [Row]) {
        cells = rows.map { row in
            [
                row.number ?? "", row.name, row.value.map { Self.figure($0) + " " + row.unit } ?? "", row.ratio.map { Self.figure($0) + "×" } ?? "",
                row.bar.map { Self.bar($0, unit: row.unit) } ?? "", row.verdict?.rawValue ?? "", row.note.map { "(\($0))" } ?? "",
            ]
        }
    }

    public var text: String {
        let lines = [Self.headings] + cells
        let widths = Self.headings.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        return lines.map { line in
            let padded = zip(line, widths).enumerated().map { column, cell in
                let padding = String(repeating: " ", count: cell.1 - cell.0.count)
                return Self.right.contains(column) ? padding + cell.0 : cell.0 + padding
            }
            let joined = padded.joined(separator: "  ")
            return String(joined.prefix(joined.lastIndex { $0 != " " }.map { joined.distance(from: joined.startIndex, to: $0) + 1 } ?? 0))
        }.joined(separator: "\n")
    }

    /// Three significant digits, or all that there are before the point.
    public static func figure(_ value: Double) -> String {
        let digits = switch abs(value) {
        case 100...: 0
        case 10...: 1
        case 1...: 2
        default: 3
        }
        return String(format: "%.\(digits)f", value)
    }

    /// A bar as it was set: without digits that nobody asked for.
    public static func bar(_ bar: Bar, unit: String) -> String {
        "\(bar.atMost ? "≤" : "≥") \(String(format: bar.limit >= 1000 ? "%.0f" : "%.4g", bar.limit))\(bar.of == .ratio ? "×" : " \(unit)")"
    }
}
