// Runs the few programs this room needs (mmdebstrap, tar, gzip, zstd, unshare), with bounded output and errors that
// hold the end of what they said.

import Foundation
import Subprocess
import SystemPackage

enum Tools {
    /// Debian packages that hold the programs, for hints.
    private static let packages = ["unshare": "util-linux", "gzip": "gzip", "zstd": "zstd", "tar": "tar"]

    /// Whether a program is in PATH.
    static func find(_ tool: String) -> Bool {
        (ProcessInfo.processInfo.environment["PATH"] ?? defaultPath).split(separator: ":")
            .contains { Files.status("\($0)/\(tool)").map { $0.kind == .file && $0.mode & 0o111 != 0 } ?? false }
    }

    static func require(_ tool: String) throws {
        guard find(tool) else {
            throw ImageError.toolMissing(tool: tool, hint: "apt-get install \(packages[tool] ?? tool)")
        }
    }

    /// Runs a program to its end, its output and errors line by line to `onLine`.
    /// - Parameters:
    ///   - input: standard input; a work directory's lock, so that it counts as in use while the program lives.
    ///   - environment: replaces the variables of these names; the rest is inherited.
    /// - Throws: `ImageError.toolFailed` with its last lines, unless it exits with 0.
    static func run(
        _ tool: String, _ arguments: [String], input: Descriptor, environment: [String: String?] = [:],
        onLine: @Sendable (String) -> Void = { _ in }
    ) async throws {
        try require(tool)
        let changes = environment.map { (Environment.Key(stringLiteral: $0.key), $0.value) }
        let result = try await Subprocess.run(
            .name(tool), arguments: Arguments(arguments),
            environment: .inherit.updating(Dictionary(uniqueKeysWithValues: changes)),
            input: .fileDescriptor(FileDescriptor(rawValue: input.raw), closeAfterSpawningProcess: false),
            output: .sequence, error: .combinedWithOutput
        ) { execution in
            var lines = LineTail()
            for try await buffer in execution.standardOutput {
                for line in lines.feed(buffer.withUnsafeBytes { Array($0) }) { onLine(line) }
            }
            return lines.text
        }
        withExtendedLifetime(input) {}
        guard result.terminationStatus.isSuccess else {
            throw ImageError.toolFailed(
                tool: tool, status: describe(result.terminationStatus), output: result.closureResult)
        }
    }

    /// Runs a filter over a file, its output in pieces to `onBytes`. When that throws, the filter is ended.
    static func filter(
        _ tool: String, _ arguments: [String], input: Descriptor, onBytes: ([UInt8]) throws -> Void
    ) async throws {
        try require(tool)
        let result = try await Subprocess.run(
            .name(tool), arguments: Arguments(arguments),
            input: .fileDescriptor(FileDescriptor(rawValue: input.raw), closeAfterSpawningProcess: false),
            output: .sequence, error: .discarded
        ) { execution in
            for try await buffer in execution.standardOutput {
                do {
                    try onBytes(buffer.withUnsafeBytes { Array($0) })
                } catch {
                    try? execution.send(signal: .kill)
                    throw error
                }
            }
        }
        withExtendedLifetime(input) {}
        guard result.terminationStatus.isSuccess else {
            throw ImageError.toolFailed(tool: tool, status: describe(result.terminationStatus), output: "")
        }
    }

    private static func describe(_ status: TerminationStatus) -> String {
        switch status {
        case .exited(let code): "exited with \(code)"
        case .signaled(let signal): "was ended by signal \(signal)"
        }
    }
}

/// Cuts bytes into lines and keeps the last of them.
private struct LineTail {
    private static let keep = 20
    private static let longest = 2000
    private var partial: [UInt8] = []
    private var last: [String] = []

    var text: String { (last + (partial.isEmpty ? [] : [String(decoding: partial, as: UTF8.self)])).joined(separator: "\n") }

    mutating func feed(_ bytes: [UInt8]) -> [String] {
        var lines: [String] = []
        for byte in bytes {
            if byte != 10 && byte != 13 {
                if partial.count < Self.longest { partial.append(byte) }
                continue
            }
            if !partial.isEmpty { lines.append(String(decoding: partial, as: UTF8.self)) }
            partial.removeAll(keepingCapacity: true)
        }
        last = (last + lines).suffix(Self.keep)
        return lines
    }
}
