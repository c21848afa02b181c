// One sandbox of the process backend, from the daemon's side: a socket to its init, and the state of what was asked of it.

import Confinement
import Glibc
import LinuxSystem
import SandboxCore
import Synchronization

final class ProcessSandbox: Sandbox {
    private enum State {
        case new
        case making(CheckedContinuation<FarmError?, Never>)
        case idle
        case running(CheckedContinuation<Result<StepReport, FarmError>, Never>, (@Sendable (OutputStream, [UInt8]) -> Void)?)
        /// Its socket is closed; the init is on its way out.
        case ending
        /// The kernel has reaped its last process.
        case gone
    }

    let id: UInt64
    let range: UInt32
    let slot: CgroupSlot?
    /// Its way out, where it has one.
    let outbound: OutboundAddress?
    private let socket: Descriptor
    /// Which of the backend's wardens made it.
    let warden: Int
    private let backend: ProcessBackend
    private let state = Mutex<(now: State, token: UInt64?, awaitingEnd: [CheckedContinuation<Void, Never>])>((.new, nil, []))

    init(id: UInt64, range: UInt32, slot: CgroupSlot?, outbound: OutboundAddress?, socket: Descriptor, warden: Int, backend: ProcessBackend) {
        self.id = id
        self.range = range
        self.slot = slot
        self.outbound = outbound
        self.socket = socket
        self.warden = warden
        self.backend = backend
    }

    /// An init that was not ready by then never will be. Long, because a machine can be very busy.
    private static let patienceToStart: Duration = .seconds(120)
    /// Closing its socket is enough for an init that is well.
    private static let patienceToEnd: Duration = .seconds(5)

    /// Asks the warden for it and waits for the init's `ready`.
    func make(_ ask: @escaping () -> Void) async throws(FarmError) -> ProcessSandbox {
        let guarding = after(Self.patienceToStart) { sandbox in
            sandbox.fail(FarmError(.sandboxSetup, "the sandbox was not ready in \(Self.patienceToStart)", retryable: true))
        }
        let failure = await withCheckedContinuation { (c: CheckedContinuation<FarmError?, Never>) in
            state.withLock { $0.now = .making(c) }
            do {
                let token = try backend.reactor.register(socket.raw) { [weak self] in self?.initSpoke() }
                state.withLock { $0.token = token }
            } catch {
                fail(FarmError(.sandboxSetup, "reactor: \(error)", retryable: true))
            }
            // Even then: what comes back is that it has ended.
            ask()
        }
        guarding.cancel()
        if let failure {
            await destroy()
            throw failure
        }
        return self
    }

    func run(_ plan: LaunchPlan, onOutput: (@Sendable (OutputStream, [UInt8]) -> Void)?) async throws(FarmError) -> StepReport {
        let input: Int32?
        do { input = try standardInput(plan.stdin) } catch { throw FarmError(.launch, "standard input: \(error)", retryable: true) }
        defer { if let input { Files.close(input) } }
        let result = await withCheckedContinuation { (c: CheckedContinuation<Result<StepReport, FarmError>, Never>) in
            let refused: FarmError? = state.withLock { s in
                switch s.now {
                case .idle:
                    s.now = .running(c, onOutput)
                    return nil
                case .running: return FarmError(.internal, "the sandbox is already running a step")
                default: return FarmError(.sandboxLost, "the sandbox has ended", retryable: true)
                }
            }
            if let refused {
                c.resume(returning: .failure(refused))
                return
            }
            do {
                try Channel.send(socket.raw, InitCommand.run(plan, hasInput: input != nil).encoded(), descriptors: input.map { [$0] } ?? [])
            } catch { fail(FarmError(.sandboxLost, "asking the sandbox: \(error)", retryable: true)) }
        }
        return try result.get()
    }

    func cancel(by canceller: Canceller) {
        let running = state.withLock { if case .running = $0.now { true } else { false } }
        // Not waiting: an init that does not listen will hear the next one, or the end of its socket.
        if running { try? Channel.send(socket.raw, InitCommand.cancel(canceller).encoded(), wait: false) }
    }

    private func after(_ time: Duration, _ body: @escaping @Sendable (ProcessSandbox) -> Void) -> Task<Void, Never> {
        Task { [weak self] in
            guard (try? await Task.sleep(for: time)) != nil, let self else { return }
            body(self)
        }
    }

