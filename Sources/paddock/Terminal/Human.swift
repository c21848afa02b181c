// Figures and foreign text as people read them. The machine's form is `--json`.

import SandboxCore

enum Human {
    /// `512 B`, `64 KiB`, `1.5 GiB`.
    static func bytes(_ count: Int) -> String {
        guard count >= 1024 else { return "\(count) B" }
        var value = Double(count)
        var unit = ""
        for next in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
            value /= 1024
            unit = next
            // What would be shown as 1024 of a unit is one of the next.
            if value < 1023.5 { break }
        }
        return "\(short(value)) \(unit)"
    }

    /// `0.4 ms`, `12 ms`, `1.25 s`, `3 min 20 s`, `2 h 5 min`, `4 d 1 h`.
    static func time(_ milliseconds: Double) -> String {
        if milliseconds < 10 { return "\(fixed(milliseconds, 1)) ms" }
        if milliseconds < 999.5 { return "\(Int(milliseconds.rounded())) ms" }
        if milliseconds < 59_995 { return "\(fixed(milliseconds / 1000, 2)) s" }
        let seconds = Int((milliseconds / 1000).rounded())
        if seconds < 3600 { return pair(seconds / 60, "min", seconds % 60, "s") }
        if seconds < 86_400 { return pair(seconds / 3600, "h", seconds % 3600 / 60, "min") }
        return pair(seconds / 86_400, "d", seconds % 86_400 / 3600, "h")
    }

    static func time(_ milliseconds: Int) -> String { time(Double(milliseconds)) }

    /// A limit's value as one writes it on the command line, with a space: `256 MiB`, `10 s`, `64`.
    static func limit(_ value: Int, _ unit: LimitField.Unit) -> String {
        switch unit {
        case .bytes: bytes(value)
        // A limit is a whole number of these; a time that was measured is not.
        case .milliseconds where value < 1000: "\(value) ms"
        case .milliseconds: value % 1000 == 0 && value < 60_000 ? "\(value / 1000) s" : time(value)
        case .count: count(value)
        }
    }

    /// `12,345`
    static func count(_ value: Int) -> String {
        let digits = Array(String(value.magnitude))
        var text = value < 0 ? "-" : ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return text
    }

    /// `1 job`, `2 jobs`.
    static func counted(_ value: Int, _ noun: String, plural: String? = nil) -> String {
        "\(count(value)) \(value == 1 ? noun : plural ?? noun + "s")"
    }

    /// Text that came from a job or another machine, in one line: nothing in it can move the cursor or colour the screen.
    static func safe(_ text: String, limit: Int = 400) -> String {
        var result = ""
        for (index, scalar) in text.unicodeScalars.enumerated() {
            guard index < limit else { return result + "…" }
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned, .privateUse:
                result += scalar == "\n" || scalar == "\t" ? " " : "\u{FFFD}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// Words in lines that are not wider than `width`; no line for no words.
    static func wrap(_ text: String, width: Int) -> [String] {
        let width = max(20, width)
        var lines: [String] = []
        for word in text.split(separator: " ") {
            if let last = lines.last, last.count + 1 + word.count <= width {
                lines[lines.count - 1] = last + " " + word
                continue
            }
            var rest = word
            while rest.count > width {
                lines.append(String(rest.prefix(width)))
                rest = rest.dropFirst(width)
            }
            lines.append(String(rest))
        }
        return lines
    }

    /// Up to three significant digits.
    private static func short(_ value: Double) -> String {
        value < 9.95 ? trimmed(fixed(value, 1)) : "\(Int(value.rounded()))"
    }

    static func fixed(_ value: Double, _ decimals: Int) -> String {
        var scale = 1
        for _ in 0..<decimals { scale *= 10 }
        let scaled = Int((max(0, value) * Double(scale)).rounded())
        guard decimals > 0 else { return "\(scaled)" }
        let fraction = String(scaled % scale)
        return "\(scaled / scale)." + String(repeating: "0", count: decimals - fraction.count) + fraction
    }

    private static func trimmed(_ text: String) -> String { text.hasSuffix(".0") ? String(text.dropLast(2)) : text }

    private static func pair(_ a: Int, _ unitA: String, _ b: Int, _ unitB: String) -> String {
        b == 0 ? "\(a) \(unitA)" : "\(a) \(unitA) \(b) \(unitB)"
    }
}

extension LimitField {
    /// The field a verdict's limit belongs to.
    static func of(_ name: LimitName) -> LimitField? { all.first { $0.name == name.rawValue } }

    static func named(_ name: String) -> LimitField? { all.first { $0.name == name || $0.key == name } }
}
