// The daemon and the verbs that ask it.

import Foundation
import SandboxCore
import Testing
import Wire

@Suite("paddock serve and who asks it", .serialized) struct FarmCommandTests {
    let place: Place
    init() throws { place = try Place() }

    @Test("a drained daemon exits 0 and takes its socket away", arguments: [SIGTERM, SIGINT])
    func drain(_ number: Int32) async throws {
        let daemon = try await TestDaemon(in: place)
        #expect(FileManager.default.fileExists(atPath: place.socket))
        daemon.running.send(number)
        #expect(await daemon.running.end().code == 0)
        #expect(!FileManager.default.fileExists(atPath: place.socket))
    }

    @Test("without a daemon every verb says so and how to start one", arguments: [
        ["status"], ["top", "--once"], ["pool", "list"], ["pool", "drain", "x"], ["jobs", "list"], ["jobs", "show", "j"], ["submit", "jobs.jsonl"],
    ])
    func noDaemon(_ arguments: [String]) async throws {
        try place.write("jobs.jsonl", "{\"command\": [\"true\"]}\n")
        let said = try await place.start(arguments).end()
        #expect(said.code == 3)
        #expect(said.error.contains("error: socket \(place.socket): there is no socket"))
        #expect(said.error.contains("Hint: start a daemon with `paddock serve --socket \(place.socket)`"))
    }

    @Test("a second daemon on the same socket is refused")
    func second() async throws {
        let daemon = try await TestDaemon(in: place)
        let said = try await place.run("serve", "--socket", place.socket, environment: ["PADDOCK_HOME": "\(place.path)/other"])
        #expect(said.code == 3)
        #expect(said.error.contains("another daemon answers there"))
        #expect(await daemon.stop().code == 0)
    }

    @Test("a second daemon on the same state directory is refused before it touches anything, a later one is not")
    func sameState() async throws {
        let first = try await TestDaemon(in: place)
        let blob = try await Client.connect(path: place.socket)
        guard case .blob(let sum, _) = try await blob.call(.blobPut(BlobPut(bytes: [1]))) else { throw CancellationError() }
        let said = try await place.run("serve", "--socket", "\(place.path)/other.sock")
        #expect(said.code == 3)
        #expect(said.error.contains("another daemon (pid \(first.running.pid)) keeps its images and blobs in \(place.path)/home"), "\(said.error)")
        #expect(try await blob.call(.blobHas([sum])) == .missing([]))
        await blob.close()
        // A local job shares the images, and no more.
        #expect(try await place.run("run", "--", "true").code == 0)
        first.running.send(SIGKILL)
        _ = await first.running.end()
        #expect(await (try await TestDaemon(in: place)).stop().code == 0)
    }

    @Test("status and top show the farm, to people and to machines")
    func status() async throws {
        let daemon = try await TestDaemon(in: place)
        let text = try await place.run("status")
        #expect(text.code == 0)
        #expect(text.out.hasPrefix("paddock "))
        #expect(text.out.contains("default  open"))
        #expect(!text.out.contains("\u{1B}"))
        let object = try await place.run("status", "--json").object
        #expect(Set(object.keys) == ["info", "stats", "pools"])
        #expect((object["info"] as? [String: Any])?["pid"] as? Int == Int(daemon.running.pid))
        let top = try await place.run("top", "--once")
        #expect(top.code == 0)
        #expect(top.out.contains("no job is running"))
        #expect(Set(try await place.run("top", "--once", "--json").object.keys) == ["stats", "pools", "jobs", "total"])
        #expect(await daemon.stop().code == 0)
    }

