import SandboxCore
import Synchronization

/// A backend that does what a test says: answers each step by a rule, or hands it to the test, which ends it.
final class ScriptedBackend: Backend {
    typealias Rule = @Sendable (LaunchPlan) throws(FarmError) -> StepReport?

    let unenforced: [Mechanism]
    private let lacks: [Mechanism: HostLack]
    private let rule: Rule
    private let setup: @Sendable (SandboxSpec) throws(FarmError) -> Void

    struct Counts: Sendable {
        var made = 0
        var destroyed = 0
        var mostAlive = 0
        var alive: Int { made - destroyed }
    }
    private struct State: Sendable {
        var counts = Counts()
        var specs: [SandboxSpec] = []
        var plans: [LaunchPlan] = []
        var rooms: [Int] = []
        var lost: Set<Int> = []
        var awaitingEnds: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
        var steps: [ScriptedStep] = []
        var waiting: [CheckedContinuation<ScriptedStep, Never>] = []
        var clock: ManualTime?
        var isDeaf = false
        var counted: BackendFigures?
    }
    private let state = Mutex(State())

    /// Where there is one, making a sandbox takes 5 ms of it and destroying one 3.
    var clock: ManualTime? {
        get { state.withLock { $0.clock } }
        set { state.withLock { $0.clock = newValue } }
    }
    /// Whether it hears no cancel.
    var isDeaf: Bool {
        get { state.withLock { $0.isDeaf } }
        set { state.withLock { $0.isDeaf = newValue } }
    }
    /// What it says it has counted.
    var counted: BackendFigures? {
        get { state.withLock { $0.counted } }
        set { state.withLock { $0.counted = newValue } }
    }
    func figures() -> BackendFigures? { counted }

    /// - Parameters:
    ///   - rule: a step's report at once, or `nil` for a step that the test ends.
    ///   - setup: what making a sandbox throws.
    init(
        unenforced: [Mechanism] = [], lacks: [Mechanism: HostLack] = [:], rule: @escaping Rule = { _ in nil },
        setup: @escaping @Sendable (SandboxSpec) throws(FarmError) -> Void = { _ in }
    ) {
        self.unenforced = unenforced
        self.lacks = lacks
        self.setup = setup
        self.rule = rule
    }

    var counts: Counts { state.withLock { $0.counts } }
    var specs: [SandboxSpec] { state.withLock { $0.specs } }
    var plans: [LaunchPlan] { state.withLock { $0.plans } }
    /// Which sandbox each of the plans was run in, counted from 1 in the order they were made.
    var rooms: [Int] { state.withLock { $0.rooms } }

    /// From now on this sandbox cannot run anything.
    func lose(_ sandbox: Int) { state.withLock { _ = $0.lost.insert(sandbox) } }
    fileprivate func isLost(_ sandbox: Int) -> Bool { state.withLock { $0.lost.contains(sandbox) } }

    /// Returns when so many have been destroyed.
    func untilDestroyed(_ count: Int) async {
        await withCheckedContinuation { continuation in
            let there = state.withLock { state in
                if state.counts.destroyed >= count { return true }
                state.awaitingEnds.append((count, continuation))
                return false
            }
            if there { continuation.resume() }
        }
    }

    func readySandboxes(pool: String) -> Int { pool == "gpu" ? 3 : 0 }
    func lack(of mechanism: Mechanism) -> HostLack? { lacks[mechanism] }

    func makeSandbox(_ spec: SandboxSpec) async throws(FarmError) -> any Sandbox {
        try setup(spec)
        clock?.advance(milliseconds: 5)
        let number = state.withLock {
            $0.counts.made += 1
            $0.counts.mostAlive = max($0.counts.mostAlive, $0.counts.alive)
            $0.specs.append(spec)
            return $0.counts.made
        }
        return ScriptedSandbox(backend: self, number: number)
    }

    func shutdown() async {}

    /// The next step that waits to be ended.
    func nextStep() async -> ScriptedStep {
        await withCheckedContinuation { continuation in
            let step: ScriptedStep? = state.withLock { state in
                if state.steps.isEmpty {
                    state.waiting.append(continuation)
                    return nil
                }
                return state.steps.removeFirst()
            }
            if let step { continuation.resume(returning: step) }
        }
    }

    fileprivate func report(on plan: LaunchPlan, in sandbox: Int) throws(FarmError) -> StepReport? {
        state.withLock {
            $0.plans.append(plan)
            $0.rooms.append(sandbox)
        }
        return try rule(plan)
    }

    fileprivate func began(_ step: ScriptedStep) {
        let waiting: CheckedContinuation<ScriptedStep, Never>? = state.withLock { state in
            if state.waiting.isEmpty {
                state.steps.append(step)
                return nil
            }
            return state.waiting.removeFirst()
        }
        waiting?.resume(returning: step)
    }

    fileprivate func destroyed() {
        clock?.advance(milliseconds: 3)
        let told = state.withLock { state in
            state.counts.destroyed += 1
            let told = state.awaitingEnds.filter { $0.count <= state.counts.destroyed }
            state.awaitingEnds.removeAll { $0.count <= state.counts.destroyed }
            return told
        }
        for waiter in told { waiter.continuation.resume() }
    }
}

/// A step in the hands of a test.
final class ScriptedStep: Sendable {
    let plan: LaunchPlan
    let onOutput: (@Sendable (OutputStream, [UInt8]) -> Void)?
    private let continuation: Mutex<CheckedContinuation<StepReport, any Error>?>

    fileprivate init(
        plan: LaunchPlan, onOutput: (@Sendable (OutputStream, [UInt8]) -> Void)?,
        continuation: CheckedContinuation<StepReport, any Error>
    ) {
        self.plan = plan
        self.onOutput = onOutput
        self.continuation = Mutex(continuation)
    }

    /// The first end counts.
    func end(_ outcome: Outcome = .exited(code: 0)) { end(StepReport(outcome: outcome)) }
    func end(_ report: StepReport) { take()?.resume(returning: report) }
    func fail(_ error: FarmError) { take()?.resume(throwing: error) }

    private func take() -> CheckedContinuation<StepReport, any Error>? {
        continuation.withLock { continuation in
            defer { continuation = nil }
            return continuation
        }
    }
}

private final class ScriptedSandbox: Sandbox {
    let backend: ScriptedBackend
    let number: Int
    private let running = Mutex<ScriptedStep?>(nil)

    init(backend: ScriptedBackend, number: Int) {
        self.backend = backend
        self.number = number
    }

    var isUsable: Bool { !backend.isLost(number) }

    func run(
        _ plan: LaunchPlan, onOutput: (@Sendable (OutputStream, [UInt8]) -> Void)?
    ) async throws(FarmError) -> StepReport {
        if let report = try backend.report(on: plan, in: number) { return report }
        do {
            return try await withCheckedThrowingContinuation { continuation in
                let step = ScriptedStep(plan: plan, onOutput: onOutput, continuation: continuation)
                running.withLock { $0 = step }
                backend.began(step)
            }
        } catch let error as FarmError {
            throw error
        } catch {
            throw FarmError(.internal, "\(error)")
        }
    }

    func cancel(by canceller: Canceller) {
        if backend.isDeaf { return }
        running.withLock { $0 }?.end(.cancelled(by: canceller))
    }

    func destroy() async { backend.destroyed() }
}
