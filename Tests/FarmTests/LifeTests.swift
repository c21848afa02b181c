// How jobs end before their time: cancel, deadline, disconnect.

import SandboxCore
import Synchronization
import Testing

@testable import Farm

@Suite("A job's life", .timeLimit(.minutes(5)))
struct LifeTests {
    // MARK: Cancel

    @Test("A queued job that is cancelled has a result at once, and is never run")
    func cancelQueued() async throws {
        let farm = try TestFarm()
        try farm.submit(.command("a"))
        let first = await farm.backend.nextStep()
        let id = try farm.submit(.command("b").with { $0.labels.group = "g" })
        farm.time.advance(milliseconds: 12)
        #expect(try farm.farm.cancel(id) == .queued)
        let (job, end) = await farm.ends.next()
        let result = try #require(end.result)
        #expect(job == id && result.outcome == .cancelled(by: .client) && result.labels.group == "g")
        #expect(farm.farm.pools()[0].ended == 1)
        var usage = Usage()
        usage.stages.queuedMs = 12
        #expect(result.usage == usage)
        first.end()
        _ = await farm.ends.next()
        #expect(farm.backend.counts.made == 1 && farm.ends.count == 2)
    }

    @Test("A running job that is cancelled ends with the report of its sandbox")
    func cancelRunning() async throws {
        let farm = try TestFarm()
        let id = try farm.submit()
        _ = await farm.backend.nextStep()
        #expect(try farm.farm.cancel(id) == .running)
        let end = await farm.ends.next().end
        #expect(end.result?.outcome == .cancelled(by: .client) && farm.backend.counts.alive == 0)
    }

    @Test("A job that is cancelled while its sandbox is made runs nothing in it")
    func cancelInSetup() async throws {
        let held = Mutex<Farm?>(nil)
        let job = Mutex<JobID?>(nil)
        let backend = ScriptedBackend(
            rule: { _ in StepReport(outcome: .exited(code: 0)) },
            setup: { _ in _ = try? held.withLock { $0 }!.cancel(job.withLock { $0 }!) })
        let farm = try TestFarm(backend: backend)
        held.withLock { $0 = farm.farm }
        // The setup waits for the lock, and so for the job's id.
        job.withLock { current in current = try? farm.submit() }
        #expect(await farm.ends.next().end.result?.outcome == .cancelled(by: .client))
        #expect(backend.plans.isEmpty && backend.counts.made == 1 && backend.counts.alive == 0)
        held.withLock { $0 = nil }
    }

    @Test("A cancel that a backend misses is repeated until the step is over, and names who cancelled first")
    func cancelIsRepeated() async throws {
        let backend = DeafBackend(deafTo: 2)
        let farm = try TestFarm()
        let time = farm.time
        let deaf = try Farm(
            configuration: FarmConfiguration(pools: [PoolConfiguration(size: 1)], blobDirectory: farm.farm.configuration.blobDirectory),
            backend: backend, catalog: TestCatalog(), judge: CountingJudge(), logger: farm.farm.logger, time: time)
        let id = try deaf.submit(.command("x"), client: ClientID(1), onEnd: farm.ends.note)
        await backend.untilRunning()
        try deaf.cancel(id)
        for _ in 0..<2 {
            await time.untilSomeoneSleeps(milliseconds: 100)
            time.advance(milliseconds: 100)
        }
        #expect(await farm.ends.next().end.result?.outcome == .cancelled(by: .client))
    }

    @Test("A compiler that is cancelled leaves nothing to run")
    func cancelCompile() async throws {
        let farm = try TestFarm()
        let id = try farm.submit(JobRequest(work: .source(text: "", language: "c", arguments: [])))
        _ = await farm.backend.nextStep()
        try farm.farm.cancel(id)
        let result = try #require(await farm.ends.next().end.result)
        #expect(result.outcome == .cancelled(by: .client) && result.phase == .compile)
        #expect(result.compile?.outcome == .cancelled(by: .client))
    }

    // MARK: Deadline

