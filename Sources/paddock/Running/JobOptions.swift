// Words of the command line → the parts of a `JobRequest`. Each mistake names the option, what was found and what was
// expected; nothing is read that is larger than a sandbox would take.

import Foundation
import Policy
import SandboxCore
import StrictYAML

enum JobOptions {
    /// `memory=256m`, `cpu_time=10s`, `processes=64`; the protocol's keys (`memory_bytes`) are taken too.
    static func limits(_ words: [String]) throws -> Limits {
        var limits = Limits()
        for word in words {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let names = LimitField.all.map(\.name)
            guard let field = LimitField.named(parts[0]) else {
                throw UserError(
                    "--limit: found '\(Human.safe(parts[0]))', expected one of \(names.joined(separator: ", "))",
                    hint: nearestName(to: parts[0], among: names).map { "did you mean '\($0)'?" } ?? "for example --limit memory=256m")
            }
            guard parts.count == 2, let value = quantity(parts[1], field.unit) else {
                throw UserError(
                    "--limit \(field.name): found '\(Human.safe(parts.count == 2 ? parts[1] : "nothing"))', expected \(expectation(field.unit))",
                    hint: "for example --limit \(field.name)=\(example(field.unit))")
            }
            guard field.range.contains(value) else {
                throw UserError(
                    "--limit \(field.name): found \(Human.limit(value, field.unit)), expected "
                        + "\(Human.limit(field.range.lowerBound, field.unit)) to \(Human.limit(field.range.upperBound, field.unit))")
            }
            limits[field] = value
        }
        return limits
    }

    /// Policies' way to write quantities, and the short ones people type: `256m`, `256M`, `256mb`, `10s`, `2m`.
    static func quantity(_ text: String, _ unit: LimitField.Unit) -> Int? {
        if let value = Quantity.parse(text, as: unit) { return value }
        let digits = text.prefix { $0.isNumber || $0 == "." }
        let suffix = text.dropFirst(digits.count).lowercased()
        let written: String? = switch (unit, suffix) {
        case (.bytes, "k"), (.bytes, "kb"), (.bytes, "kib"): "KiB"
        case (.bytes, "m"), (.bytes, "mb"), (.bytes, "mib"): "MiB"
        case (.bytes, "g"), (.bytes, "gb"), (.bytes, "gib"): "GiB"
        case (.bytes, "t"), (.bytes, "tb"), (.bytes, "tib"): "TiB"
        case (.milliseconds, "m"), (.milliseconds, "min"): "min"
        default: nil
        }
        return written.flatMap { Quantity.parse(digits + $0, as: unit) }
    }

    private static func expectation(_ unit: LimitField.Unit) -> String {
        switch unit {
        case .bytes: "a size: 512k, 256m, 1.5g, or a number of bytes"
        case .milliseconds: "a time: 500ms, 10s, 2min, 1h, or a number of milliseconds"
        case .count: "a whole number"
        }
    }

    private static func example(_ unit: LimitField.Unit) -> String {
        switch unit {
        case .bytes: "256m"
        case .milliseconds: "10s"
        case .count: "64"
        }
    }

    /// `NAME=VALUE`; `NAME` alone takes the value it has here.
    static func environment(_ words: [String]) throws -> [String: String] {
        var result: [String: String] = [:]
        for word in words {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard !parts[0].isEmpty else { throw UserError("--env: found '\(Human.safe(word))', expected NAME=VALUE") }
            if parts.count == 2 {
                result[parts[0]] = parts[1]
            } else if let value = ProcessInfo.processInfo.environment[parts[0]] {
                result[parts[0]] = value
            } else {
                throw UserError("--env: \(Human.safe(parts[0])) has no value here, expected NAME=VALUE or the name of a variable that is set")
            }
        }
        return result
    }

    /// `PATH[:DEST]`, a file or a directory, each as a list of files to place.
    static func files(_ words: [String]) throws -> [FileIn] {
        var gatherer = FileGatherer()
        for word in words {
            let (path, destination) = split(word)
            try gatherer.add(path, to: destination ?? (path as NSString).lastPathComponent, option: "--file")
        }
        return gatherer.files
    }

    /// A path may have a colon itself: what exists as a whole is taken as a whole.
    private static func split(_ word: String) -> (path: String, destination: String?) {
        if FileManager.default.fileExists(atPath: word) { return (word, nil) }
        guard let colon = word.lastIndex(of: ":") else { return (word, nil) }
        let destination = String(word[word.index(after: colon)...])
        return (String(word[..<colon]), destination.isEmpty ? nil : destination)
    }

    /// The command line after `--`, and what stood before it.
    static func split(passthrough words: [String]) -> (before: [String], command: [String]?) {
        guard let dashes = words.firstIndex(of: "--") else { return (words, nil) }
        return (Array(words[..<dashes]), Array(words[words.index(after: dashes)...]))
    }
}
