// Policies as they were compiled by the last command, one file each: reading and compiling one takes longer than a small job.
// A kept policy counts only for the very bytes it was made of, and for the program, library and kernel that made it.

import Confinement
import Farm
import Foundation
import LinuxSystem
import Policy
import SandboxCore

struct PolicyCache: Sendable {
    private let directory: String
    private let policies: String

    /// - Parameters:
    ///   - directory: this user's own; made when there is something to keep.
    ///   - policies: where the policies' files are.
    init(directory: String, policies: String) {
        self.directory = directory
        self.policies = policies
    }

    /// - Returns: `nil` where there is none, or it is of something else than what is there now.
    func find(_ name: String) -> ResolvedPolicy? {
        guard isOwn, let path = path(name), let bytes = own(path), bytes.count > Self.sumBytes else { return nil }
        // What a disk or a hand has changed since is no policy.
        let body = Array(bytes[..<(bytes.count - Self.sumBytes)])
        guard Self.sum(body).elementsEqual(bytes[(bytes.count - Self.sumBytes)...]) else { return nil }
        var reader = MessageReader(body)
        return try? read(name, from: &reader)
    }

    /// Where it cannot be kept the next command compiles it again.
    /// - Parameter files: what it was made of, by name.
    func keep(_ name: String, _ policy: ResolvedPolicy, madeOf files: [String: [UInt8]]) {
        guard let path = path(name), !files.isEmpty, let maker = Self.maker else { return }
        var writer = MessageWriter()
        writer.put(maker)
        writer.put(policies)
        writer.put(name)
        writer.put(files.sorted { $0.key < $1.key }) {
            $0.put($1.key)
            $0.put($1.value)
        }
        policy.put(to: &writer)
        mkdir(directory, 0o700)
        guard isOwn else { return }
        let bytes = writer.bytes + Self.sum(writer.bytes)
        let draft = "\(path).\(getpid())"
        // Of a process that had this one's number and was killed.
        unlink(draft)
        guard let file = try? Files.open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600) else { return }
        // On the disk before it has its name: half a filter would be another one.
        let isWhole = (try? Files.writeAll(file, bytes)) != nil && fsync(file) == 0
        Files.close(file)
        if !isWhole || rename(draft, path) != 0 { unlink(draft) }
    }

    private static let sumBytes = 8

    /// FNV-1a. Against accidents, not against whoever may write here: who may could write a policy as well.
    private static func sum(_ bytes: [UInt8]) -> [UInt8] {
        var sum: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes { sum = (sum ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return withUnsafeBytes(of: sum.littleEndian) { Array($0) }
    }

    private func path(_ name: String) -> String? { name.isEmpty || name.hasPrefix(".") || name.contains("/") ? nil : "\(directory)/\(name)" }

    /// Whether the directory is one, and nobody else writes to it.
    private var isOwn: Bool {
        guard let file = try? Files.open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW) else { return false }
        defer { Files.close(file) }
        guard let status = try? Files.status(file) else { return false }
        return status.st_uid == geteuid() && status.st_mode & 0o022 == 0
    }

    /// The bytes of a file that nobody else has written.
    private func own(_ path: String) -> [UInt8]? {
        guard let file = try? Files.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK) else { return nil }
        defer { Files.close(file) }
        guard let status = try? Files.status(file), status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid(), status.st_mode & 0o022 == 0
        else { return nil }
        return try? Files.readAll(file, limit: 16 << 20)
    }

    private func read(_ name: String, from reader: inout MessageReader) throws -> ResolvedPolicy? {
        guard let maker = Self.maker, try reader.text() == maker, try reader.text() == policies, try reader.text() == name else { return nil }
        let files = try reader.list { (reader) throws(MalformedMessage) in (name: try reader.text(), bytes: try reader.data()) }
        guard !files.isEmpty, files.allSatisfy({ PolicyStore.bytes(of: $0.name, in: policies) == $0.bytes }) else { return nil }
        let policy = try ResolvedPolicy(from: &reader)
        try reader.finish()
        return policy
    }

    /// This very program, its library and the kernel: what else than the files a compiled policy depends on. `nil` where that
    /// cannot be said.
    private static let maker: String? = {
        var program = stat()
        var system = utsname()
        guard stat("/proc/self/exe", &program) == 0, uname(&system) == 0 else { return nil }
        let kernel = withUnsafeBytes(of: &system.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        let numbers = [
            Int(program.st_dev), Int(program.st_ino), Int(program.st_size), program.st_mtim.tv_sec, program.st_mtim.tv_nsec,
            program.st_ctim.tv_sec, program.st_ctim.tv_nsec,
        ]
        return "3 \(numbers.reduce(into: "") { $0 += "\($1)." }) \(filterLibraryVersion) \(kernel)"
    }()
}

extension ResolvedPolicy {
    fileprivate func put(to writer: inout MessageWriter) {
        writer.put(network.rawValue)
        writer.put(proc.rawValue)
        writer.put(pty)
        for limits in [defaults, ceiling] {
            for field in LimitField.all { writer.put(limits[field]) }
        }
        writer.put(environment.sorted { $0.key < $1.key }) {
            $0.put($1.key)
            $0.put($1.value)
        }
        SeccompProgram.put(seccomp, to: &writer)
        writer.put(tolerateMissing.map(\.rawValue).sorted()) { $0.put($1) }
    }

    fileprivate init(from reader: inout MessageReader) throws(MalformedMessage) {
        self.init(network: try reader.named(), proc: try reader.named(), pty: try reader.flag(), defaults: Limits(), seccomp: nil)
        for field in LimitField.all { defaults[field] = try reader.optional() }
        for field in LimitField.all { ceiling[field] = try reader.optional() }
        for (name, value) in try reader.list({ (reader) throws(MalformedMessage) in (try reader.text(), try reader.text()) }) { environment[name] = value }
        seccomp = try SeccompProgram.take(from: &reader)
        tolerateMissing = Set(try reader.list { (reader) throws(MalformedMessage) in try reader.named() })
    }
}