    @Test("A deadline ends queued and running jobs alike, each in its time")
    func deadlines() async throws {
        let farm = try TestFarm()
        let running = try farm.submit(.command("a").with { $0.deadlineMs = 500 })
        _ = await farm.backend.nextStep()
        let late = try farm.submit(.command("b").with { $0.deadlineMs = 400 })
        let early = try farm.submit(.command("c").with { $0.deadlineMs = 300 })
        for (job, wait) in [(early, 300), (late, 100), (running, 100)] {
            #expect(farm.ends.count == (job == early ? 0 : job == late ? 1 : 2))
            farm.time.advance(milliseconds: wait)
            let end = await farm.ends.next()
            #expect(end.job == job && end.end.result?.outcome == .cancelled(by: .deadline))
        }
        #expect(farm.backend.counts.made == 1)
    }

    @Test("A job that ends before its deadline is not touched by it")
    func deadlineNotMet() async throws {
        let farm = try TestFarm()
        try farm.submit(.command("a").with { $0.deadlineMs = 100 }, keep: true)
        await farm.backend.nextStep().end(.exited(code: 4))
        let (job, end) = await farm.ends.next()
        farm.time.advance(milliseconds: 200)
        #expect(end.result?.outcome == .exited(code: 4))
        #expect(try farm.farm.get(job).end == end && farm.ends.count == 1)
    }

    // MARK: Disconnect

    @Test("A client that goes takes its jobs along, but for those that finish without it")
    func disconnect() async throws {
        let farm = try TestFarm()
        let running = try farm.submit(.command("a"), client: 1)
        _ = await farm.backend.nextStep()
        let queued = try farm.submit(.command("b"), client: 1)
        let survivor = try farm.submit(.command("c").with { $0.surviveDisconnect = true }, client: 1)
        let other = try farm.submit(.command("d"), client: 2)
        farm.farm.clientDisconnected(ClientID(1))
        var cancelled: Set<JobID> = []
        for _ in 0..<2 {
            let end = await farm.ends.next()
            #expect(end.end.result?.outcome == .cancelled(by: .disconnect))
            cancelled.insert(end.job)
        }
        #expect(cancelled == [running, queued])
        await farm.backend.nextStep().end()
        #expect(await farm.ends.next().job == survivor)
        await farm.backend.nextStep().end()
        #expect(await farm.ends.next().job == other)
        farm.farm.clientDisconnected(ClientID(2))
        #expect(farm.farm.figures().ended == [.cancelled: 2, .exited: 2])
    }
}

/// Misses the first cancels of its only step.
private final class DeafBackend: Backend, Sandbox {
    let unenforced: [Mechanism] = []
    let isUsable = true
    private struct State {
        var deafTo: Int
        var step: CheckedContinuation<StepReport, Never>?
        var watcher: CheckedContinuation<Void, Never>?
    }
    private let state: Mutex<State>

    init(deafTo cancels: Int) { state = Mutex(State(deafTo: cancels)) }

    func untilRunning() async {
        await withCheckedContinuation { continuation in
            let running = state.withLock { state in
                if state.step == nil { state.watcher = continuation }
                return state.step != nil
            }
            if running { continuation.resume() }
        }
    }

    func makeSandbox(_ spec: SandboxSpec) async throws(FarmError) -> any Sandbox { self }
    func shutdown() async {}
    func destroy() async {}

    func run(
        _ plan: LaunchPlan, onOutput: (@Sendable (OutputStream, [UInt8]) -> Void)?
    ) async throws(FarmError) -> StepReport {
        await withCheckedContinuation { continuation in
            state.withLock { state in
                state.step = continuation
                defer { state.watcher = nil }
                return state.watcher
            }?.resume()
        }
    }

    func cancel(by canceller: Canceller) {
        state.withLock { state -> CheckedContinuation<StepReport, Never>? in
            state.deafTo -= 1
            guard state.deafTo < 0 else { return nil }
            defer { state.step = nil }
            return state.step
        }?.resume(returning: StepReport(outcome: .cancelled(by: canceller)))
    }
}
