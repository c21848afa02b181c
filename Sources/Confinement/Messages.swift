// The protocol between the daemon and the warden, version 5.
//
// Two kinds of SOCK_SEQPACKET socket, one message per datagram, first byte the kind:
//
//   daemon ⇄ spawner   `make` (with the cell's own socket and its cgroup's files as descriptors), `makeTemplate`
//                      → `made`, or `makeFailed`; later `ended` when the cell's last process is gone
//                      `kill` ends a cell that does not end by itself
//   daemon ⇄ cell      → `ready` for each new sandbox in it, `spent` when there will be none, or `failed`
//                      `run` (standard input and a cgroup's files as descriptors, where it has them)
//                      → `output`… → `report`, or `failed`
//                      `cancel` ends the running step
//                      `renew` ends the sandbox, as a `run` that was its last does by itself: → the next one's `ready`
//                      closing the socket ends the cell
//
// A body too large for a datagram travels in a memfd: kind `inMemory`, the memfd the first descriptor, and in it the
// message as it would have been.

import CLinux
import Glibc
import LinuxSystem
import SandboxCore

public enum MessageKind: UInt8, Sendable {
    case inMemory = 1
    // to the spawner
    case make, kill, makeTemplate
    // from the spawner
    case made, makeFailed, ended
    // to an init
    case run, cancel, renew
    // from an init
    case ready, failed, output, report, spent
}

/// What the spawner is asked to make: a cell, for one sandbox of this spec after the other.
public struct MakeRequest: Sendable, Equatable {
    public var sandbox: UInt64
    /// First host id of the sandbox's own range; `nil` to map the daemon's single id.
    public var idBase: UInt32?
    public var cgroupVersion: CgroupVersion
    /// What the descriptors after the first are: a cgroup for all of the cell's sandboxes, one after the other. Empty
    /// where each step brings its own.
    public var cgroupFiles: [CgroupFile]
    public var spec: SandboxSpec
    /// Whether more than one sandbox may be made in it: then its init keeps what that takes.
    public var isKept: Bool
    /// The way out to lay; `nil` for none, whatever the policy would like.
    public var outbound: OutboundAddress?
    /// The id of the template that forks into it, which then owns its namespaces; the socket to ask it by is the last
    /// descriptor. `nil` for none.
    public var templateID: UInt32?

    public init(
        sandbox: UInt64, idBase: UInt32?, cgroupVersion: CgroupVersion, cgroupFiles: [CgroupFile], spec: SandboxSpec,
        isKept: Bool, outbound: OutboundAddress? = nil, templateID: UInt32? = nil
    ) {
        self.sandbox = sandbox
        self.idBase = idBase
        self.cgroupVersion = cgroupVersion
        self.cgroupFiles = cgroupFiles
        self.spec = spec
        self.isKept = isKept
        self.outbound = outbound
        self.templateID = templateID
    }

    /// How many descriptors come with it.
    var descriptorCount: Int { 1 + cgroupFiles.count + (templateID == nil ? 0 : 1) }
}

/// What the spawner is asked to start: a template. Descriptors: the socket it is asked for forks by, the one it says that
/// it is ready on, the file its output goes to, then its cgroup's files.
public struct TemplateRequest: Sendable, Equatable {
    /// In the same series as cells.
    public var sandbox: UInt64
    /// The id it runs under, its own on the whole host.
    public var id: UInt32
    public var cgroupVersion: CgroupVersion
    public var cgroupFiles: [CgroupFile]
    /// Of the sandboxes it will be forked into.
    public var root: RootFilesystem
    public var template: TemplateSpec

    public init(sandbox: UInt64, id: UInt32, cgroupVersion: CgroupVersion, cgroupFiles: [CgroupFile], root: RootFilesystem, template: TemplateSpec) {
        self.sandbox = sandbox
        self.id = id
        self.cgroupVersion = cgroupVersion
        self.cgroupFiles = cgroupFiles
        self.root = root
        self.template = template
    }

