// One cell of the process backend, from the daemon's side: a socket to its init, and the state
// of what was asked of it. A cell serves one sandbox after the other; each begins with its init's `ready`.

import Confinement
import Glibc
import LinuxSystem
import SandboxCore
import Synchronization

final class Cell: Sendable {
    private enum Life {
        /// A sandbox is being made in it.
        case pending
        /// A sandbox is ready in which nothing has run.
        case fresh
        /// Steps have run in its sandbox.
        case used
        case running(Step)
        /// Its socket is closed; its processes are on their way out.
        case ending
        /// The kernel has reaped the last of them.
        case gone
    }

    /// A step under way.
    private struct Step {
        let continuation: CheckedContinuation<Result<StepReport, FarmError>, Never>
        let onOutput: (@Sendable (OutputStream, [UInt8]) -> Void)?
        /// Whether the next sandbox begins when it has ended.
        let renews: Bool
        let asked = ContinuousClock.now
        /// How long its sandbox was not ready yet.
        var waited = Duration.zero

        func resume(with report: StepReport) {
            var report = report
            report.waitedMs = waited / .milliseconds(1)
            continuation.resume(returning: .success(report))
        }

        func resume(throwing error: FarmError) { continuation.resume(returning: .failure(error)) }
    }

    private struct State {
        var life = Life.pending
        /// The first step of a sandbox that is still being made: its init finds the command waiting, and need not be told that
        /// somebody has heard of its being ready.
        var early: Step?
        var isLeased = false
        var token: UInt64?
        /// A cgroup for the one sandbox that is in it now, where cgroups cannot be used again.
        var borrowed: CgroupSlot?
        /// When it entered a state that must not last.
        var since = ContinuousClock.now
        var awaitingEnd: [CheckedContinuation<Void, Never>] = []
        /// Whether a sandbox was ever ready in it.
        var isMade = false
        /// Why none ever will be.
        var failure: FarmError?
        /// When the last step of the sandbox that is in it, or was until just now, had ended.
        var stepEnded: ContinuousClock.Instant?

        /// How long the last sandbox in which something ran took to go; told once.
        mutating func takeTeardown() -> Duration? {
            defer { stepEnded = nil }
            return stepEnded.map { .now - $0 }
        }
    }

    /// What happened to a cell that nobody asked for just now.
    enum News: Sendable {
        /// A sandbox is ready in it.
        case available
        /// It will never be ready again.
        case failed(FarmError)
        /// It has served for the last time, and nothing is wrong.
        case spent
        case gone(inOrder: Bool)
    }

    let id: UInt64
    let spec: SandboxSpec
    let range: UInt32
    let slot: CgroupSlot?
    /// What forks into it, where something does.
    let template: Template?
    /// Its way out, where it has one.
    let outbound: OutboundAddress?
    /// Which of the backend's wardens made it.
    let warden: Int
    private let socket: Descriptor
    private let surroundings: Surroundings
    private let state = Mutex(State())

    /// What a cell needs of its backend.
    struct Surroundings: Sendable {
        let reactor: Reactor
        let cgroups: CgroupPool
        let ledger: CellLedger
        /// Whether a cell serves more than one sandbox.
        let keepsCells: Bool
        let syscallName: @Sendable (_ architecture: UInt32, _ number: Int32) -> String
        let tell: @Sendable (Cell, News) -> Void
        let kill: @Sendable (Cell) -> Void
    }

    init(id: UInt64, spec: SandboxSpec, range: UInt32, slot: CgroupSlot?, template: Template?, outbound: OutboundAddress?, socket: Descriptor, warden: Int, _ surroundings: Surroundings) {
        self.id = id
        self.spec = spec
        self.range = range
        self.slot = slot
        self.template = template
        self.outbound = outbound
        self.socket = socket
        self.warden = warden
        self.surroundings = surroundings
    }

    /// Whether it was made for one user: nobody else waits for it, and it ends with that one's lease.
    private var isOrdered: Bool { !surroundings.keepsCells }

    /// Whether a second sandbox may be made in it. Not where the kernel keeps what no check would find.
    static func isRenewable(_ spec: SandboxSpec) -> Bool { spec.network != .outbound && !(spec.seccomp?.permitsKeys ?? true) }

    // MARK: asked of it

