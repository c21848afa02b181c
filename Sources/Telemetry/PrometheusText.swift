// Figures → the text a Prometheus scraper reads (exposition format 0.0.4). The caller names what there is, in order; what
// a family's samples look like is decided here.

import SandboxCore

public struct PrometheusText: Sendable {
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// All labels there are. Their values are words of the program or names the operator gave: nothing a client says
    /// makes a series.
    public enum Label: String, Sendable {
        case pool, stage, outcome, limit, code, state, reason, event, result, template, version
    }

    public enum Kind: String, Sendable { case counter, gauge, histogram }

    public private(set) var bytes: [UInt8] = []
    private var family = ""

    /// - Parameter capacity: about how many bytes are to come.
    public init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    /// Begins a metric; its samples follow.
    /// - Parameter help: one line.
    public mutating func begin(_ name: String, _ kind: Kind, _ help: String) {
        family = name
        write("# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n")
    }

    public mutating func sample(_ value: Int, _ labels: KeyValuePairs<Label, String> = [:]) {
        line(family, labels, "\(value)")
    }

    public mutating func sample(_ value: Double, _ labels: KeyValuePairs<Label, String> = [:]) {
        line(family, labels, "\(value)")
    }

    public mutating func sample(_ histogram: Histogram, _ labels: KeyValuePairs<Label, String>) {
        let bucket = family + "_bucket"
        for (bound, count) in zip(Self.bounds, histogram.cumulative) { line(bucket, labels, "\(count)", upTo: bound) }
        line(bucket, labels, "\(histogram.count)", upTo: "+Inf")
        line(family + "_sum", labels, "\(histogram.sum / 1e9)")
        line(family + "_count", labels, "\(histogram.count)")
    }

    /// In seconds, exactly: `0.000001`, `0.5`, `1000`.
    static let bounds: [String] = Histogram.coarseBounds.map { nanoseconds in
        let (seconds, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        guard rest > 0 else { return "\(seconds)" }
        var fraction = String(String(1_000_000_000 + rest).dropFirst())
        while fraction.hasSuffix("0") { fraction.removeLast() }
        return "\(seconds).\(fraction)"
    }

    private mutating func line(
        _ name: String, _ labels: KeyValuePairs<Label, String>, _ value: String, upTo bound: String? = nil
    ) {
        write(name)
        var opening = "{"
        for (label, text) in labels {
            write("\(opening)\(label.rawValue)=\"\(Self.escaped(text))\"")
            opening = ","
        }
        if let bound {
            write("\(opening)le=\"\(bound)\"")
            opening = ","
        }
        write(opening == "{" ? " " : "} ")
        write(value)
        write("\n")
    }

    private mutating func write(_ text: String) { bytes.append(contentsOf: text.utf8) }

    private static func escaped(_ text: String) -> String {
        guard text.utf8.contains(where: { [0x22, 0x5c, 0x0a].contains($0) }) else { return text }
        return text.map { ["\\": "\\\\", "\"": "\\\"", "\n": "\\n"][$0] ?? String($0) }.joined()
    }
}
