// A program of this machine, started and waited for by plain calls: Foundation's Process keeps a run loop per thread,
// which tests running side by side on a thread pool do not survive.

import Foundation
import LinuxSystem

final class Program {
    let pid: Int32
    private let output: Int32
    private var status: Int32?
    private(set) var text = ""

    /// Both its output streams arrive in `text`.
    init(_ arguments: [String], environment: [String: String] = ProcessInfo.processInfo.environment) throws {
        let pipe = try Files.pipe()
        defer { Files.close(pipe.write) }
        output = pipe.read
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, pipe.write, 1)
        posix_spawn_file_actions_adddup2(&actions, pipe.write, 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A pool's threads have their signals blocked; their children would too.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { (argv + envp).forEach { free($0) } }
        var child: pid_t = 0
        let r = posix_spawn(&child, arguments[0], &actions, &attributes, &argv, &envp)
        if r != 0 {
            Files.close(pipe.read)
            throw Errno(r)
        }
        pid = child
    }

    deinit { Files.close(output) }

    /// Reads on; false at the end.
    @discardableResult
    func readMore() -> Bool {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        let n = (try? buffer.withUnsafeMutableBytes { try Files.read(output, $0) }) ?? 0
        text += String(decoding: buffer[..<max(0, n)], as: UTF8.self)
        return n > 0
    }

    /// Its exit status, or -1 where a signal ended it.
    func wait() -> Int32 {
        while readMore() {}
        return reap()
    }

    func end() {
        kill(pid, SIGKILL)
        _ = reap()
    }

    private func reap() -> Int32 {
        if let status { return status }
        var raw: Int32 = 0
        while waitpid(pid, &raw, 0) == -1 && errno == EINTR {}
        status = raw & 0x7f == 0 ? (raw >> 8) & 0xff : -1
        return status!
    }
}
