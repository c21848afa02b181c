// The test bundle, started once more as another process: where a test must count what a whole process holds, kill it,
// or run it as another user.

import Foundation
import LinuxSystem

final class ChildProcess {
    /// In the child, what it was started for.
    static let role = ProcessInfo.processInfo.environment["PADDOCK_TEST_ROLE"]

    private let program: Program
    var pid: Int32 { program.pid }
    var text: String { program.text }

    /// - Parameters:
    ///   - role: enables the tests that are for this child alone.
    ///   - user: a user id to run as, with no group and no capability.
    init(role: String, filter: String, user: Int? = nil) throws {
        let asUser = user.map { ["/usr/bin/setpriv", "--reuid", "\($0)", "--regid", "\($0)", "--clear-groups", "--inh-caps=-all"] } ?? []
        var environment = ProcessInfo.processInfo.environment
        environment["PADDOCK_TEST_ROLE"] = role
        environment["PADDOCK_WARDEN"] = Harness.warden
        // The tests that started this one go on beside it.
        let few = ["--experimental-maximum-parallelization-width", "4"]
        program = try Program(asUser + [CommandLine.arguments[0], "--testing-library", "swift-testing", "--filter", filter] + few, environment: environment)
    }

    /// Reads until a line begins with `prefix`; the line, or nil where the output ended before.
    func line(_ prefix: String) -> String? {
        while true {
            if let line = text.split(separator: "\n").first(where: { $0.hasPrefix(prefix) }) { return String(line) }
            if !program.readMore() { return nil }
        }
    }

    /// Waits for its end; its exit status.
    func wait() -> Int32 { program.wait() }
    func kill() { program.end() }
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

    /// What its descriptors lead to.
    static func files(of pid: Int32) -> [String] {
        let folder = "/proc/\(pid)/fd"
        let numbers = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return numbers.compactMap { try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\($0)") }
    }

    /// Pids whose parent is `pid`.
    static func children(of pid: Int32) -> [Int32] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { Int32($0) }.filter { ProcessStat(of: $0)?[4] == Int(pid) }
    }
}
