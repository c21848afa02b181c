// The `nft` command: rules are its language, and it makes all of a script's changes or none.

import CLinux
import Glibc
import LinuxSystem

struct NftFailure: Error {
    /// The first line it said, or why it could not be asked.
    var message: String
}

struct NftTool: Sendable {
    let path: String

    /// `nil` where there is none.
    init?(_ named: String?) {
        let places = named.map { [$0] } ?? ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"].map { "\($0)/nft" }
        guard let path = places.first(where: { access($0, X_OK) == 0 }) else { return nil }
        self.path = path
    }

    /// Runs it to its end.
    /// - Returns: what it wrote to its standard output.
    @discardableResult
    func run(_ arguments: [String], input: String = "") throws(NftFailure) -> String {
        let end: (status: Int32, output: String, complaint: String)
        do throws(Errno) { end = try finish(arguments, input) } catch { throw NftFailure(message: "\(path): \(error)") }
        if end.status != 0 {
            throw NftFailure(message: end.complaint.split(separator: "\n").first.map(String.init) ?? "it ended with status \(end.status)")
        }
        return end.output
    }

    private func finish(_ arguments: [String], _ input: String) throws(Errno) -> (status: Int32, output: String, complaint: String) {
        // Files and not pipes: nobody has to read while it writes.
        let streams = [Descriptor(try Files.memory("nft-in")), Descriptor(try Files.memory("nft-out")), Descriptor(try Files.memory("nft-error"))]
        try Files.writeAll(streams[0].raw, input)
        try Files.seek(streams[0].raw, to: 0)
        let pid = try start(arguments, streams.map(\.raw))
        var status: Int32 = 0
        while waitpid(pid, &status, 0) == -1 { if errno != EINTR { throw Errno(errno) } }
        func text(_ stream: Descriptor) throws(Errno) -> String {
            try Files.seek(stream.raw, to: 0)
            return String(decoding: try Files.readAll(stream.raw, limit: 16 << 20), as: UTF8.self)
        }
        return (status & 0x7f == 0 ? status >> 8 & 0xff : -1, try text(streams[1]), try text(streams[2]))
    }

    private func start(_ arguments: [String], _ streams: [Int32]) throws(Errno) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (number, stream) in streams.enumerated() { posix_spawn_file_actions_adddup2(&actions, stream, Int32(number)) }
        pd_spawn_close_from(&actions, 3)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A pool's threads have their signals blocked; their children would too.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var argv: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { (text: String) in strdup(text) } + [nil]
        defer { argv.forEach { free($0) } }
        var environment: [UnsafeMutablePointer<CChar>?] = [strdup("LC_ALL=C"), nil]
        defer { environment.forEach { free($0) } }
        var pid: pid_t = 0
        let r = posix_spawn(&pid, path, &actions, &attributes, &argv, &environment)
        if r != 0 { throw Errno(r) }
        return pid
    }
}