    /// Begins to hear what its init says.
    func listen() throws(Errno) {
        let token = try surroundings.reactor.register(socket.raw) { [weak self] in _ = self?.hear() }
        state.withLock { $0.token = token }
    }

    /// To be called for a cell that is available, and only by its stock.
    func lease() { state.withLock { $0.isLeased = true } }

    enum Return { case available, pending, ending }

    /// Ends the lease. Its sandbox, when it was used, makes room for the next one, where there shall be one.
    func endLease() -> Return {
        enum Next { case nothing(Return), renew, close }
        let next: Next = state.withLock { s in
            s.isLeased = false
            s.since = .now
            // What it waited for another step is no part of its end.
            if case .used = s.life, s.stepEnded != nil { s.stepEnded = .now }
            switch s.life {
            case .fresh where !isOrdered: return .nothing(.available)
            case .pending where !isOrdered: return .nothing(.pending)
            case .used where !isOrdered && Self.isRenewable(spec):
                s.life = .pending
                return .renew
            case .ending, .gone: return .nothing(.ending)
            default: return .close
            }
        }
        switch next {
        case .nothing(let result): return result
        case .renew:
            returnBorrowed()
            do { try Channel.send(socket.raw, InitCommand.renew.encoded(), wait: false) } catch {
                end(FarmError(.sandboxLost, "renewing the sandbox: \(error)", retryable: true))
                return .ending
            }
            return .pending
        case .close:
            end(FarmError(.sandboxLost, "the sandbox was destroyed", retryable: true))
            return .ending
        }
    }

    /// Whether a step could begin in it now.
    var canRun: Bool {
        state.withLock { s in
            switch s.life {
            case .fresh, .used: true
            case .pending: isAwaitingOrder(s)
            default: false
            }
        }
    }

    /// Whether its first sandbox is still being made, for somebody who has not said yet what is to run in it.
    private func isAwaitingOrder(_ s: State) -> Bool { isOrdered && !s.isMade && s.early == nil }

    func run(_ plan: LaunchPlan, onOutput: (@Sendable (OutputStream, [UInt8]) -> Void)?) async throws(FarmError) -> StepReport {
        var plan = plan
        // One that is loading or broken is not waited for: the command starts by itself. So does one with less memory than
        // a fork may have for itself before it begins, and it fails by its own doing.
        plan.fork = plan.fork && template?.isReady == true && plan.limits.memoryBytes >= Template.leastMemory
        let renews = plan.isLast && surroundings.keepsCells && Self.isRenewable(spec)
        let input: Int32?
        do { input = try StandardInputFile.descriptor(for: plan.stdin) } catch { throw FarmError(.launch, "standard input: \(error)", retryable: true) }
        defer { if let input { Files.close(input) } }
        let borrowed = try borrowCgroup()
        let message = InitCommand.run(plan, hasInput: input != nil, cgroupFiles: borrowed?.roles ?? []).encoded()
        let descriptors = (input.map { [$0] } ?? []) + (borrowed?.descriptors ?? [])
        let result = await withCheckedContinuation { (c: CheckedContinuation<Result<StepReport, FarmError>, Never>) in
            let refused: FarmError? = state.withLock { s in
                let step = Step(continuation: c, onOutput: onOutput, renews: renews)
                switch s.life {
                case .fresh, .used:
                    s.life = .running(step)
                    return nil
                case .pending where isAwaitingOrder(s):
                    s.early = step
                    return nil
                case .pending, .running: return FarmError(.internal, "the sandbox is already running a step")
                default: return s.failure ?? FarmError(.sandboxLost, "the sandbox has ended", retryable: true)
                }
            }
            if let refused {
                c.resume(returning: .failure(refused))
                return
            }
            do throws(Errno) { try Channel.send(socket.raw, message, descriptors: descriptors) } catch {
                // One that could not be made has said why, and the reactor, on whose thread alone its socket is read, will hear it.
                if error.code == EPIPE || error.code == ECONNRESET, state.withLock({ !$0.isMade }) { return }
                end(FarmError(.sandboxLost, "asking the sandbox: \(error)", retryable: true))
            }
        }
        if plan.isLast { returnBorrowed() }
        return try named(result)
    }

