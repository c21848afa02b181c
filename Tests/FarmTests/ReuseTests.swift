// Pools that hand a sandbox to the next job of the same group, and what ends one.

import SandboxCore
import Testing

@testable import Farm

@Suite("A pool that uses sandboxes again", .timeLimit(.minutes(5)))
struct ReuseTests {
    private func farm(
        size: Int = 1, backend: ScriptedBackend = ScriptedBackend { _ in StepReport(outcome: .exited(code: 0)) }, idle: Int = 8
    ) throws -> TestFarm {
        var catalog = TestCatalog()
        catalog.policies["alone"] = .plain
        catalog.policies["alone"]?.network = .none
        return try TestFarm(backend: backend, catalog: catalog) {
            $0.pools = [PoolConfiguration(size: size, queue: 100, reuse: .group), PoolConfiguration(name: "fresh", size: 1)]
            $0.idleSandboxes = idle
        }
    }

    private static func job(_ group: String?, _ change: (inout JobRequest) -> Void = { _ in }) -> JobRequest {
        JobRequest.command("true").with {
            $0.labels.group = group
            change(&$0)
        }
    }

    /// What a job's result says of its sandbox.
    private func run(_ request: JobRequest, on farm: TestFarm) async throws -> SandboxUse? {
        try farm.submit(request)
        return await farm.ends.next().end.result?.sandbox
    }

    @Test("A job gets the sandbox of its group's last job of the same kind, and its result says so; nobody else does")
    func sameGroup() async throws {
        let farm = try farm()
        var uses: [SandboxUse?] = []
        for request in [
            Self.job("x"), Self.job("x"), Self.job("y"), Self.job(nil), Self.job(nil), Self.job("x") { $0.policy = "alone" }, Self.job("x"),
            Self.job("y"), Self.job("x") { $0.pool = "fresh" }, Self.job("x") { $0.policy = "alone" },
        ] { uses.append(try await run(request, on: farm)) }
        #expect(uses == [.fresh, .reused, .fresh, .fresh, .fresh, .fresh, .reused, .reused, .fresh, .reused])
        #expect(farm.backend.rooms == [1, 1, 2, 3, 4, 5, 1, 2, 6, 5])
        // What stays is not told that it ends with its job.
        #expect(farm.backend.plans.map(\.isLast) == [false, false, false, true, true, false, false, false, true, false])
        #expect(farm.farm.pools().map(\.idle) == [3, 0] && farm.farm.pools().map(\.reuse) == [.group, .none])
    }

    @Test("Jobs of one group that run at once have a sandbox each; the next gets the one that was used last")
    func atOnce() async throws {
        let farm = try farm(size: 2, backend: ScriptedBackend())
        try farm.submit(Self.job("x"))
        try farm.submit(Self.job("x"))
        let steps = [await farm.backend.nextStep(), await farm.backend.nextStep()]
        #expect(Set(farm.backend.rooms) == [1, 2] && farm.backend.counts.mostAlive == 2)
        let last = farm.backend.rooms[1]
        for step in steps {
            step.end()
            #expect(await farm.ends.next().end.result?.sandbox == .fresh)
        }
        try farm.submit(Self.job("x"))
        await farm.backend.nextStep().end()
        #expect(await farm.ends.next().end.result?.sandbox == .reused && farm.backend.rooms[2] == last)
    }

    @Test("A suite's sandbox is fresh and ends with it, whatever its group left")
    func suites() async throws {
        let farm = try farm()
        let suite = JobRequest(work: .testsOnly, labels: Labels(group: "x"), tests: TestRequest(framework: .pytest))
        var uses: [SandboxUse?] = []
        for request in [Self.job("x"), suite, suite, Self.job("x")] { uses.append(try await run(request, on: farm)) }
        #expect(uses == [.fresh, .fresh, .fresh, .reused] && farm.backend.rooms == [1, 2, 3, 1])
        #expect(farm.backend.plans.map(\.isLast) == [false, true, true, false])
    }

    @Test("An idle sandbox ends when its time is over, and the one that waited longest where there would be one too many")
    func idle() async throws {
        let farm = try farm(idle: 2)
        for group in ["x", "y", "z"] { _ = try await run(Self.job(group), on: farm) }
        await farm.backend.untilDestroyed(1)
        #expect(farm.farm.pools()[0].idle == 2)
        farm.time.advance(milliseconds: 59_999)
        #expect(try await run(Self.job("z"), on: farm) == .reused)
        farm.time.advance(milliseconds: 1)
        await farm.backend.untilDestroyed(2)
        #expect(farm.farm.pools()[0].idle == 1)
        #expect(try await run(Self.job("x"), on: farm) == .fresh)
        #expect(try await run(Self.job("z"), on: farm) == .reused)
    }

