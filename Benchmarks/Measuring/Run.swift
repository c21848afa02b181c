// One run of the benchmarks, whole: where it was measured, and its rows. `--json` and `--save` write it, and the scripts
// beside this directory read it.

import Foundation

/// Without which no figure means anything.
public struct Machine: Codable, Sendable, Equatable {
    /// As `uname -r` prints it.
    public var kernel: String
    public var processor: String
    public var processors: Int
    public var memoryBytes: Int
    /// `v1` or `v2`.
    public var cgroup: String
    /// Of the checkout, with a `+` where it has changes; `unknown` outside of one.
    public var commit: String
    /// The load average of the minute before the run: what else the machine did.
    public var loadBefore: Double

    public init(kernel: String, processor: String, processors: Int, memoryBytes: Int, cgroup: String, commit: String, loadBefore: Double) {
        self.kernel = kernel
        self.processor = processor
        self.processors = processors
        self.memoryBytes = memoryBytes
        self.cgroup = cgroup
        self.commit = commit
        self.loadBefore = loadBefore
    }
}

public struct Run: Codable, Sendable, Equatable {
    /// Of this form.
    public var version = 1
    /// UTC, as ISO 8601.
    public var begun: String
    public var seconds: Double
    public var quick: Bool
    public var host: Machine
    public var rows: [Row]

    public init(begun: String, seconds: Double, quick: Bool, host: Machine, rows: [Row]) {
        self.begun = begun
        self.seconds = seconds
        self.quick = quick
        self.host = host
        self.rows = rows
    }

    /// For machines: keys in snake_case, in alphabetical order, absent where there is no value.
    public var json: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            encoder.keyEncodingStrategy = .convertToSnakeCase
            return String(decoding: try encoder.encode(self), as: UTF8.self)
        }
    }
}