    /// The first step of a sandbox brings a cgroup where the cell has none of its own.
    private func borrowCgroup() throws(FarmError) -> CgroupSlot? {
        guard slot == nil, surroundings.cgroups.hierarchy.version != .none, state.withLock({ $0.borrowed == nil }) else { return nil }
        guard let slot = try surroundings.cgroups.take() else { return nil }
        state.withLock { $0.borrowed = slot }
        return slot
    }

    /// Gives back what only this sandbox used. Its processes have ended: the report of its last step said so.
    private func returnBorrowed() {
        let slot = state.withLock { s in
            defer { s.borrowed = nil }
            return s.borrowed
        }
        if let slot { surroundings.cgroups.giveBack(slot) }
    }

    func cancel(by canceller: Canceller) {
        let running = state.withLock { if case .running = $0.life { true } else { $0.early != nil } }
        // Not waiting: an init that does not listen will hear the next one, or the end of its socket.
        if running { try? Channel.send(socket.raw, InitCommand.cancel(canceller).encoded(), wait: false) }
    }

    /// Ends it. Whoever waits for an answer gets this error; the end itself is told later, as `gone`.
    func end(_ error: FarmError) {
        let (token, told): (UInt64?, (() -> Void)?) = state.withLock { s in
            if case .gone = s.life { return (nil, nil) }
            if case .ending = s.life { return (nil, nil) }
            if case .running = s.life { s.stepEnded = .now }
            let told: (() -> Void)? =
                switch s.life {
                case .running(let step): { step.resume(throwing: error) }
                case .pending where isOrdered: s.early.map { step in { step.resume(throwing: error) } }
                case .pending where !s.isLeased: { [surroundings] in surroundings.tell(self, .failed(error)) }
                default: nil
                }
            s.life = .ending
            s.early = nil
            if !s.isMade { s.failure = error }
            s.since = .now
            defer { s.token = nil }
            return (s.token, told)
        }
        if let token { surroundings.reactor.unregister(token, socket.raw) }
        // Its init takes this as the order to end.
        shutdown(socket.raw, Int32(SHUT_RDWR))
        told?()
    }

    /// Waits until the kernel has reaped its last process.
    func awaitEnd() async {
        await withCheckedContinuation { (c: CheckedContinuation<Void, Never>) in
            let gone = state.withLock { s in
                if case .gone = s.life { return true }
                s.awaitingEnd.append(c)
                return false
            }
            if gone { c.resume() }
        }
    }

    /// One that is not ready by then never will be: long, because a machine can be very busy. And closing its socket is
    /// enough for an init that is well.
    private static let patience: (toBegin: Duration, toEnd: Duration) = (.seconds(120), .seconds(5))

    /// Called now and then: ends what takes too long.
    func checkPatience(_ now: ContinuousClock.Instant) {
        enum Overdue { case beginning, ending }
        let overdue: Overdue? = state.withLock { s in
            switch s.life {
            case .pending where now - s.since > Self.patience.toBegin: return .beginning
            case .ending where now - s.since > Self.patience.toEnd: return .ending
            default: return nil
            }
        }
        switch overdue {
        case .beginning: end(FarmError(.sandboxSetup, "the sandbox was not ready in \(Self.patience.toBegin)", retryable: true))
        case .ending: surroundings.kill(self)
        case nil: break
        }
    }

    // MARK: what its init says

    /// Takes one message, if there is one.
    private func hear() -> Bool {
        do {
            guard let message = try Channel.receive(socket.raw, wait: false) else {
                end(FarmError(.sandboxLost, "the sandbox's init ended unexpectedly", retryable: true))
                return false
            }
            for d in message.descriptors { Files.close(d) }
            take(try InitEvent(decoding: message.bytes))
            return true
        } catch let e as Errno where e.code == EAGAIN || e.code == EBADF {
        } catch {
            end(FarmError(.sandboxLost, "the sandbox's message cannot be read: \(error)", retryable: true))
        }
        return false
    }