    @Test("where the time goes is told by stage and by pool, of all stages the same number")
    func stages() async throws {
        let daemon = try await TestDaemon(in: place)
        try #require(await place.run("pool", "set", "other", "--size", "1").code == 0)
        try place.write("jobs.jsonl", String(repeating: "{\"command\": [\"true\"]}\n", count: 5) + "{\"command\": [\"sleep\", \"0.05\"], \"pool\": \"other\"}\n")
        try #require(await place.run("submit", "jobs.jsonl").code == 0)
        let client = try await Client.connect(path: place.socket)
        // A sandbox's teardown goes on after the answer.
        let stats = try await eventually { try await client.stats() } until: { $0.stages["teardown"]?.count == 6 }
        await client.close()
        for stage in Stage.allCases {
            #expect(stats.stages[stage.rawValue]?.count == 6 && stats.stagesByPool["default"]?[stage.rawValue]?.count == 5)
            let times = try #require(stats.stagesByPool["other"]?[stage.rawValue])
            #expect(times.count == 1 && times.maxMs == times.sumMs && times.p50Ms <= times.maxMs && times.buckets.map(\.count) == [1])
        }
        let run = try #require(stats.stagesByPool["other"]?["run"])
        #expect(run.maxMs >= 50)
        for stage in ["setup", "collect", "teardown"] { #expect(stats.stagesByPool["other"]?[stage]?.maxMs ?? 0 > 0) }

        let top = try await place.run("top", "--once").out
        #expect(Stage.allCases.allSatisfy { top.contains("\n\($0.rawValue) ") } && top.contains("STAGE") && top.contains("P90"))
        #expect(try await place.run("status", "--pool", "other").code == 0)
        let unknown = try await place.run("top", "--once", "--pool", "others")
        #expect(unknown.code == 2 && unknown.error.contains("--pool: found \"others\", expected one of default, other"))
        #expect(await daemon.stop().code == 0)
    }

    @Test("pools are listed, set, drained and resumed")
    func pools() async throws {
        let daemon = try await TestDaemon(in: place)
        let made = try await place.run("pool", "set", "heavy", "--size", "3", "--queue", "7", "--policy", "build", "--json")
        #expect(made.code == 0)
        #expect(made.object["size"] as? Int == 3)
        #expect(made.object["policy"] as? String == "build")
        #expect(try await place.run("pool", "drain", "heavy", "--wait").out.contains("draining"))
        #expect(try await place.run("pool", "resume", "heavy", "--json").object["state"] as? String == "open")
        let names = (try await place.run("pool", "list", "--json").object["pools"] as? [[String: Any]])?.compactMap { $0["name"] as? String }
        #expect(names == ["default", "heavy"])
        for (arguments, message) in [
            (["drain", "nosuch"], "pool: found 'nosuch'"), (["set", "Bad Name", "--size", "1"], "pool: found 'Bad Name'"),
            (["set", "heavy", "--size", "0"], "--size: "), (["set", "heavy", "--size", "many"], "many"), (["set", "heavy"], "nothing to change"),
            (["set", "heavy", "--image", "nosuch"], "--image: "), (["lst"], "unknown verb 'lst'"),
        ] {
            let said = try await place.start(["pool"] + arguments).end()
            #expect(said.code == 2)
            #expect(said.error.contains(message), "\(said.error)")
        }
        #expect(await daemon.stop().code == 0)
    }

    @Test("with reuse, a rollout's calls find what those before them left; no other group and no job without one ever does")
    func reuse() async throws {
        // Fewer may wait than there are groups, so that they are ended and renewed all the time.
        try place.write("farm.yaml", "version: 1\nidle_sandboxes: 5\npools:\n  - {name: default, size: 3}\n")
        let daemon = try await TestDaemon("--config", "farm.yaml", in: place)
        #expect(try await place.run("pool", "set", "default", "--reuse", "groups").code == 2)
        let set = try await place.run("pool", "set", "default", "--reuse", "group", "--json").object
        #expect(set["reuse"] as? String == "group" && set["idle"] as? Int == 0)
        let client = try await Client.connect(path: place.socket)
        @Sendable func call(_ group: String?) async throws -> (use: SandboxUse?, found: Set<Substring>) {
            let script = "cat /workspace/mark /tmp/mark /dev/shm/mark; for d in /workspace /tmp /dev/shm; do echo \(group ?? "nobody") >> $d/mark; done"
            let answer = try await client.call(.jobRun(JobRequest(work: .command(["sh", "-c", script]), labels: Labels(group: group))))
            guard case .result(let result) = answer, result.outcome == .exited(code: 0) else { throw CancellationError() }
            return (result.sandbox, Set(String(decoding: result.stdout.head, as: UTF8.self).split(separator: "\n")))
        }
        let reused = try await withThrowingTaskGroup(of: Int.self) { tasks in
            for number in 0..<9 {
                // The last has no group.
                let group = number < 8 ? "g\(number)" : nil
                tasks.addTask {
                    var reused = 0
                    for _ in 0..<12 {
                        let (use, found) = try await call(group)
                        #expect(found == (use == .reused ? [Substring(group ?? "?")] : []) && use != nil, "\(group ?? "none"): \(found)")
                        if use == .reused { reused += 1 }
                    }
                    return reused
                }
            }
            return try await tasks.reduce(0, +)
        }
        #expect(reused > 0)
        let pool = try await eventually { try await client.pools()[0] } until: { $0.idle <= 5 && $0.running == 0 }
        #expect(pool.reuse == .group && pool.idle > 0)
        #expect(try await place.run("pool", "drain", "default", "--json").object["idle"] as? Int == 0)
        await client.close()
        #expect(await daemon.stop().code == 0)
    }

    @Test("jobs are listed, shown and cancelled")
    func jobs() async throws {
        let daemon = try await TestDaemon(in: place)
        let client = try await Client.connect(path: place.socket)
        let request = JobRequest(work: .command(["sleep", "100"]), labels: Labels(rollout: "r\u{9B}31m", group: "g1"), surviveDisconnect: true)
        guard case .submitted(let job) = try await client.call(.jobSubmit(request)) else { return #expect(Bool(false)) }
        let list = try await place.run("jobs", "list")
        #expect(list.out.contains(job.text))
        #expect(list.out.contains("g1"))
        // What a client called its rollout cannot paint an operator's screen.
        #expect(!list.out.contains("\u{9B}"))
        #expect(try await place.run("jobs", "list", "--state", "done", "--json").object["total"] as? Int == 0)
        #expect(try await place.run("jobs", "cancel", job.text).code == 0)
        guard case .result(let result) = try await client.call(.jobWait(job, timeoutMs: nil)) else { return #expect(Bool(false)) }
        #expect(result.outcome == .cancelled(by: .client))
        let shown = try await place.run("jobs", "show", job.text)
        #expect(shown.out.contains("cancelled"))
        #expect(((try await place.run("jobs", "show", job.text, "--json").object["result"]) as? [String: Any])?["outcome"] as? String == "cancelled")
        let unknown = try await place.run("jobs", "show", "j-nosuch")
        #expect(unknown.code == 2)
        #expect(unknown.error.contains("j-nosuch"))
        #expect(try await place.run("jobs", "list", "--state", "sleeping").code == 2)
        #expect(await daemon.stop().code == 0)
    }

    @Test("while it drains a daemon answers who is connected and who comes, takes no job, and ends when the last has its answer")
    func draining() async throws {
        let daemon = try await TestDaemon(in: place)
        let client = try await Client.connect(path: place.socket)
        let long = JobRequest(work: .command(["sleep", "600"]), limits: Limits(wallTimeMs: 100_000))
        guard case .submitted(let job) = try await client.call(.jobSubmit(long)) else { return #expect(Bool(false)) }
        async let answer = client.call(.jobWait(job, timeoutMs: nil))
        daemon.running.send(SIGTERM)
        #expect(await daemon.running.says("draining", onError: true))
        let late = try await Client.connect(path: place.socket)
        for one in [client, late] {
            await #expect { try await one.call(.jobRun(JobRequest(work: .command(["true"])))) } throws: { error in
                guard case .rejected(let rejected)? = error as? ClientError else { return false }
                return rejected.code == .draining && rejected.retryAfterMs != nil
            }
        }
        guard case .status(let status) = try await late.call(.jobGet(job)) else { return #expect(Bool(false)) }
        #expect(status.state != .done)
        guard case .state = try await late.call(.jobCancel(job)) else { return #expect(Bool(false)) }
        guard case .result(let result) = try await answer else { return #expect(Bool(false)) }
        #expect(result.outcome == .cancelled(by: .client))
        #expect(await daemon.running.end().code == 0)
        #expect(!FileManager.default.fileExists(atPath: place.socket))
    }

    @Test("a second signal ends the grace", arguments: [SIGTERM, SIGINT])
    func secondSignal(_ number: Int32) async throws {
        let daemon = try await TestDaemon(in: place)
        let client = try await Client.connect(path: place.socket)
        async let answer = client.call(.jobRun(JobRequest(work: .command(["sleep", "600"]), limits: Limits(wallTimeMs: 100_000))))
        _ = try await eventually { try await client.stats().running } until: { $0 == 1 }
        daemon.running.send(SIGTERM)
        #expect(await daemon.running.says("draining", onError: true))
        daemon.running.send(number)
        guard case .result(let result) = try await answer else { return #expect(Bool(false)) }
        #expect(result.outcome == .cancelled(by: .drain))
        #expect(await daemon.running.end().code == 0)
    }

    @Test("a job still running when the daemon drains gets its grace and is cancelled")
    func grace() async throws {
        try place.write("farm.yaml", "version: 1\ngrace: 200ms\n")
        let daemon = try await TestDaemon("--config", "farm.yaml", in: place)
        let client = try await Client.connect(path: place.socket)
        let marker = "4321.\(UInt32.random(in: .min ... .max))"
        async let answer = client.call(.jobRun(JobRequest(work: .command(["sleep", marker]))))
        while try await place.run("jobs", "list", "--state", "running", "--json").object["total"] as? Int == 0 {}
        #expect(await daemon.stop().code == 0)
        guard case .result(let result) = try await answer else { return #expect(Bool(false)) }
        #expect(result.outcome == .cancelled(by: .drain))
        #expect(!lives(marker))
    }
}

extension Client {
    func pools() async throws -> [PoolStatus] {
        guard case .pools(let pools) = try await call(.poolList) else { throw CancellationError() }
        return pools
    }

    func stats() async throws -> FarmStats {
        guard case .stats(let stats) = try await call(.farmStats) else { throw CancellationError() }
        return stats
    }
}