    func destroy() async {
        let guarding = after(Self.patienceToEnd) { $0.backend.kill($0) }
        defer { guarding.cancel() }
        await withCheckedContinuation { (c: CheckedContinuation<Void, Never>) in
            let gone = state.withLock { s in
                if case .gone = s.now { return true }
                s.awaitingEnd.append(c)
                return false
            }
            if gone { return c.resume() }
            // Whoever waits for a step of it must not wait for ever.
            fail(FarmError(.sandboxLost, "the sandbox was destroyed", retryable: true))
        }
    }

    /// Shuts the socket down, which its init takes as the order to end.
    private func close() {
        let token = state.withLock { s in
            if case .gone = s.now {} else { s.now = .ending }
            defer { s.token = nil }
            return s.token
        }
        if let token { backend.reactor.unregister(token, socket.raw) }
        shutdown(socket.raw, Int32(SHUT_RDWR))
    }

    /// A pipe or a file, never a socket: bash reads `~/.bashrc` when its input is one.
    private func standardInput(_ input: StandardInput) throws(Errno) -> Int32? {
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

    // MARK: what its init says

    private func initSpoke() {
        _ = hear()
    }

    /// Takes one message, if there is one.
    private func hear() -> Bool {
        do {
            guard let message = try Channel.receive(socket.raw, wait: false) else {
                fail(FarmError(.sandboxLost, "the sandbox's init ended unexpectedly", retryable: true))
                return false
            }
            for d in message.descriptors { Files.close(d) }
            take(try InitEvent(decoding: message.bytes))
            return true
        } catch let e as Errno where e.code == EAGAIN || e.code == EBADF {
        } catch {
            fail(FarmError(.sandboxLost, "the sandbox's message cannot be read: \(error)", retryable: true))
        }
        return false
    }

    private func take(_ event: InitEvent) {
        let action: (() -> Void)? = state.withLock { s in
            switch (s.now, event) {
            case (.making(let c), .ready):
                s.now = .idle
                return { c.resume(returning: nil) }
            case (.making(let c), .failed(let failure)):
                s.now = .ending
                return { c.resume(returning: FarmError(.sandboxSetup, "\(failure)", retryable: failure.isPassing)) }
            case (.running(_, let onOutput), .output(let stream, let bytes)):
                return { onOutput?(stream, bytes) }
            case (.running(let c, _), .report(let report)):
                s.now = .idle
                return { c.resume(returning: .success(self.named(report))) }
            case (.running(let c, _), .failed(let failure)):
                s.now = .idle
                return { c.resume(returning: .failure(FarmError(.launch, "\(failure)", retryable: failure.isPassing))) }
            default: return nil
            }
        }
        action?()
    }

    /// The report with syscalls by name.
    private func named(_ report: StepReport) -> StepReport {
        func name(_ encoded: String) -> String {
            let parts = encoded.split(separator: ":")
            guard parts.count == 2, let arch = UInt32(parts[0]), let number = Int32(parts[1]) else { return encoded }
            return backend.configuration.syscallName(arch, number)
        }
        var report = report
        for i in report.denied.indices { report.denied[i].syscall = name(report.denied[i].syscall) }
        if case .syscallDenied(let encoded) = report.outcome { report.outcome = .syscallDenied(syscall: name(encoded)) }
        return report
    }

    /// Whoever waits for an answer gets this error instead; the sandbox is of no use any more.
    private func fail(_ error: FarmError) {
        let action: (() -> Void)? = state.withLock { s in
            defer { if case .gone = s.now {} else { s.now = .ending } }
            switch s.now {
            case .making(let c): return { c.resume(returning: error) }
            case .running(let c, _): return { c.resume(returning: .failure(error)) }
            default: return nil
            }
        }
        close()
        action?()
    }

    /// Called once by the backend, when the spawner has reaped the init or could not make it.
    func isGone(_ failure: Failure?) {
        // Its last words may still lie in its own socket; they say more than that it is gone.
        while hear() {}
        fail(failure.map { $0.asFarmError } ?? FarmError(.sandboxLost, "the sandbox's init ended unexpectedly", retryable: true))
        let waiting = state.withLock { s in
            s.now = .gone
            defer { s.awaitingEnd = [] }
            return s.awaitingEnd
        }
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