    private func take(_ event: InitEvent) {
        let action: (() -> Void)? = state.withLock { s in
            switch (s.life, event) {
            case (.pending, .ready):
                if var step = s.early {
                    step.waited = .now - step.asked
                    (s.life, s.early) = (.running(step), nil)
                } else {
                    s.life = .fresh
                }
                let (event, isWanted): (CellLedger.Event, Bool) = (s.isMade ? .renewed(teardown: s.takeTeardown()) : .made, !s.isLeased && !isOrdered)
                s.isMade = true
                return { [surroundings] in
                    surroundings.ledger.note(event, pool: self.spec.pool)
                    if isWanted { surroundings.tell(self, .available) }
                }
            case (.pending, .spent):
                let isWanted = !s.isLeased
                // No longer one that somebody waits for, who would be told of a failure.
                s.life = .used
                return { [surroundings] in
                    self.end(FarmError(.sandboxLost, "the sandbox has served for the last time", retryable: true))
                    if isWanted { surroundings.tell(self, .spent) }
                }
            case (.pending, .failed(let failure)):
                return { self.end(failure.asFarmError) }
            case (.running(let step), .output(let stream, let bytes)):
                return { step.onOutput?(stream, bytes) }
            case (.running(let step), .report(let report)):
                if report.forked { template?.countFork() }
                s.life = step.renews ? .pending : .used
                s.since = .now
                s.stepEnded = s.since
                return { step.resume(with: report) }
            case (.running(let step), .failed(let failure)):
                s.life = step.renews ? .pending : .used
                s.since = .now
                s.stepEnded = s.since
                return { step.resume(throwing: FarmError(.launch, "\(failure)", retryable: failure.isPassing)) }
            default: return nil
            }
        }
        action?()
    }

    /// The report with syscalls by name.
    private func named(_ result: Result<StepReport, FarmError>) throws(FarmError) -> StepReport {
        func name(_ encoded: String) -> String {
            let parts = encoded.split(separator: ":")
            guard parts.count == 2, let arch = UInt32(parts[0]), let number = Int32(parts[1]) else { return encoded }
            return surroundings.syscallName(arch, number)
        }
        var report = try result.get()
        for i in report.denied.indices { report.denied[i].syscall = name(report.denied[i].syscall) }
        if case .syscallDenied(let encoded) = report.outcome { report.outcome = .syscallDenied(syscall: name(encoded)) }
        return report
    }

    /// Called once by the backend, when the spawner has reaped its init or could not make it.
    func isGone(_ failure: Failure?, inOrder: Bool) {
        // Its last words may still lie in its own socket; they say more than that it is gone.
        while hear() {}
        end(failure.map { $0.asFarmError } ?? FarmError(.sandboxLost, "the sandbox's init ended unexpectedly", retryable: true))
        let (waiting, borrowed, wasMade, teardown) = state.withLock { s in
            s.life = .gone
            defer { (s.awaitingEnd, s.borrowed) = ([], nil) }
            return (s.awaitingEnd, s.borrowed, s.isMade, s.takeTeardown())
        }
        if wasMade { surroundings.ledger.note(.discarded(teardown: teardown), pool: spec.pool) }
        for slot in [slot, borrowed] {
            guard let slot else { continue }
            if inOrder { surroundings.cgroups.giveBack(slot) } else { surroundings.cgroups.discard(slot) }
        }
        surroundings.tell(self, .gone(inOrder: inOrder))
        for c in waiting { c.resume() }
    }
}

extension Failure {
    fileprivate var asFarmError: FarmError {
        // The one mechanism that is first tried when a sandbox is made.
        if step == .outboundLink, errno == EOPNOTSUPP {
            return FarmError(.hostLacks, "the kernel has no veth interfaces for a way out; modprobe veth")
        }
        return FarmError(.sandboxSetup, "\(self)", retryable: isPassing)
    }

    /// Whether the same may work a moment later: the host was short of something.
    fileprivate var isPassing: Bool { [EAGAIN, ENOMEM, EBUSY, EMFILE, ENFILE, ENOSPC, ETOOMANYREFS, ESRCH].contains(errno) }
}

enum StandardInputFile {
    /// A pipe or a file, never a socket: bash reads `~/.bashrc` when its input is one. The caller's to close.
    static func descriptor(for input: StandardInput) throws(Errno) -> Int32? {
        switch input {
        case .empty: return nil
        case .descriptor(let fd): return try Files.duplicate(fd)
        case .bytes(let bytes):
            let fd = try Files.memory("stdin")
            do throws(Errno) {
                try Files.writeAll(fd, bytes)
                try Files.seek(fd, to: 0)
                // Else it would be a place to write to that no disk limit knows.
                try Files.seal(fd)
            } catch {
                Files.close(fd)
                throw error
            }
            return fd
        }
    }
}