    var descriptorCount: Int { 3 + cgroupFiles.count }
}

public enum SpawnerCommand: Sendable, Equatable {
    case make(MakeRequest)
    case makeTemplate(TemplateRequest)
    /// For an init that does not end when its socket does. Nothing where there is no such sandbox any more.
    case kill(sandbox: UInt64)
}

public enum SpawnerEvent: Sendable, Equatable {
    case made(sandbox: UInt64, pid: Int32)
    case makeFailed(sandbox: UInt64, Failure)
    /// Its first process was reaped. When it ended in order, which a cell always does, the kernel had ended every process
    /// that came of it before.
    case ended(sandbox: UInt64, inOrder: Bool)
}

public enum InitEvent: Sendable, Equatable {
    case ready
    /// Instead of it: the cell ends, and nothing is wrong.
    case spent
    case failed(Failure)
    case output(OutputStream, [UInt8])
    case report(StepReport)
}

public enum InitCommand: Sendable, Equatable {
    /// Descriptors come with the message: standard input if there is any, then a cgroup's files.
    case run(LaunchPlan, hasInput: Bool, cgroupFiles: [CgroupFile])
    case cancel(Canceller)
    case renew
}

/// A step that failed and why; `detail` names the object, where there was one.
public struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
    public var step: Step
    public var errno: Int32
    public var detail: String

    public init(_ step: Step, _ errno: Int32, _ detail: String = "") {
        self.step = step
        self.errno = errno
        self.detail = detail
    }

    public var description: String {
        detail.isEmpty ? "\(step.name): \(Errno(errno))" : "\(step.name) \(detail): \(Errno(errno))"
    }
}

/// Sends and receives whole messages, whatever their size.
public enum Channel {
    /// Under the kernel's default send buffer, with room for its own accounting.
    static let inlineLimit = 48 << 10
    /// No message is larger: a step's files, output and collected files together.
    public static let bodyLimit = 256 << 20

    public static func send(_ fd: Int32, _ message: [UInt8], descriptors: [Int32] = [], wait: Bool = true) throws(Errno) {
        if message.count <= inlineLimit {
            try Sockets.send(fd, message, descriptors: descriptors, wait: wait)
            return
        }
        let body = try Files.memory("paddock-message")
        defer { Files.close(body) }
        try Files.writeAll(body, message)
        try Sockets.send(fd, [MessageKind.inMemory.rawValue], descriptors: [body] + descriptors, wait: wait)
    }

    /// The next message; `nil` when the other end is gone. EAGAIN when nothing is there and `wait` is false.
    /// The descriptors are the caller's to close.
    public static func receive(_ fd: Int32, wait: Bool) throws(Errno) -> (bytes: [UInt8], descriptors: [Int32])? {
        var descriptors: [Int32] = []
        var failure: Errno?
        let bytes = [UInt8](unsafeUninitializedCapacity: inlineLimit) { buffer, count in
            do throws(Errno) {
                let got = try Sockets.receive(fd, into: UnsafeMutableRawBufferPointer(buffer), wait: wait)
                count = got.count
                descriptors = got.descriptors
            } catch { failure = error }
        }
        if let failure {
            // The other end went away before it had read all; what it said before is still to be had, after this error.
            if failure.code == ECONNRESET { return try receive(fd, wait: wait) }
            throw failure
        }
        if bytes.isEmpty { return nil }
        guard bytes[0] == MessageKind.inMemory.rawValue else { return (bytes, descriptors) }
        guard let body = descriptors.first else { throw Errno(EBADMSG) }
        descriptors.removeFirst()
        defer { Files.close(body) }
        do throws(Errno) {
            // Only what cannot block its reader: not a pipe in a memory file's place.
            guard try Files.status(body).st_mode & S_IFMT == S_IFREG else { throw Errno(EBADMSG) }
            try Files.seek(body, to: 0)
            return (try Files.readAll(body, limit: bodyLimit), descriptors)
        } catch {
            for d in descriptors { Files.close(d) }
            throw error
        }
    }
}
