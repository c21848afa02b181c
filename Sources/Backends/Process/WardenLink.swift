// The daemon's end of the line to the spawner: hands it requests a few at a time, hears what became of them, and starts
// another warden when one has died. Sandboxes of a warden that died are lost; the farm is not.

import Confinement
import Glibc
import Logging
import LinuxSystem
import SandboxCore
import Synchronization

final class WardenLink: Sendable {
    /// A sandbox that is to be made.
    struct Birth: Sendable {
        let sandbox: UInt64
        /// Which warden was there when it was asked for.
        let warden: Int
        let message: [UInt8]
        /// What it is handed: these, its cgroup's files, and those.
        let before: [Descriptor]
        let slot: CgroupSlot?
        var after: [Descriptor] = []

        var descriptors: [Int32] { before.map(\.raw) + (slot?.descriptors ?? []) + after.map(\.raw) }
    }

    enum News: Sendable {
        case made(UInt64, pid: Int32)
        /// No process of this sandbox is left, or there never was one.
        /// `inOrder`: and none is dying.
        case ended(UInt64, Failure?, inOrder: Bool)
        /// Every sandbox of this warden is gone.
        case lost(warden: Int)
    }

    private struct State {
        var process: WardenProcess?
        var token: UInt64 = 0
        /// Counts the wardens there have been.
        var number = 0
        /// Whether it has said that it can work.
        var announced = false
        var awaitingAnnouncement: [CheckedContinuation<Void, Never>] = []
        var births: [Birth] = []
        var firstBirth = 0
        var underWay = 0
        /// Births that were let in and of which nothing was heard yet, and those that wait to be let in.
        var admitted = 0
        var awaitingAdmission: [CheckedContinuation<Void, Never>] = []
        var firstAwaiting = 0
        /// Sandboxes this warden has made.
        var made = 0
        /// Why no sandbox can be made any more.
        var failure: FarmError?
        var stopping = false
    }

    /// A closure that lay in the mutex by itself would be wrapped twice more by every look at it (generic storage has
    /// a calling convention of its own): calls and memory that grow with each sandbox ever made.
    private struct Listener {
        let hear: @Sendable (News) -> Void
    }

    /// Enough to keep the warden busy, few enough to fit its socket's buffer: a send never has to wait.
    private static let maxUnderWay = 8
    /// A birth holds descriptors from the moment it is let in: thousands wait outside.
    private static let maxAdmitted = 32

    private let configuration: ProcessBackend.Configuration
    private let cgroups: CgroupPool
    private let reactor: Reactor
    private let logger: Logger
    private let state = Mutex(State())
    private let listener = Mutex<Listener?>(nil)

    init(_ configuration: ProcessBackend.Configuration, _ cgroups: CgroupPool, reactor: Reactor, logger: Logger) {
        self.configuration = configuration
        self.cgroups = cgroups
        self.reactor = reactor
        self.logger = logger
    }

    /// 0 while there is none.
    var pid: Int32 { state.withLock { $0.process?.pid ?? 0 } }

    /// How often one that ended unexpectedly was replaced.
    var restarts: Int { state.withLock { max(0, $0.number - 1) } }
    /// Why no sandbox can be made any more.
    var failure: FarmError? { state.withLock { $0.failure } }

    /// - Parameter listener: called on the reactor's thread.
    func start(_ process: WardenProcess, _ listener: @escaping @Sendable (News) -> Void) throws(FarmError) {
        self.listener.withLock { $0 = Listener(hear: listener) }
        let number = state.withLock { s in
            s.process = process
            s.number += 1
            (s.announced, s.underWay, s.made) = (false, 0, 0)
            return s.number
        }
        do {
            let token = try reactor.register(process.socket.raw) { [weak self] in self?.hear(number, process) }
            state.withLock { $0.token = token }
        } catch {
            process.end()
            throw FarmError(.sandboxSetup, "reactor: \(error)")
        }
    }

    /// Waits until the warden has said that it can work and has not too much to do; which one it is. After that either
    /// `make` or `giveUp` has to be called.
    func admit() async throws(FarmError) -> Int {
        await withCheckedContinuation { (c: CheckedContinuation<Void, Never>) in
            let now = state.withLock { s in
                guard s.admitted >= Self.maxAdmitted else {
                    s.admitted += 1
                    return true
                }
                s.awaitingAdmission.append(c)
                return false
            }
            if now { c.resume() }
        }
        do throws(FarmError) { return try await ready() } catch {
            giveUp()
            throw error
        }
    }

    /// The same where nothing has to be waited for; `nil` where something has.
    func admitNow() -> Int? {
        state.withLock { s in
            guard s.announced, s.failure == nil, s.admitted < Self.maxAdmitted, s.firstAwaiting == s.awaitingAdmission.count else { return nil }
            s.admitted += 1
            return s.number
        }
    }

    /// A birth that was let in will not be asked for.
    func giveUp() { leave(1) }

    /// Lets others in for births that are over.
    private func leave(_ count: Int) {
        let next: [CheckedContinuation<Void, Never>] = state.withLock { s in
            s.admitted -= count
            let free = max(0, min(Self.maxAdmitted - s.admitted, s.awaitingAdmission.count - s.firstAwaiting))
            defer {
                s.admitted += free
                s.firstAwaiting += free
                if s.firstAwaiting == s.awaitingAdmission.count || s.firstAwaiting > 1000 {
                    s.awaitingAdmission.removeFirst(s.firstAwaiting)
                    s.firstAwaiting = 0
                }
            }
            return Array(s.awaitingAdmission[s.firstAwaiting..<(s.firstAwaiting + free)])
        }
        for c in next { c.resume() }
    }

