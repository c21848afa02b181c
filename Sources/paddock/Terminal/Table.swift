// Columns of text that fit the terminal: numbers to the right, words to the left, the widest words cut first.

struct Table {
    enum Alignment { case left, right }

    struct Column {
        var title: String
        var alignment: Alignment
        /// Whether its words may be cut to make the table fit.
        var shrinks: Bool

        init(_ title: String, _ alignment: Alignment = .left, shrinks: Bool = false) {
            self.title = title
            self.alignment = alignment
            self.shrinks = shrinks
        }
    }

    /// Text, and how it is set off once it has been cut and padded.
    struct Cell: ExpressibleByStringInterpolation {
        var text: String
        var paint: (@Sendable (String) -> String)?

        init(_ text: String, _ paint: (@Sendable (String) -> String)? = nil) {
            self.text = text
            self.paint = paint
        }
        init(stringLiteral text: String) { self.init(text) }
    }

    var columns: [Column]
    var rows: [[Cell]] = []

    init(_ columns: [Column]) { self.columns = columns }

    mutating func add(_ cells: [Cell]) { rows.append(cells) }

    /// The table's lines, none wider than `width` if cutting can help it.
    func lines(width: Int, style: Style, header: Bool = true) -> [String] {
        var widths = columns.indices.map { index in
            rows.reduce(header ? columns[index].title.count : 0) { max($0, $1[index].text.count) }
        }
        let gaps = 2 * (columns.count - 1)
        while widths.reduce(gaps, +) > width {
            let widest = columns.indices.filter { columns[$0].shrinks && widths[$0] > 6 }.max { widths[$0] < widths[$1] }
            guard let widest else { break }
            widths[widest] -= 1
        }
        var lines: [String] = []
        if header {
            lines.append(line(columns.map { Cell($0.title) }, widths) { style.dim($0) })
        }
        for row in rows { lines.append(line(row, widths, nil)) }
        return lines
    }

    private func line(_ cells: [Cell], _ widths: [Int], _ paint: ((String) -> String)?) -> String {
        var result = ""
        for (index, cell) in cells.enumerated() {
            let cut = cell.text.count > widths[index] ? String(cell.text.prefix(widths[index] - 1)) + "…" : cell.text
            let padding = String(repeating: " ", count: max(0, widths[index] - cut.count))
            let painted = cell.paint?(cut) ?? paint?(cut) ?? cut
            let isLast = index == cells.count - 1
            switch columns[index].alignment {
            case .left: result += painted + (isLast ? "" : padding)
            case .right: result += padding + painted
            }
            if !isLast { result += "  " }
        }
        return result
    }
}
