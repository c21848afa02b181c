// Pools, blobs, figures, drain, and many jobs at once.

import FoundationEssentials
import SandboxCore
import Testing

@testable import Farm

@Suite("The farm", .timeLimit(.minutes(5)))
struct OperateTests {
    // MARK: Many jobs

    @Test("10,000 jobs of forty groups each end once, never more at once than the pool's size, and leave nothing behind")
    func tenThousand() async throws {
        let backend = ScriptedBackend { _ in StepReport(outcome: .exited(code: 0)) }
        let farm = try TestFarm(size: 8, queue: 10_000, backend: backend)
        let submitted = try await withThrowingTaskGroup(of: [JobID].self) { group in
            for client in 0..<4 as Range<UInt64> {
                group.addTask {
                    try (0..<2_500).map { index in
                        try farm.submit(.command("x").with { $0.labels.group = "g\(index % 40)" }, client: client)
                    }
                }
            }
            return try await group.reduce(into: Set<JobID>()) { $0.formUnion($1) }
        }
        var ended: Set<JobID> = []
        for _ in 0..<10_000 {
            let (job, end) = await farm.ends.next()
            if end.result?.outcome == .exited(code: 0) { ended.insert(job) }
        }
        #expect(ended == submitted && ended.count == 10_000 && farm.ends.count == 10_000)
        // The last answers came before their sandboxes had gone.
        #expect(await farm.farm.drain(grace: .seconds(1)))
        #expect(backend.counts.mostAlive <= 8 && backend.counts.alive == 0)
        let stats = farm.farm.figures()
        #expect(stats.submitted == 10_000 && stats.started == 10_000 && stats.ended == [.exited: 10_000])
        #expect(stats.queued == 0 && stats.running == 0 && stats.heldBytes == 0 && stats.retainedResults == 0)
        #expect(farm.farm.list().total == 0 && stats.stages.queue.count == 10_000 && stats.stages.teardown.count == 10_000)
    }

    @Test("A full queue turns jobs away, and groups take turns")
    func fullQueue() async throws {
        let farm = try TestFarm(size: 1, queue: 4)
        try farm.submit(.command("first"))
        var step = await farm.backend.nextStep()
        for index in 0..<3 { try farm.submit(.command("a\(index)").with { $0.labels.group = "a" }) }
        try farm.submit(.command("b0").with { $0.labels.group = "b" })
        let error = farm.rejection(of: .command("late"))
        #expect(error.code == .queueFull && error.retryAfterMs.map { $0 >= 1 } == true)
        var order: [String] = []
        for _ in 0..<4 {
            step.end()
            _ = await farm.ends.next()
            step = await farm.backend.nextStep()
            order += step.plan.arguments
        }
        #expect(order == ["a0", "b0", "a1", "a2"])
        step.end()
        _ = await farm.ends.next()
    }

    // MARK: Pools