    @Test("A drain ends what waits, but not before the pool's last job that may want it")
    func drain() async throws {
        let farm = try farm(backend: ScriptedBackend())
        for _ in 0..<3 { try farm.submit(Self.job("x")) }
        let first = await farm.backend.nextStep()
        #expect(try farm.farm.drainPool("default").queued == 2)
        first.end()
        for _ in 0..<2 { await farm.backend.nextStep().end() }
        for use in [SandboxUse.fresh, .reused, .reused] { #expect(await farm.ends.next().end.result?.sandbox == use) }
        await farm.backend.untilDestroyed(1)
        #expect(farm.backend.counts.made == 1 && farm.farm.pools()[0].idle == 0)

        _ = try farm.farm.resumePool("default")
        try farm.submit(Self.job("x"))
        await farm.backend.nextStep().end()
        _ = await farm.ends.next()
        #expect(farm.farm.pools()[0].idle == 1)
        #expect(await farm.farm.drain(grace: .seconds(1)))
        await farm.backend.untilDestroyed(2)
    }

    @Test("A pool that is told to stop ends what waits, and what comes back later")
    func stopped() async throws {
        let farm = try farm(size: 2, backend: ScriptedBackend())
        try farm.submit(Self.job("x"))
        try farm.submit(Self.job("y"))
        let (first, second) = (await farm.backend.nextStep(), await farm.backend.nextStep())
        first.end()
        _ = await farm.ends.next()
        #expect(try farm.farm.setPool(PoolChange(pool: "default", reuse: SandboxReuse.none)).idle == 0)
        await farm.backend.untilDestroyed(1)
        second.end()
        _ = await farm.ends.next()
        await farm.backend.untilDestroyed(2)
        try farm.submit(Self.job("x"))
        let third = await farm.backend.nextStep()
        #expect(third.plan.isLast)
        third.end()
        #expect(await farm.ends.next().end.result?.sandbox == .fresh)
    }

    @Test("A sandbox that was lost, that cannot take the job or that failed it is never used again")
    func broken() async throws {
        let backend = ScriptedBackend { plan throws(FarmError) in
            if plan.arguments == ["occupied"], !plan.files.isEmpty { throw FarmError(.launch, "a directory is in its place") }
            if plan.arguments == ["dies"] { throw FarmError(.sandboxLost, "gone", retryable: true) }
            return StepReport(outcome: .exited(code: 0))
        }
        let farm = try farm(backend: backend)
        #expect(try await run(Self.job("x"), on: farm) == .fresh)
        backend.lose(1)
        #expect(try await run(Self.job("x"), on: farm) == .fresh)
        await backend.untilDestroyed(1)
        // Whatever lies in the way is in its own sandbox only; one in which it fails again, fails it.
        try farm.submit(Self.job("x") { $0.work = .command(["occupied"]); $0.files = [FileIn(path: "a", content: .bytes([]))] })
        #expect(await farm.ends.next().end.error?.code == .launch)
        #expect(backend.rooms == [1, 2, 2, 3])
        await backend.untilDestroyed(3)
        try farm.submit(Self.job("x") { $0.work = .command(["dies"]) })
        #expect(await farm.ends.next().end.error?.code == .sandboxLost)
        #expect(try await run(Self.job("x"), on: farm) == .fresh)
        await backend.untilDestroyed(4)
        #expect(backend.rooms == [1, 2, 2, 3, 4, 5] && farm.farm.pools()[0].idle == 1)
    }

    @Test("A compile where earlier jobs left files is neither taken from those that are kept nor kept for others")
    func compiles() async throws {
        let program = CollectedFile(path: "/tmp/main", bytes: [0x7f], size: 1, mode: 0o755)
        let backend = ScriptedBackend { plan in
            StepReport(outcome: .exited(code: 0), files: plan.arguments.first == "cc" ? [program] : [])
        }
        let farm = try TestFarm(backend: backend, catalog: CompileCacheTests.catalog()) { $0.pools = [PoolConfiguration(size: 1, reuse: .group)] }
        var cached: [Bool?] = []
        for (group, text) in [("x", "one"), ("x", "one"), ("y", "one"), ("x", "two"), ("y", "two"), ("z", "two"), ("w", "two")] {
            try farm.submit(JobRequest(work: .source(text: text, language: "c", arguments: []), labels: Labels(group: group)))
            cached.append(await farm.ends.next().end.result?.compile?.cached)
        }
        // The fifth is y's second job, the sixth the first to compile the second text in a fresh sandbox.
        #expect(cached == [false, false, true, false, false, false, true])
    }

    @Test("A job that was never in a sandbox says nothing of one")
    func none() async throws {
        let farm = try farm(backend: ScriptedBackend())
        try farm.submit(Self.job("x"))
        let step = await farm.backend.nextStep()
        let queued = try farm.submit(Self.job("x"))
        try farm.farm.cancel(queued)
        #expect(await farm.ends.next().end.result == JobResult(job: queued, outcome: .cancelled(by: .client), sandbox: nil, labels: Labels(group: "x")))
        step.end()
        _ = await farm.ends.next()
    }
}
