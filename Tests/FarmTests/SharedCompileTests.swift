// Jobs that need the same compile at the same time: one runs it, the others wait, and none of them for longer than that.

import SandboxCore
import Testing

@testable import Farm

@Suite("A compile that another job is at", .timeLimit(.minutes(5)))
struct SharedCompileTests {
    private let farm: TestFarm

    init() throws { farm = try TestFarm(size: 3, catalog: CompileCacheTests.catalog()) }

    private static let compiled = StepReport(
        outcome: .exited(code: 0), files: [CollectedFile(path: "/tmp/main", bytes: [1], size: 1, mode: 0o755)])

    /// Submits jobs and returns once one compiles and the others wait for it.
    private func begin(jobs: Int) async throws -> (ids: [JobID], compile: ScriptedStep) {
        let first = try farm.submit(CompileCacheTests.request)
        let compile = await farm.backend.nextStep()
        let rest = try (1..<jobs).map { _ in try farm.submit(CompileCacheTests.request) }
        for id in rest { while try !isWaiting(id) { await Task.yield() } }
        return ([first] + rest, compile)
    }

    private func isWaiting(_ id: JobID) throws -> Bool {
        farm.farm.update { (state, _) in
            guard case .running(let lease)? = state.jobs[id]?.life else { return false }
            return lease.isWaiting
        }
    }

    @Test("One compiles for all who came meanwhile, and they run before its own program has ended")
    func shared() async throws {
        let (ids, compile) = try await begin(jobs: 3)
        #expect(farm.backend.counts.made == 1)
        farm.time.advance(milliseconds: 40)
        compile.end(Self.compiled)
        for _ in ids { await farm.backend.nextStep().end() }
        var cached: [JobID: Bool] = [:]
        for _ in ids {
            let result = try #require(await farm.ends.next().end.result)
            cached[result.job] = result.compile?.cached
            // They waited for it as long as it took, and say so.
            #expect(result.usage.stages.setupMs == (result.job == ids[0] ? 0 : 40) && result.compile?.usage.stages.runMs == 40)
        }
        #expect(cached == [ids[0]: false, ids[1]: true, ids[2]: true])
        #expect(farm.farm.figures().compileCache == CompileCacheFigures(shared: 2, misses: 1, entries: 1, bytes: 1_024 + 1 + 9 + 64))
    }

    @Test("When it comes to nothing each compiles by itself at once, and none waits again", arguments: [true, false])
    func comesToNothing(cancelled: Bool) async throws {
        let (ids, compile) = try await begin(jobs: 3)
        if cancelled {
            try farm.farm.cancel(ids[0])
        } else {
            compile.fail(FarmError(.sandboxLost, "gone"))
        }
        _ = await farm.ends.next()
        let second = await farm.backend.nextStep(), third = await farm.backend.nextStep()
        #expect(second.plan.arguments == ["cc", "main.c"] && third.plan.arguments == ["cc", "main.c"])
        second.end(Self.compiled)
        third.end(Self.compiled)
        for _ in 1...2 { await farm.backend.nextStep().end() }
        for _ in 1...2 { #expect(await farm.ends.next().end.result?.compile?.cached == false) }
        #expect(farm.farm.figures().compileCache == CompileCacheFigures(misses: 3, entries: 1, bytes: 1_024 + 1 + 9 + 64))
    }

    @Test("Who waits can be cancelled, and the one who compiles does not notice")
    func waiterCancelled() async throws {
        let (ids, compile) = try await begin(jobs: 2)
        try farm.farm.cancel(ids[1])
        let end = await farm.ends.next()
        #expect(end.job == ids[1] && end.end.result?.outcome == .cancelled(by: .client) && end.end.result?.compile == nil)
        #expect(farm.backend.counts.made == 1)
        compile.end(Self.compiled)
        await farm.backend.nextStep().end()
        #expect(await farm.ends.next().end.result?.outcome == .exited(code: 0))
    }

    @Test("Who waits is held to its deadline")
    func waiterDeadline() async throws {
        let first = try farm.submit(CompileCacheTests.request)
        let compile = await farm.backend.nextStep()
        let second = try farm.submit(CompileCacheTests.request.with { $0.deadlineMs = 50 })
        while try !isWaiting(second) { await Task.yield() }
        await farm.time.untilSomeoneSleeps(milliseconds: 50)
        farm.time.advance(milliseconds: 50)
        let end = await farm.ends.next()
        #expect(end.job == second && end.end.result?.outcome == .cancelled(by: .deadline))
        compile.end(Self.compiled)
        await farm.backend.nextStep().end()
        #expect(await farm.ends.next().job == first)
    }

    @Test("A sandbox that cannot be made keeps nobody waiting")
    func noSandbox() async throws {
        let failing = try TestFarm(
            size: 2, backend: ScriptedBackend(setup: { _ throws(FarmError) in throw FarmError(.sandboxSetup, "no") }),
            catalog: CompileCacheTests.catalog())
        for _ in 1...4 { try failing.submit(CompileCacheTests.request) }
        for _ in 1...4 { #expect(await failing.ends.next().end.error?.code == .sandboxSetup) }
    }
}
