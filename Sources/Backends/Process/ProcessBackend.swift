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
        /// Whether there is only one sandbox at a time, which then has the farm's own cgroup.
        public var isForOneSandbox: Bool
        /// How many sandboxes of one kind may be kept ready that nobody has asked for yet; 0 to make each when asked.
        public var mostSpare: Int
        public var outbound: OutboundSettings

        public init(
            warden: String, directory: String, cgroups: Bool = true, isForOneSandbox: Bool = false, mostSpare: Int = 0,
            outbound: OutboundSettings = OutboundSettings(),
            syscallName: @escaping @Sendable (_ architecture: UInt32, _ number: Int32) -> String
        ) {
            self.warden = warden
            self.directory = directory
            self.cgroups = cgroups
            self.isForOneSandbox = isForOneSandbox
            self.mostSpare = mostSpare
            self.outbound = outbound
            self.syscallName = syscallName
        }
    }

    private struct State {
        var cells: [UInt64: Cell] = [:]
        var freeRanges: [UInt32] = []
        var isOver = false
        /// Of `lookAfterCells`.
        var (isLooking, looks) = (false, 0)
    }

    let configuration: Configuration
    let reactor: Reactor
    private let warden: WardenLink
    private let cgroups: CgroupPool
    private let ledger = CellLedger()
    private let outbound: OutboundNetwork
    private let state = Mutex(State())
    /// None where each sandbox is made when asked for.
    private let stock: CellStock?
    private let templateStore: TemplateStore
    private let isRoot = geteuid() == 0
    /// The warden's number for one more process that it makes.
    private let nextSandbox: @Sendable () -> UInt64

    public let unenforced: [Mechanism]
    /// `v1`, `v2` or `none`.
    public var cgroupVersion: String { "\(cgroups.hierarchy.version)" }

    public func readySandboxes(pool: String) -> Int { stock?.readyCount(pool: pool) ?? 0 }
    public func templates(pool: String) -> [TemplateStatus] { templateStore.statuses(pool: pool) }

    public func prepare(_ specs: [SandboxSpec], pool: String) { if isRoot { templateStore.keep(specs, pool: pool) } }

    public func figures() -> BackendFigures? {
        BackendFigures(pools: ledger.counts, wardenRestarts: warden.restarts, failure: warden.failure)
    }

    /// The warden's process as it is now, and the cgroups that are this backend's: for tests and for `paddock doctor`.
    package var wardenPid: Int32 { warden.pid }
    package var cgroupDirectories: [String] { cgroups.directories }
    package var templatePids: [Int32] { templateStore.pids }
    package var outboundTable: String? { outbound.inUse?.table }
    package var outboundTaken: Int { outbound.inUse?.addresses ?? 0 }

    /// Starts the warden. Throws when it cannot even be started; what it cannot do shows with the first sandbox.
    public init(_ configuration: Configuration, logger: Logger) throws(FarmError) {
        self.configuration = configuration
        ResourceLimit.raiseOpenFiles()
        do { reactor = try Reactor() } catch { throw FarmError(.sandboxSetup, "reactor: \(error)") }
        // It gets ready beside all that follows.
        let process = try WardenProcess.start(configuration)
        let use: CgroupHierarchy.Use = configuration.isForOneSandbox ? .oneSandbox : .manySandboxes
        cgroups = CgroupPool(configuration.cgroups ? CgroupHierarchy.find(farm: [getpid(), process.pid], for: use) : .none)
        outbound = OutboundNetwork(configuration.outbound)
        unenforced = cgroups.missing + (isRoot ? [] : [.idRange]) + (outbound.lack == nil ? [] : [.outbound])
        warden = WardenLink(configuration, cgroups, reactor: reactor, logger: logger)
        let sandboxes = Mutex<UInt64>(1)
        let nextSandbox: @Sendable () -> UInt64 = {
            sandboxes.withLock { number in
                number += 1
                return number
            }
        }
        self.nextSandbox = nextSandbox
        templateStore = TemplateStore(
            reactor: reactor, warden: warden, cgroups: cgroups, logger: logger, nextID: { Self.nextRange() }, nextSandbox: nextSandbox)
        let maker = Mutex(CellMaker())
        stock = configuration.mostSpare > 0 ? CellStock(mostSpare: configuration.mostSpare) { spec in maker.withLock { $0.backend }?.makeCell(spec) } : nil
        maker.withLock { $0.backend = self }
        try warden.start(process) { [weak self] in self?.wardenSaid($0) }
        do {
            // The look itself is taken elsewhere: at ten thousand cells the reactor would hear nobody meanwhile.
            try reactor.everySecond { [weak self] in if let self { Task { self.lookAfterCells() } } }
        } catch {
            _ = warden.end()
            throw FarmError(.sandboxSetup, "timer: \(error)")
        }
        logger.debug("warden started", metadata: ["cgroups": "\(cgroups.hierarchy.version)"])
    }

    public func lack(of mechanism: Mechanism) -> HostLack? { mechanism == .outbound ? outbound.lack : nil }

    // MARK: making a sandbox

    public func makeSandbox(_ spec: SandboxSpec) async throws(FarmError) -> any Sandbox {
        if let stock { return ProcessSandbox(try await stock.take(spec), of: stock) }
        // Nobody else will want it, so nobody need hear that it is ready but its first step.
        let number: Int
        if let now = warden.admitNow() { number = now } else { number = try await warden.admit() }
        return ProcessSandbox(try askForCell(spec, of: number), of: nil)
    }

    /// Begins to make a cell for the stock, which hears what comes of it.
    private func makeCell(_ spec: SandboxSpec) {
        // The warden nearly always is: then no other thread need be woken, which takes longer than the asking.
        if let number = warden.admitNow() {
            do throws(FarmError) { _ = try askForCell(spec, of: number) } catch { stock?.failed(spec, error) }
            return
        }
        Task {
            do throws(FarmError) { _ = try askForCell(spec, of: try await warden.admit()) } catch { stock?.failed(spec, error) }
        }
    }

    /// - Precondition: the warden has let it in.
    private func askForCell(_ spec: SandboxSpec, of wardenNumber: Int) throws(FarmError) -> Cell {
        do throws(FarmError) { return try ask(for: spec, wardenNumber) } catch {
            warden.giveUp()
            throw error
        }
    }

    private func ask(for spec: SandboxSpec, _ wardenNumber: Int) throws(FarmError) -> Cell {
        let place = try wayOut(spec)
        // Where a cgroup cannot be used twice each sandbox brings its own.
        let slot: CgroupSlot?
        do throws(FarmError) { slot = cgroups.isReusable || !keepsCells ? try cgroups.take() : nil } catch {
            if let place { outbound.giveBack(place) }
            throw error
        }
        let socket: (ours: Int32, theirs: Int32)
        do { socket = try Sockets.pair() } catch {
            if let slot { cgroups.giveBack(slot) }
            if let place { outbound.giveBack(place) }
            throw FarmError(.sandboxSetup, "socketpair: \(error)", retryable: true)
        }
        let theirs = Descriptor(socket.theirs)
        let (id, range) = (nextSandbox(), state.withLock { $0.freeRanges.popLast() ?? Self.nextRange() })
        let template = isRoot ? templateStore.template(for: spec) : nil
        let cell = Cell(
            id: id, spec: spec, range: range, slot: slot, template: template, outbound: place, socket: Descriptor(socket.ours),
            warden: wardenNumber, surroundings)
        let isOver = state.withLock { s in
            if !s.isOver { s.cells[id] = cell }
            return s.isOver
        }
        if isOver {
            if let slot { cgroups.giveBack(slot) }
            if let place { outbound.giveBack(place) }
            throw FarmError(.sandboxLost, "the farm is shutting down")
        }
        let request = MakeRequest(
            sandbox: id, idBase: isRoot ? range : nil, cgroupVersion: cgroups.hierarchy.version,
            cgroupFiles: slot?.roles ?? [], spec: spec, isKept: keepsCells && Cell.isRenewable(spec), outbound: place,
            templateID: template?.id)
        do { try cell.listen() } catch { cell.end(FarmError(.sandboxSetup, "reactor: \(error)", retryable: true)) }
        // Even then: what comes back is that it has ended.
        warden.make(WardenLink.Birth(sandbox: id, warden: wardenNumber, message: SpawnerCommand.make(request).encoded(), before: [theirs], slot: slot,
            after: template.map { [$0.ask] } ?? []))
        return cell
    }

    private var keepsCells: Bool { stock != nil }

    private var surroundings: Cell.Surroundings {
        Cell.Surroundings(
            reactor: reactor, cgroups: cgroups, ledger: ledger, keepsCells: keepsCells, syscallName: configuration.syscallName,
            tell: { [weak self] in self?.cellSaid($0, $1) },
            kill: { [weak self] in self?.warden.kill($0.id, of: $0.warden) })
    }

    private func cellSaid(_ cell: Cell, _ news: Cell.News) {
        switch news {
        case .available: stock?.available(cell)
        case .failed(let error): stock?.failed(cell.spec, error)
        case .spent: stock?.spent(cell.spec)
        case .gone(let inOrder):
            stock?.lost(cell)
            // Ids and address are used again only when no process can have them any more.
            guard inOrder else { return }
            state.withLock { $0.freeRanges.append(cell.range) }
            if let place = cell.outbound { outbound.giveBack(place) }
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
    /// rarely share one. One id between two ranges stays unused: the kernel looks users up in chains that it finds by an id's low
    /// bits, and all sandboxes' would be in one.
    private static func nextRange() -> UInt32 {
        let ranges: UInt32 = 49_000
        let number = rangesMade.add(1, ordering: .relaxed).newValue
        return 0x4000_0000 + ((UInt32(truncatingIfNeeded: getpid()) &* 7919 &+ number) % ranges) * 65_537
    }
    private static let rangesMade = Atomic<UInt32>(0)

    /// Once a second: ends what takes too long, and keeps the stock in proportion.
    private func lookAfterCells() {
        let due: (cells: [Cell], look: Int)? = state.withLock { s in
            // One look that takes longer than a second is enough.
            if s.isOver || s.isLooking { return nil }
            s.isLooking = true
            s.looks += 1
            return (Array(s.cells.values), s.looks)
        }
        guard let (cells, look) = due else { return }
        defer { state.withLock { $0.isLooking = false } }
        let now = ContinuousClock.now
        for cell in cells { cell.checkPatience(now) }
        templateStore.tick(now)
        if look % 10 == 0 { stock?.age(now) }
    }

    // MARK: what the warden says

    private func wardenSaid(_ news: WardenLink.News) {
        switch news {
        case .made(let id, let pid): templateStore.made(id, pid: pid)
        case .ended(let id, let failure, let inOrder): ended(id, failure, inOrder)
        case .lost(let number):
            let cells = state.withLock { s in
                let lost = s.cells.filter { $0.value.warden == number }
                for id in lost.keys { s.cells[id] = nil }
                return lost.values
            }
            // Their processes die with the warden, but nobody says when.
            for cell in cells { cell.isGone(nil, inOrder: false) }
            templateStore.lost(warden: number)
        }
    }

    private func ended(_ id: UInt64, _ failure: Failure?, _ inOrder: Bool) {
        guard let cell = state.withLock({ $0.cells.removeValue(forKey: id) }) else {
            _ = templateStore.ended(id, failure)
            return
        }
        cell.isGone(failure, inOrder: inOrder)
    }

    // MARK: the end

    public func shutdown() async {
        state.withLock { $0.isOver = true }
        stock?.close()
        templateStore.close()
        guard warden.end() else { return }
        reactor.stop()
        outbound.close()
        cgroups.removeAll()
    }
}

/// Whom the stock asks for a cell: it is there before the backend is.
private struct CellMaker {
    weak var backend: ProcessBackend?
}
