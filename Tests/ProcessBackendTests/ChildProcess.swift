// The test bundle, started once more as another process: where a test must count what a whole process holds, kill it,
// or run it as another user.

import Foundation
import LinuxSystem

final class ChildProcess {
    /// In the child, what it was started for.
    static let role = ProcessInfo.processInfo.environment["PADDOCK_TEST_ROLE"]

    private let process = Process()
    private let output = Pipe()
    private(set) var text = ""
    var pid: Int32 { process.processIdentifier }

    /// - Parameters:
    ///   - role: enables the tests that are for this child alone.
    ///   - user: a user id to run as, with no group and no capability.
    init(role: String, filter: String, user: Int? = nil) throws {
        let arguments = ["--testing-library", "swift-testing", "--filter", filter]
        process.executableURL = URL(fileURLWithPath: user == nil ? CommandLine.arguments[0] : "/usr/bin/setpriv")
        process.arguments = (user.map { ["--reuid", "\($0)", "--regid", "\($0)", "--clear-groups", "--inh-caps=-all", CommandLine.arguments[0]] } ?? []) + arguments
        var environment = ProcessInfo.processInfo.environment
        environment["PADDOCK_TEST_ROLE"] = role
        environment["PADDOCK_WARDEN"] = Harness.warden
        process.environment = environment
        process.standardOutput = output
        process.standardError = output
        try process.run()
    }

    /// Reads until a line begins with `prefix`; the line, or nil where the output ended before.
    func line(_ prefix: String) -> String? {
        while true {
            if let line = text.split(separator: "\n").first(where: { $0.hasPrefix(prefix) }) { return String(line) }
            let more = output.fileHandleForReading.availableData
            if more.isEmpty { return nil }
            text += String(decoding: more, as: UTF8.self)
        }
    }

    /// Waits for its end; its exit status.
    func wait() -> Int32 {
        text += String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return process.terminationStatus
    }

    func kill() {
        Glibc.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}

/// What the host's `/proc` shows.
enum HostProcesses {
    /// Pids whose command line contains `marker`.
    static func running(_ marker: String) -> [Int32] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { Int32($0) }.filter { pid in
            guard let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") else { return false }
            return String(decoding: line, as: UTF8.self).contains(marker)
        }
    }

    /// Descriptors that become readable as the processes end.
    static func watch(_ pids: [Int32]) -> [Int32] { pids.compactMap { try? Processes.descriptor(of: $0) } }

    /// Waits until all of them have ended; false where one still lives after `seconds`.
    static func allEnd(_ watched: [Int32], within seconds: Int) throws -> Bool {
        defer { for fd in watched { Files.close(fd) } }
        for fd in watched {
            var poll = PollSet()
            poll.add(fd)
            try poll.wait(nanoseconds: seconds * 1_000_000_000)
            if !poll.isReady(fd) { return false }
        }
        return true
    }

    static func descriptors(of pid: Int32 = getpid()) -> Int { (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count) ?? -1 }

    /// Pids whose parent is `pid`.
    static func children(of pid: Int32) -> [Int32] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { Int32($0) }.filter { child in
            guard let text = try? Files.readFile("/proc/\(child)/stat"), let close = text.lastIndex(of: ")") else { return false }
            let fields = text[text.index(after: close)...].split(separator: " ")
            return fields.count > 1 && Int32(fields[1]) == pid
        }
    }
}
