// The process backend: sandboxes made of namespaces, cgroups and seccomp by a warden of its own.

import Confinement
import Glibc
import Logging
import LinuxSystem
import SandboxCore
import Synchronization

public final class ProcessBackend: Backend {
    public struct Configuration: Sendable {
        /// The path of `paddock-warden`.
        public var warden: String
        /// An existing directory; the warden mounts on it where nobody else sees that.
        public var directory: String
        /// A syscall's name, for reports. Numbers are per architecture (AUDIT_ARCH_…).
        public var syscallName: @Sendable (_ architecture: UInt32, _ number: Int32) -> String
        public var cgroups: Bool

        public init(
            warden: String, directory: String, cgroups: Bool = true,
            syscallName: @escaping @Sendable (_ architecture: UInt32, _ number: Int32) -> String
        ) {
            self.warden = warden
            self.directory = directory
            self.cgroups = cgroups
            self.syscallName = syscallName
        }
    }

    private struct State {
        var sandboxes: [UInt64: ProcessSandbox] = [:]
        var next: UInt64 = 1
        var freeRanges: [UInt32] = []
        var rangesMade: UInt32 = 0
        /// Why no sandbox can be made any more.
        var lost: FarmError?
        var stopping = false
        /// Whoever waits for the warden's first word.
        var announced = false
        var awaitingAnnouncement: [CheckedContinuation<FarmError?, Never>] = []
    }

    let configuration: Configuration
    let reactor: Reactor
    private let warden: WardenProcess
    private let cgroups: CgroupPool
    private let logger: Logger
    private let state = Mutex(State())
    private let isRoot = geteuid() == 0

    public let unenforced: [Mechanism]
    /// `v1`, `v2` or `none`.
    public var cgroupVersion: String { "\(cgroups.hierarchy.version)" }

    /// Starts the warden. Throws when it cannot even be started; what it cannot do shows with the first sandbox.
    public init(_ configuration: Configuration, logger: Logger) throws(FarmError) {
        self.configuration = configuration
        self.logger = logger
        do { reactor = try Reactor() } catch { throw FarmError(.sandboxSetup, "reactor: \(error)") }
        cgroups = CgroupPool(configuration.cgroups ? CgroupHierarchy.find() : .none)
        unenforced = cgroups.missing + (isRoot ? [] : [.idRange])
        warden = try WardenProcess.start(executable: configuration.warden, directory: configuration.directory)
        do {
            _ = try reactor.register(warden.socket.raw) { [weak self] in self?.wardenSpoke() }
        } catch { throw FarmError(.sandboxSetup, "reactor: \(error)") }
        logger.debug("warden started", metadata: ["pid": "\(warden.pid)", "cgroups": "\(cgroups.hierarchy.version)"])
    }

    // MARK: making a sandbox

    public func makeSandbox(_ spec: SandboxSpec) async throws(FarmError) -> any Sandbox {
        if let lost = await announcement() { throw lost }
        let slot = try cgroups.take()
        let socket: (ours: Int32, theirs: Int32)
        do { socket = try Sockets.pair() } catch { throw FarmError(.sandboxSetup, "socketpair: \(error)", retryable: true) }
        defer { Files.close(socket.theirs) }
        let (id, range) = state.withLock { s in
            s.next += 1
            return (s.next, s.freeRanges.popLast() ?? nextRange(&s))
        }
        let sandbox = ProcessSandbox(id: id, range: range, slot: slot, socket: Descriptor(socket.ours), backend: self)
        state.withLock { $0.sandboxes[id] = sandbox }
        let request = MakeRequest(
            sandbox: id, idBase: isRoot ? range : nil, cgroupVersion: slot == nil ? .none : cgroups.hierarchy.version,
            cgroupFiles: slot?.roles ?? [], spec: spec)
        return try await sandbox.make {
            () throws(Errno) in
            try Channel.send(self.warden.socket.raw, request.encoded(), descriptors: [socket.theirs] + (slot?.descriptors ?? []))
        }
    }

    /// Host ids from 2^30 up, 65,536 a sandbox, beginning somewhere else in each process so that farms side by side
    /// rarely share one.
    private func nextRange(_ s: inout State) -> UInt32 {
        let ranges: UInt32 = 49_000
        defer { s.rangesMade += 1 }
        return 0x4000_0000 + ((UInt32(truncatingIfNeeded: getpid()) &* 7919 &+ s.rangesMade) % ranges) * 65_536
    }

    /// Waits until the warden has said that it can work; what it said otherwise.
    private func announcement() async -> FarmError? {
        await withCheckedContinuation { (c: CheckedContinuation<FarmError?, Never>) in
            let now: FarmError?? = state.withLock { s in
                if s.lost != nil || s.announced { return .some(s.lost) }
                s.awaitingAnnouncement.append(c)
                return nil
            }
            if let now { c.resume(returning: now) }
        }
    }

    // MARK: what the warden says

    private func wardenSpoke() {
        do {
            guard let message = try Channel.receive(warden.socket.raw, wait: false) else {
                return lose(FarmError(.sandboxLost, "the warden ended unexpectedly", retryable: true))
            }
            for d in message.descriptors { Files.close(d) }
            switch try SpawnerEvent(decoding: message.bytes) {
            case .made(0, _): announce(nil)
            case .made: break
            case .makeFailed(0, let failure): lose(FarmError(.sandboxSetup, "the warden cannot work here: \(failure)"))
            case .makeFailed(let id, let failure): ended(id, failure)
            case .ended(let id): ended(id, nil)
            }
        } catch let e as Errno where e.code == EAGAIN {
        } catch {
            lose(FarmError(.internal, "the warden's message cannot be read: \(error)"))
        }
    }

    private func announce(_ failure: FarmError?) {
        let waiting = state.withLock { s in
            s.announced = true
            defer { s.awaitingAnnouncement = [] }
            return s.awaitingAnnouncement
        }
        for c in waiting { c.resume(returning: failure) }
    }

    /// No process of the sandbox is left: what it held can go to the next one.
    private func ended(_ id: UInt64, _ failure: Failure?) {
        guard let sandbox = state.withLock({ $0.sandboxes.removeValue(forKey: id) }) else { return }
        sandbox.isGone(failure)
        if let slot = sandbox.slot { cgroups.giveBack(slot) }
        state.withLock { $0.freeRanges.append(sandbox.range) }
    }

    private func lose(_ error: FarmError) {
        let (first, sandboxes) = state.withLock { s in
            let first = s.lost == nil && !s.stopping
            s.lost = s.lost ?? error
            defer { s.sandboxes = [:] }
            return (first, Array(s.sandboxes.values))
        }
        if first { logger.error("\(error.message)") }
        announce(error)
        for sandbox in sandboxes { sandbox.isGone(nil) }
    }

    // MARK: the end

    public func shutdown() async {
        let already = state.withLock { s in
            defer { s.stopping = true }
            return s.stopping
        }
        guard !already else { return }
        warden.end()
        lose(FarmError(.sandboxLost, "the farm is shutting down"))
        reactor.stop()
        cgroups.removeAll()
    }
}
