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
        public var outbound: OutboundSettings

        public init(
            warden: String, directory: String, cgroups: Bool = true, outbound: OutboundSettings = OutboundSettings(),
            syscallName: @escaping @Sendable (_ architecture: UInt32, _ number: Int32) -> String
        ) {
            self.warden = warden
            self.directory = directory
            self.cgroups = cgroups
            self.outbound = outbound
            self.syscallName = syscallName
        }
    }

    private struct State {
        var sandboxes: [UInt64: ProcessSandbox] = [:]
        var next: UInt64 = 1
        var freeRanges: [UInt32] = []
    }

    let configuration: Configuration
    let reactor: Reactor
    private let warden: WardenLink
    private let cgroups: CgroupPool
    private let outbound: OutboundNetwork
    private let state = Mutex(State())
    private let isRoot = geteuid() == 0

    public let unenforced: [Mechanism]
    /// `v1`, `v2` or `none`.
    public var cgroupVersion: String { "\(cgroups.hierarchy.version)" }

    /// The warden's process as it is now, and the cgroups that are this backend's: for tests and for `paddock doctor`.
    package var wardenPid: Int32 { warden.pid }
    package var cgroupDirectories: [String] { cgroups.hierarchy.directories }
    package var outboundTable: String? { outbound.inUse?.table }
    package var outboundTaken: Int { outbound.inUse?.addresses ?? 0 }

    /// Starts the warden. Throws when it cannot even be started; what it cannot do shows with the first sandbox.
    public init(_ configuration: Configuration, logger: Logger) throws(FarmError) {
        self.configuration = configuration
        ResourceLimit.raiseOpenFiles()
        do { reactor = try Reactor() } catch { throw FarmError(.sandboxSetup, "reactor: \(error)") }
        cgroups = CgroupPool(configuration.cgroups ? CgroupHierarchy.find() : .none)
        outbound = OutboundNetwork(configuration.outbound)
        unenforced = cgroups.missing + (isRoot ? [] : [.idRange]) + (outbound.lack == nil ? [] : [.outbound])
        warden = WardenLink(configuration, reactor: reactor, logger: logger)
        try warden.start { [weak self] in self?.wardenSaid($0) }
        logger.debug("warden started", metadata: ["cgroups": "\(cgroups.hierarchy.version)"])
    }

    public func lack(of mechanism: Mechanism) -> HostLack? { mechanism == .outbound ? outbound.lack : nil }

    // MARK: making a sandbox

    public func makeSandbox(_ spec: SandboxSpec) async throws(FarmError) -> any Sandbox {
        let wardenNumber = try await warden.ready()
        let place = try wayOut(spec)
        let slot: CgroupSlot?
        do throws(FarmError) { slot = try cgroups.take() } catch {
            if let place { outbound.giveBack(place) }
            throw error
        }
        let socket: (ours: Int32, theirs: Int32)
        do { socket = try Sockets.pair() } catch {
            if let slot { cgroups.giveBack(slot) }
            if let place { outbound.giveBack(place) }
            throw FarmError(.sandboxSetup, "socketpair: \(error)", retryable: true)
        }
        let (id, range) = state.withLock { s in
            s.next += 1
            return (s.next, s.freeRanges.popLast() ?? Self.nextRange())
        }
        let sandbox = ProcessSandbox(
            id: id, range: range, slot: slot, outbound: place, socket: Descriptor(socket.ours), warden: wardenNumber, backend: self)
        state.withLock { $0.sandboxes[id] = sandbox }
        let request = MakeRequest(
            sandbox: id, idBase: isRoot ? range : nil, cgroupVersion: slot == nil ? .none : cgroups.hierarchy.version,
            cgroupFiles: slot?.roles ?? [], spec: spec, outbound: place)
        let theirs = Descriptor(socket.theirs)
        return try await sandbox.make {
            self.warden.make(WardenLink.Birth(sandbox: id, warden: wardenNumber, message: SpawnerCommand.make(request).encoded(), socket: theirs, slot: slot))
        }
    }

    /// What only shows when it is tried is refused even where it is tolerated: results would not name it.
    private func wayOut(_ spec: SandboxSpec) throws(FarmError) -> OutboundAddress? {
        guard spec.network == .outbound else { return nil }
        guard let lack = outbound.lack else { return try outbound.take() }
        if spec.tolerateMissing.contains(.outbound) { return nil }
        throw FarmError(.hostLacks, "the policy insists on a way out (outbound), which this host does not have: \(lack)")
    }

    /// Host ids from 2^30 up, 65,536 a sandbox, beginning somewhere else in each process so that farms side by side
    /// rarely share one.
    private static func nextRange() -> UInt32 {
        let ranges: UInt32 = 49_000
        let number = rangesMade.add(1, ordering: .relaxed).newValue
        return 0x4000_0000 + ((UInt32(truncatingIfNeeded: getpid()) &* 7919 &+ number) % ranges) * 65_536
    }
    private static let rangesMade = Atomic<UInt32>(0)

    /// Ends an init by force.
    func kill(_ sandbox: ProcessSandbox) { warden.kill(sandbox.id, of: sandbox.warden) }

    // MARK: what the warden says

    private func wardenSaid(_ news: WardenLink.News) {
        switch news {
        case .ended(let id, let failure): ended(id, failure)
        case .lost(let number):
            let sandboxes = state.withLock { s in
                let lost = s.sandboxes.filter { $0.value.warden == number }
                for id in lost.keys { s.sandboxes[id] = nil }
                return lost.values
            }
            // Their processes die with the warden, but nobody says when: neither cgroup nor ids nor address are used again.
            for sandbox in sandboxes {
                sandbox.isGone(nil)
                if let slot = sandbox.slot { cgroups.discard(slot) }
            }
        }
    }

    /// No process of the sandbox is left: what it held can go to the next one.
    private func ended(_ id: UInt64, _ failure: Failure?) {
        guard let sandbox = state.withLock({ $0.sandboxes.removeValue(forKey: id) }) else { return }
        if let slot = sandbox.slot { cgroups.giveBack(slot) }
        if let place = sandbox.outbound { outbound.giveBack(place) }
        state.withLock { $0.freeRanges.append(sandbox.range) }
        sandbox.isGone(failure)
    }

    // MARK: the end

    public func shutdown() async {
        guard warden.end() else { return }
        reactor.stop()
        outbound.close()
        cgroups.removeAll()
    }
}
