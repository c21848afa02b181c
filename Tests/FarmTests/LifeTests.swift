// How jobs end before their time, and what is remembered of them.

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
        #expect(farm.farm.stats().ended == ["cancelled": 2, "exited": 2])
    }

    // MARK: Idempotency keys

    @Test("The same key is the same job, whether it is queued, running or done, and runs once")
    func keys() async throws {
        let farm = try TestFarm()
        let keyed = JobRequest.command("a").with { $0.idempotencyKey = "k" }
        try farm.submit(.command("blocker"))
        let blocker = await farm.backend.nextStep()
        let id = try farm.submit(keyed)
        #expect(try farm.submit(keyed) == id)
        blocker.end()
        let step = await farm.backend.nextStep()
        #expect(try farm.submit(keyed) == id)
        step.end(.exited(code: 9))
        var ends: [JobEnd] = []
        for _ in 0..<4 {
            let (job, end) = await farm.ends.next()
            if job == id { ends.append(end) }
        }
        #expect(try farm.submit(keyed) == id)
        ends.append(await farm.ends.next().end)
        #expect(ends.count == 4 && ends.allSatisfy { $0 == ends[0] } && ends[0].result?.outcome == .exited(code: 9))
        #expect(farm.backend.counts.made == 2 && farm.farm.stats().submitted == 2)
        // After the retention window the key is free.
        farm.time.advance(milliseconds: 600_000)
        let again = try farm.submit(keyed)
        #expect(again != id)
        await farm.backend.nextStep().end()
        #expect(await farm.ends.next().job == again)
    }

    @Test("A job with a key that several clients asked for ends by disconnect only when all have gone")
    func keysAndDisconnect() async throws {
        let farm = try TestFarm()
        let keyed = JobRequest.command("a").with { $0.idempotencyKey = "k" }
        let id = try farm.submit(keyed, client: 1)
        let step = await farm.backend.nextStep()
        try farm.submit(keyed, client: 2)
        farm.farm.clientDisconnected(ClientID(1))
        #expect(try farm.farm.get(id).state == .running)
        step.end()
        #expect(await farm.ends.next().end.result?.outcome == .exited(code: 0))
        _ = await farm.ends.next()
    }

    @Test("A key is free again when its job did not come to a result through no fault of its own")
    func keysFreed() async throws {
        let farm = try TestFarm()
        let keyed = JobRequest.command("a").with { $0.idempotencyKey = "k" }
        let failed = try farm.submit(keyed)
        await farm.backend.nextStep().fail(FarmError(.sandboxLost, "gone", retryable: true))
        _ = await farm.ends.next()
        let second = try farm.submit(keyed, client: 1)
        #expect(second != failed)
        let step = await farm.backend.nextStep()

        // Queued, never started, and its client is gone: a client that comes back may ask again.
        let other = keyed.with { $0.idempotencyKey = "l" }
        let queued = try farm.submit(other, client: 2)
        farm.farm.clientDisconnected(ClientID(2))
        _ = await farm.ends.next()
        let resubmitted = try farm.submit(other, client: 3)
        #expect(resubmitted != queued)

        step.fail(FarmError(.launch, "never works"))
        _ = await farm.ends.next()
        // A failure that would only be repeated stays the answer.
        #expect(try farm.submit(keyed) == second)
        #expect(await farm.ends.next().end.error?.code == .launch)
        await farm.backend.nextStep().end()
        _ = await farm.ends.next()
    }

    // MARK: Waiting and keeping

    @Test("A result is kept for the retention time when asked for, and not at all otherwise")
    func retention() async throws {
        let backend = ScriptedBackend { _ in StepReport(outcome: .exited(code: 0)) }
        let farm = try TestFarm(backend: backend)
        let kept = try farm.submit(keep: true)
        let end = await farm.ends.next().end
        let dropped = try farm.submit()
        _ = await farm.ends.next()
        #expect(try farm.farm.get(kept).end == end && farm.farm.get(kept).state == .done)
        #expect(throws: Rejected.self) { try farm.farm.get(dropped) }
        #expect(try await farm.farm.end(of: kept) == end)
        farm.time.advance(milliseconds: 599_999)
        #expect(try farm.farm.get(kept).submittedMsAgo == 599_999)
        farm.time.advance(milliseconds: 1)
        #expect(throws: Rejected.self) { try farm.farm.get(kept) }
        #expect(farm.farm.stats().retainedResults == 0 && farm.farm.stats().retainedBytes == 0)
    }

    @Test("Kept results stay within their bytes, the oldest going first")
    func retainedBytes() async throws {
        let backend = ScriptedBackend { _ in
            StepReport(outcome: .exited(code: 0), stdout: Output(head: [UInt8](repeating: 1, count: 40_000)))
        }
        let farm = try TestFarm(backend: backend) { $0.retainedBytes = 100_000 }
        var jobs: [JobID] = []
        for _ in 0..<5 {
            jobs.append(try farm.submit(keep: true))
            _ = await farm.ends.next()
        }
        #expect(farm.farm.list().jobs.map(\.job) == [jobs[4], jobs[3]])
        #expect(farm.farm.stats().retainedBytes <= 100_000)
    }

    @Test("Whoever waits is told the end once; who stopped waiting is not")
    func waiting() async throws {
        let farm = try TestFarm()
        let id = try farm.submit()
        let step = await farm.backend.nextStep()
        let told = Ends()
        try farm.farm.wait(id, onEnd: told.note)
        let given = try farm.farm.wait(id, onEnd: told.note)
        #expect(farm.farm.stopWaiting(given) == .running)
        #expect(farm.farm.stopWaiting(given) == nil)
        async let end = farm.farm.end(of: id)
        step.end(.exited(code: 5))
        #expect(await told.next().end.result?.outcome == .exited(code: 5))
        _ = await farm.ends.next()
        _ = try? await end
        #expect(told.count == 1 && farm.ends.count == 1)
        #expect(throws: Rejected.self) { try farm.farm.wait(JobID("j-none"), onEnd: told.note) }
        #expect(throws: Rejected.self) { try farm.farm.cancel(JobID("j-none")) }
    }

    @Test("A wait with a timeout is told the state when it passes, or the end, and leaves no timer behind")
    func waitingWithTimeout() async throws {
        let farm = try TestFarm()
        let id = try farm.submit()
        let step = await farm.backend.nextStep()
        let told = Ends()
        let states = Mutex<[JobState]>([])
        await withCheckedContinuation { continuation in
            try! farm.farm.wait(id, timeout: .milliseconds(50), onEnd: told.note) { _, state in
                states.withLock { $0.append(state) }
                continuation.resume()
            }
            farm.time.advance(milliseconds: 50)
        }
        #expect(states.withLock { $0 } == [.running])
        try farm.farm.wait(id, timeout: .milliseconds(60), onEnd: told.note) { _, state in states.withLock { $0.append(state) } }
        await farm.time.untilSomeoneSleeps(milliseconds: 60)
        step.end()
        _ = await told.next()
        _ = await farm.ends.next()
        farm.time.advance(milliseconds: 60)
        #expect(told.count == 1 && states.withLock { $0 } == [.running] && farm.time.sleepers == 0)
    }

    @Test("Those who wait for one job are bounded")
    func boundedListeners() async throws {
        let farm = try TestFarm()
        let id = try farm.submit()
        let step = await farm.backend.nextStep()
        for _ in 1..<1_000 { try farm.farm.wait(id, onEnd: farm.ends.note) }
        do throws(Rejected) {
            try farm.farm.wait(id, onEnd: farm.ends.note)
            Issue.record("one too many")
        } catch {
            #expect(error.code == .queueFull && error.retryAfterMs != nil)
        }
        step.end()
        for _ in 0..<1_000 { _ = await farm.ends.next() }
        #expect(farm.ends.count == 1_000)
    }

    @Test("A task that waits for a job can be cancelled, and the job goes on")
    func waitingTaskCancelled() async throws {
        let farm = try TestFarm()
        let id = try farm.submit()
        let step = await farm.backend.nextStep()
        let waiter = Task { try await farm.farm.end(of: id) }
        waiter.cancel()
        await #expect(throws: CancellationError.self) { try await waiter.value }
        #expect(try farm.farm.get(id).state == .running)
        step.end()
        _ = await farm.ends.next()
    }

    @Test("A task that runs a job ends it when it is cancelled")
    func runningTaskCancelled() async throws {
        let farm = try TestFarm()
        let task = Task { try await farm.farm.run(.command("x"), client: ClientID(1)) }
        _ = await farm.backend.nextStep()
        task.cancel()
        #expect(try await task.value.result?.outcome == .cancelled(by: .client))
        await #expect(throws: Rejected.self) { try await farm.farm.run(.command(), client: ClientID(1)) }
    }
}

/// Misses the first cancels of its only step.
private final class DeafBackend: Backend, Sandbox {
    let unenforced: [Mechanism] = []
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