    private func ready() async throws(FarmError) -> Int {
        await withCheckedContinuation { (c: CheckedContinuation<Void, Never>) in
            let now = state.withLock { s in
                if s.failure != nil || s.announced { return true }
                s.awaitingAnnouncement.append(c)
                return false
            }
            if now { c.resume() }
        }
        let (failure, number) = state.withLock { ($0.failure, $0.number) }
        if let failure { throw failure }
        return number
    }

    // MARK: what it is asked

    func make(_ birth: Birth) {
        let isLate = state.withLock { s in
            if s.failure != nil || s.number != birth.warden { return true }
            s.births.append(birth)
            return false
        }
        if isLate {
            giveUp()
            return tell(.ended(birth.sandbox, Failure(.clone, ESRCH, "the warden ended"), inOrder: true))
        }
        sendBirths()
    }

    private func sendBirths() {
        var failed: [(UInt64, Failure)] = []
        state.withLock { s in
            while s.underWay < Self.maxUnderWay, s.firstBirth < s.births.count, let process = s.process {
                let birth = s.births[s.firstBirth]
                s.firstBirth += 1
                do throws(Errno) {
                    try Channel.send(process.socket.raw, birth.message, descriptors: birth.descriptors, wait: false)
                    if let slot = birth.slot { cgroups.handedOver(slot) }
                    s.underWay += 1
                } catch { failed.append((birth.sandbox, Failure(.clone, error.code, "asking the warden"))) }
            }
            if s.firstBirth == s.births.count || s.firstBirth > 1000 {
                s.births.removeFirst(s.firstBirth)
                s.firstBirth = 0
            }
        }
        leave(failed.count)
        for (sandbox, failure) in failed { tell(.ended(sandbox, failure, inOrder: true)) }
    }

    func kill(_ sandbox: UInt64, of warden: Int) {
        state.withLock { s in
            guard s.number == warden, let process = s.process else { return }
            try? Channel.send(process.socket.raw, SpawnerCommand.kill(sandbox: sandbox).encoded(), wait: false)
        }
    }

    // MARK: what it says

    private func tell(_ news: News) { listener.withLock { $0 }?.hear(news) }

    private func hear(_ number: Int, _ process: WardenProcess) {
        guard state.withLock({ $0.number == number && $0.process != nil }) else { return }
        do {
            guard let message = try Channel.receive(process.socket.raw, wait: false) else {
                return lose(process, FarmError(.sandboxLost, "the warden ended unexpectedly", retryable: true), final: false)
            }
            for d in message.descriptors { Files.close(d) }
            switch try SpawnerEvent(decoding: message.bytes) {
            case .made(0, _): announce(nil)
            case .made(let id, let pid):
                finishedOne(made: true)
                tell(.made(id, pid: pid))
            case .makeFailed(0, let failure):
                lose(process, FarmError(.sandboxSetup, "the warden cannot work here: \(failure)"), final: true)
            case .makeFailed(let id, let failure):
                finishedOne(made: false)
                tell(.ended(id, failure, inOrder: true))
            case .ended(let id, let inOrder): tell(.ended(id, nil, inOrder: inOrder))
            }
        } catch let e as Errno where e.code == EAGAIN {
        } catch {
            lose(process, FarmError(.internal, "the warden's message cannot be read: \(error)"), final: false)
        }
    }

    private func finishedOne(made: Bool) {
        state.withLock { s in
            s.underWay -= 1
            if made { s.made += 1 }
        }
        leave(1)
        sendBirths()
    }

    private func announce(_ failure: FarmError?) {
        let waiting = state.withLock { s in
            s.announced = failure == nil
            s.failure = s.failure ?? failure
            defer { s.awaitingAnnouncement = [] }
            return s.awaitingAnnouncement
        }
        for c in waiting { c.resume() }
    }

    /// - Parameter final: whether another warden would fail as this one did.
    private func lose(_ process: WardenProcess, _ error: FarmError, final: Bool) {
        let (number, unmade, underWay, made, stopping) = state.withLock { s in
            defer {
                s.process = nil
                s.announced = false
                (s.births, s.firstBirth, s.underWay) = ([], 0, 0)
            }
            return (s.number, s.births[s.firstBirth...].map(\.sandbox), s.underWay, s.made, s.stopping)
        }
        leave(unmade.count + underWay)
        guard !stopping else { return }
        logger.error("\(error.message)")
        reactor.unregister(state.withLock { $0.token }, process.socket.raw)
        process.end()
        for sandbox in unmade { tell(.ended(sandbox, Failure(.clone, ESRCH, "the warden ended"), inOrder: true)) }
        tell(.lost(warden: number))
        // One that ended before it had made anything would most likely do so again.
        guard !final, made > 0, let listener = listener.withLock({ $0 }) else { return announce(error) }
        do throws(FarmError) { try start(WardenProcess.start(configuration), listener.hear) } catch { announce(error) }
    }

    // MARK: the end

    /// Ends the warden and every sandbox; false when that was done before.
    func end() -> Bool {
        let (first, process, number, births) = state.withLock { s in
            defer {
                s.stopping = true
                s.process = nil
                (s.births, s.firstBirth, s.underWay) = ([], 0, 0)
            }
            return (!s.stopping, s.process, s.number, s.births.count - s.firstBirth + s.underWay)
        }
        leave(births)
        guard first else { return false }
        if let process {
            reactor.unregister(state.withLock { $0.token }, process.socket.raw)
            process.end()
        }
        announce(FarmError(.sandboxLost, "the farm is shutting down"))
        tell(.lost(warden: number))
        return true
    }
}
