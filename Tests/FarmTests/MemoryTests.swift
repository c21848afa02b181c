// What is remembered of jobs: idempotency keys, those who wait, results that are kept.

import SandboxCore
import Synchronization
import Testing

@testable import Farm

@Suite("What is remembered of a job", .timeLimit(.minutes(5)))
struct MemoryTests {
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
        #expect(farm.backend.counts.made == 2 && farm.farm.figures().submitted == 2)
        // After the retention window the key is free.
        farm.time.advance(milliseconds: 600_000)
        let again = try farm.submit(keyed)
        #expect(again != id)
        await farm.backend.nextStep().end()
        #expect(await farm.ends.next().job == again)
    }

    @Test("A key used again for another job is refused, and that job goes on; how a job is handled may differ", arguments: [
        { $0.work = .command(["b"]) }, { $0.stdin = .bytes([1]) }, { $0.environment = ["A": "b"] }, { $0.workingDirectory = "d" },
        { $0.files[0].mode = 0o755 }, { $0.files[0].content = .bytes(Array("abd".utf8)) }, { $0.collect = [FileOut(pattern: "o", maxBytes: 1)] },
        { $0.limits.memoryBytes = 1 << 20 }, { $0.policy = "default" }, { $0.image = "host" }, { $0.template = "python" }, { $0.pool = "default" },
        { $0.labels.group = "g" }, { $0.tests = TestRequest(framework: .pytest, passToPass: []) }, { $0.files = [] },
        // Nothing of one part can be taken for the beginning of the next.
        { $0.work = .command(["a", ""]) }, { $0.environment = ["": "A"] },
    ] as [@Sendable (inout JobRequest) -> Void])
    func keyUsedForAnother(_ change: @Sendable (inout JobRequest) -> Void) async throws {
        let farm = try TestFarm()
        let keyed = JobRequest.command("a").with {
            $0.idempotencyKey = "k"
            $0.files = [FileIn(path: "f", content: .bytes(Array("abc".utf8)))]
        }
        let id = try farm.submit(keyed)
        let step = await farm.backend.nextStep()
        let error = farm.rejection(of: keyed.with(change))
        #expect(error.code == .invalidRequest && error.field == "idempotency_key" && error.message.contains("'k'"))
        let same = keyed.with {
            // The SHA-256 of what it came with before: a client that tries again may have put it as a blob.
            $0.files[0].content = .blob("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
            ($0.priority, $0.deadlineMs, $0.stream, $0.surviveDisconnect) = (5, 1_000_000, true, true)
        }
        #expect(try farm.submit(same) == id)
        step.end()
        for _ in 0..<2 { #expect(await farm.ends.next().job == id) }
        #expect(farm.farm.figures().submitted == 1 && farm.farm.figures().rejected == [.invalidRequest: 1])
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
        #expect(farm.farm.figures().retainedResults == 0 && farm.farm.figures().retainedBytes == 0)
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
        #expect(farm.farm.figures().retainedBytes <= 100_000)
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
