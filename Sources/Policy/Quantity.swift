// How people write sizes and times: `512MiB`, `10s`. For limits in policies, and for the command line's `--limit`.

import SandboxCore

/// Text with a unit -> a number in the limit's own unit (bytes, milliseconds, or a plain count).
public enum Quantity {
    private static let bytes: [(String, Int)] = [
        ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
        ("k", 1 << 10), ("m", 1 << 20), ("g", 1 << 30), ("t", 1 << 40),
    ]
    private static let times: [(String, Int)] = [("ms", 1), ("s", 1000), ("min", 60_000), ("h", 3_600_000)]

    /// `nil` when `text` is not a number with one of the unit's suffixes (a bare number is in the unit itself), is
    /// not a whole number of that unit, or does not fit.
    public static func parse(_ text: String, as unit: LimitField.Unit) -> Int? {
        let digits = text.prefix { ("0"..."9").contains($0) || $0 == "." }
        let suffix = text.dropFirst(digits.count)
        let factors = switch unit {
        case .bytes: bytes
        case .milliseconds: times
        case .count: [(String, Int)]()
        }
        guard let factor = suffix.isEmpty ? 1 : factors.first(where: { $0.0 == suffix })?.1 else { return nil }
        return scale(digits, by: factor)
    }

    /// What `parse` takes, for messages.
    public static func expectation(_ unit: LimitField.Unit) -> String {
        switch unit {
        case .bytes: "bytes, or a size such as 512MiB (B, KiB, MiB, GiB, TiB)"
        case .milliseconds: "milliseconds, or a time such as 10s (ms, s, min, h)"
        case .count: "a whole number"
        }
    }

    /// The shortest way to write `value` so that `parse` gives it back.
    public static func format(_ value: Int, as unit: LimitField.Unit) -> String {
        let factors: [(String, Int)] = switch unit {
        case .bytes: [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
        case .milliseconds: [("h", 3_600_000), ("min", 60_000), ("s", 1000)]
        case .count: []
        }
        for (suffix, factor) in factors where value != 0 && value % factor == 0 { return "\(value / factor)\(suffix)" }
        return "\(value)"
    }

    /// `digits` (`12`, `1.5`) times `factor`, if that is a whole number.
    private static func scale(_ digits: Substring, by factor: Int) -> Int? {
        let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, let head = parts.first, let whole = Int(head) else { return nil }
        let (product, overflow) = whole.multipliedReportingOverflow(by: factor)
        guard !overflow else { return nil }
        guard parts.count == 2 else { return product }
        guard (1...6).contains(parts[1].count), let fraction = Int(parts[1]) else { return nil }
        let scale = (0..<parts[1].count).reduce(1) { scale, _ in scale * 10 }
        let (scaled, tooBig) = fraction.multipliedReportingOverflow(by: factor)
        guard !tooBig, scaled % scale == 0 else { return nil }
        let (sum, spills) = product.addingReportingOverflow(scaled / scale)
        return spills ? nil : sum
    }
}