    @Test("Pools are made, changed, drained and resumed")
    func pools() async throws {
        let farm = try TestFarm()
        let made = try farm.farm.setPool(PoolChange(pool: "gpu", size: 3, queue: 7))
        #expect(made == PoolStatus(
            name: "gpu", state: .open, backend: "process", image: "host", policy: "default", size: 3, queue: 7, ready: 3))
        #expect(try farm.farm.setPool(PoolChange(pool: "gpu", size: 1)).queue == 7)
        try farm.submit(.command("x").with { $0.pool = "gpu" })
        let step = await farm.backend.nextStep()
        try farm.submit(.command("y").with { $0.pool = "gpu" })
        let drained = try farm.farm.drainPool("gpu")
        #expect(drained.state == .draining && drained.running == 1 && drained.queued == 1)
        #expect(farm.rejection(of: .command("z").with { $0.pool = "gpu" }).code == .draining)
        #expect(farm.farm.list(pool: "gpu").total == 2 && farm.farm.list(state: .queued).jobs.map(\.pool) == ["gpu"])
        step.end()
        await farm.backend.nextStep().end()
        for _ in 0..<2 { _ = await farm.ends.next() }
        #expect(try farm.farm.resumePool("gpu").state == .open)
        #expect(farm.farm.pools().map(\.ended) == [0, 2] && farm.farm.pools().map(\.ready) == [0, 3])
        #expect(farm.farm.pools().map(\.name) == ["default", "gpu"] && farm.info.pools == ["default", "gpu"])
    }

    @Test("A pool that makes no sense is an error that names the field", arguments: [
        (PoolChange(pool: ""), "pool"), (PoolChange(pool: "a b"), "pool"), (PoolChange(pool: "ä"), "pool"),
        (PoolChange(pool: "p", size: 0), "size"), (PoolChange(pool: "p", size: 1 << 40), "size"),
        (PoolChange(pool: "p", queue: -1), "queue"),
        (PoolChange(pool: "p", policy: "lax"), "policy"), (PoolChange(pool: "p", image: "moon"), "image"),
    ])
    func badPools(change: PoolChange, field: String) throws {
        let farm = try TestFarm()
        do throws(Rejected) {
            _ = try farm.farm.setPool(change)
            Issue.record("the pool was made")
        } catch {
            #expect(error.field == field)
        }
        #expect(farm.farm.pools().map(\.name) == ["default"])
        #expect(throws: Rejected.self) { try farm.farm.drainPool("nowhere") }
    }

    // MARK: Drain

    @Test("A drain without jobs ends at once, and then nothing is taken")
    func drainIdle() async throws {
        let farm = try TestFarm()
        #expect(await farm.farm.drain(grace: .seconds(60)))
        #expect(farm.rejection(of: .command("x")).code == .draining)
        #expect(farm.farm.pools().map(\.state) == [.draining])
    }

    @Test("A drain waits for the jobs within its grace")
    func drainFinishes() async throws {
        let farm = try TestFarm()
        try farm.submit(.command("a"))
        try farm.submit(.command("b"))
        async let drained = farm.farm.drain(grace: .seconds(60))
        await farm.time.untilSomeoneSleeps(milliseconds: 60_000)
        await farm.backend.nextStep().end()
        await farm.backend.nextStep().end()
        #expect(await drained)
        #expect(farm.ends.count == 2 && farm.farm.figures().ended == [.exited: 2])
    }

    @Test("What is left after a drain's grace is cancelled by it", arguments: [0, 5_000])
    func drainCancels(grace: Int) async throws {
        let farm = try TestFarm()
        try farm.submit(.command("a"))
        _ = await farm.backend.nextStep()
        try farm.submit(.command("b"))
        async let drained = farm.farm.drain(grace: .milliseconds(grace))
        if grace > 0 {
            await farm.time.untilSomeoneSleeps(milliseconds: grace)
            farm.time.advance(milliseconds: grace)
        }
        #expect(await drained)
        #expect(farm.ends.count == 2 && farm.backend.counts.alive == 0)
        #expect(farm.ends.all.allSatisfy { $0.1.result?.outcome == .cancelled(by: .drain) })
    }

    @Test("Jobs that take long to end are waited for as long as enough of them do")
    func drainIsPatient() async throws {
        let farm = try TestFarm(size: 32)
        farm.backend.isDeaf = true
        for _ in 0..<32 { try farm.submit(.command("a")) }
        var steps: [ScriptedStep] = []
        for _ in 0..<32 { steps.append(await farm.backend.nextStep()) }
        async let drained = farm.farm.drain(grace: .zero)
        for (round, number) in [4, 20, 0].enumerated() {
            await farm.time.untilSomeoneSleeps(milliseconds: 10_000)
            for _ in 0..<number { steps.removeLast().end(.cancelled(by: .drain)) }
            for _ in 0..<number { _ = await farm.ends.next() }
            #expect(farm.ends.count == [4, 24, 24][round])
            farm.time.advance(milliseconds: 10_000)
        }
        #expect(await drained == false)
        for step in steps { step.end() }
    }

    // MARK: Blobs

    @Test("A blob is named by its content, and jobs get its bytes")
    func blobs() async throws {
        let farm = try TestFarm()
        let digest = try farm.farm.putBlob(Array("abc".utf8))
        #expect(digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(try farm.farm.putBlob(Array("abc".utf8), sha256: digest) == digest)
        #expect(throws: Rejected.self) { try farm.farm.putBlob(Array("abd".utf8), sha256: digest) }
        let none = String(repeating: "0", count: 64)
        #expect(try farm.farm.missingBlobs([digest, none]) == [none])
        #expect(throws: Rejected.self) { try farm.farm.missingBlobs(["x"]) }
        try farm.submit(
            .command("x").with {
                $0.files = [FileIn(path: "a", content: .blob(digest), mode: 0o755), FileIn(path: "b", content: .blob(digest))]
                $0.stdin = .blob(digest)
            })
        let step = await farm.backend.nextStep()
        #expect(step.plan.files.map(\.bytes) == [Array("abc".utf8), Array("abc".utf8)] && step.plan.files[0].mode == 0o755)
        #expect(step.plan.stdin == .bytes(Array("abc".utf8)))
        step.end()
        _ = await farm.ends.next()
    }

    @Test("Blobs stay within their bytes, the least recently used going first, but never one that a job needs")
    func blobBound() async throws {
        let farm = try TestFarm { $0.blobBytes = 1_000 }
        func put(_ number: UInt8) throws -> String { try farm.farm.putBlob([UInt8](repeating: number, count: 300)) }
        let needed = try put(1)
        try farm.submit()
        let first = await farm.backend.nextStep()
        try farm.submit(.command("x").with { $0.files = [FileIn(path: "a", content: .blob(needed))] })
        let (second, third) = (try put(2), try put(3))
        #expect(try farm.farm.missingBlobs([second]).isEmpty)
        let fourth = try put(4)
        // The third was used least recently, since the second was asked for; the first is needed.
        #expect(try farm.farm.missingBlobs([needed, second, third, fourth]).contains(third))
        #expect(try farm.farm.missingBlobs([needed, fourth]).isEmpty)
        #expect(farm.farm.figures().blobBytes <= 1_000)
        #expect(throws: Rejected.self) { try farm.farm.putBlob([UInt8](repeating: 0, count: 1_001)) }
        #expect(throws: FarmError.self) { try farm.farm.putBlob([UInt8](repeating: 0, count: 900)) }
        first.end()
        let step = await farm.backend.nextStep()
        #expect(step.plan.files.first?.bytes == [UInt8](repeating: 1, count: 300))
        step.end()
        for _ in 0..<2 { _ = await farm.ends.next() }
        // Nobody needs it now.
        _ = try farm.farm.putBlob([UInt8](repeating: 0, count: 900))
        #expect(try farm.farm.missingBlobs([needed]) == [needed])
    }

    @Test("Blobs that do not fit the job's disk turn it away, and are not kept for it")
    func blobsTooLarge() throws {
        let farm = try TestFarm { $0.blobBytes = 2 << 20 }
        let digest = try farm.farm.putBlob([UInt8](repeating: 0, count: 600_000))
        let error = farm.rejection(of: .command("x").with {
            $0.files = [FileIn(path: "a", content: .blob(digest)), FileIn(path: "b", content: .blob(digest))]
        })
        #expect(error.field == "files" && error.message.contains("1200000"))
        _ = try farm.farm.putBlob([UInt8](repeating: 1, count: 2 << 20))
        #expect(try farm.farm.missingBlobs([digest]) == [digest])
    }

    @Test("A blob whose file is gone or cut is the farm's failure, not other bytes")
    func blobDamaged() async throws {
        let farm = try TestFarm()
        let digest = try farm.farm.putBlob([1, 2, 3])
        try Data([1, 2]).write(to: URL(filePath: farm.farm.configuration.blobDirectory + "/" + digest))
        try farm.submit(.command("x").with { $0.stdin = .blob(digest) })
        #expect(await farm.ends.next().end.error?.code == .storage)
    }

    @Test("Blobs of an earlier farm are removed at the start, other files are not")
    func blobsAtStart() throws {
        let directory = FileManager.default.temporaryDirectory.path() + "/farm-tests-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let digest = try BlobStore(directory: directory, capacity: 100).put([1], expected: nil)
        try Data([1]).write(to: URL(filePath: directory + "/notes.txt"))
        let store = try BlobStore(directory: directory, capacity: 100)
        #expect(store.missing([digest]) == [digest])
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["notes.txt"])
        #expect(throws: FarmError.self) { try BlobStore(directory: directory + "/notes.txt", capacity: 1) }
    }

    // MARK: Figures

    @Test("A job's time is told by stage, with no moment lost or counted twice, in its own pool")
    func stages() async throws {
        let farm = try TestFarm { $0.pools.append(PoolConfiguration(name: "other", size: 1)) }
        farm.backend.clock = farm.time
        try farm.submit(.command("first"))
        try farm.submit(.command("second"))
        for _ in 0..<2 {
            let step = await farm.backend.nextStep()
            farm.time.advance(milliseconds: 100)
            var report = StepReport(outcome: .exited(code: 0), setupMs: 10)
            report.usage.wallTimeMs = 70
            step.end(report)
            _ = await farm.ends.next()
        }
        await farm.farm.drain(grace: .seconds(1_000))
        let stages = farm.farm.figures().pools[0].jobs.stages
        func milliseconds(_ stage: Stage) -> [Int] { [stages[stage].count, Int(stages[stage].sum) / 1_000_000, stages[stage].longest / 1_000_000] }
        // Making a sandbox takes 5 ms, destroying one 3. The second job waits for all of the first.
        #expect(milliseconds(.queue) == [2, 108, 108] && milliseconds(.lease) == [2, 10, 5] && milliseconds(.setup) == [2, 20, 10])
        #expect(milliseconds(.run) == [2, 140, 70] && milliseconds(.collect) == [2, 40, 20] && milliseconds(.teardown) == [2, 6, 3])
        #expect(farm.farm.figures().pools[1].jobs == JobCounts() && farm.farm.figures().stages == stages)
        let result = try #require(farm.ends.all.last?.1.result).usage.stages
        #expect(result.queuedMs == 108 && result.setupMs == 5 && result.runMs == 100 && result.teardownMs == 0)
        let shown = farm.farm.stats(connections: 0, memoryBytes: 0)
        #expect(shown.stages["queue"]?.count == 2 && shown.stagesByPool["other"]?["run"]?.count == 0)
    }

    @Test("A job that never had a sandbox is in the histogram of the queue alone, and one the farm failed in none")
    func withoutSandbox() async throws {
        let farm = try TestFarm(backend: ScriptedBackend(setup: { (_) throws(FarmError) in throw FarmError(.sandboxSetup, "no") }))
        try farm.submit()
        _ = await farm.ends.next()
        #expect(farm.farm.figures().stages == StageHistograms() && farm.farm.figures().failed == [.sandboxSetup: 1])
    }

    @Test("A backend that knows the end of its sandboxes better tells it")
    func backendFigures() async throws {
        let farm = try TestFarm(backend: ScriptedBackend { _ in StepReport(outcome: .exited(code: 0)) })
        try farm.submit()
        _ = await farm.ends.next()
        await farm.farm.drain(grace: .seconds(1_000))
        #expect(farm.farm.figures().stages.teardown.count == 1 && farm.farm.figures().backend == nil)
        var pool = BackendFigures.Pool()
        pool.teardown.record(7)
        pool.teardown.record(9)
        farm.backend.counted = BackendFigures(pools: ["default": pool], wardenRestarts: 1)
        #expect(farm.farm.figures().stages.teardown == pool.teardown && farm.farm.figures().backend?.wardenRestarts == 1)
        farm.backend.counted = BackendFigures()
        #expect(farm.farm.figures().stages.teardown.count == 0)
    }

    @Test("Jobs per second are those of the last ten seconds")
    func rate() async throws {
        let farm = try TestFarm(backend: ScriptedBackend { _ in StepReport(outcome: .exited(code: 0)) })
        for _ in 0..<20 {
            for _ in 0..<5 {
                try farm.submit()
                _ = await farm.ends.next()
            }
            farm.time.advance(milliseconds: 1_000)
        }
        #expect((4.9...5.1).contains(farm.farm.figures().jobsPerSecond))
        farm.time.advance(milliseconds: 60_000)
        #expect(farm.farm.figures().jobsPerSecond == 0 && farm.farm.figures().uptimeMs == 80_000)
    }
}
