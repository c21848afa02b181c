// Nothing survives: not a job, not a sandbox, not a farm that was killed.

import Foundation
import LinuxSystem
@testable import ProcessBackend
import SandboxCore
import Testing

@Suite("Nothing survives")
struct CleanupTests {
    @Test("500 jobs leave no process, no descriptor, no mount and no cgroup")
    func fiveHundred() throws {
        let child = try ChildProcess(role: "count", filter: "CountedJobs")
        #expect(child.wait() == 0 && child.text.contains("1 test"), "\(child.text)")
    }

    @Test("a farm killed with SIGKILL takes its sandboxes along at once; the next one sweeps what is left")
    func killedFarm() async throws {
        let marker = "31\(getpid()).25"
        let child = try ChildProcess(role: marker, filter: "FarmToKill")
        _ = try #require(child.line("ready"), "\(child.text)")
        // Both sleeps of a job are on their way when it says "up", and there when the kernel has executed them.
        var jobs: [Int32] = []
        let deadline = ContinuousClock.now + .seconds(20)
        while jobs.count < 6, ContinuousClock.now < deadline { jobs = HostProcesses.running("sleep\0\(marker)") }
        #expect(jobs.count == 6)
        let inits = HostProcesses.children(of: try #require(HostProcesses.children(of: child.pid).first))
        #expect(inits.count == 3)
        let watched = HostProcesses.watch(jobs + inits)
        child.kill()
        try? FileManager.default.removeItem(atPath: NSTemporaryDirectory() + "paddock-tests-\(child.pid)")
        #expect(try HostProcesses.allEnd(watched, within: 5))
        #expect(HostProcesses.running("sleep\0\(marker)").isEmpty)

        func left() -> [String] {
            CgroupHierarchy.find().own.all.flatMap { own -> [String] in
                let parent = (own as NSString).deletingLastPathComponent
                defer { CgroupHierarchy.remove(own) }
                return ((try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? []).filter { $0.contains("-\(child.pid)-") }
            }
        }
        // `find` is what a farm does when it starts.
        #expect(left().isEmpty)
        #expect(try Files.readFile("/proc/mounts").contains("paddock-tests-\(child.pid)") == false)
    }

    @Test("cgroups of a farm in another pid namespace are swept when nobody claims them, they are empty and not new", .enabled(if: Harness.isRoot && Harness.hasCgroups, "this takes root and cgroups"))
    func otherNamespace() async throws {
        let parents = CgroupHierarchy.find().own.all.map { own -> String in
            defer { CgroupHierarchy.remove(own) }
            return (own as NSString).deletingLastPathComponent
        }
        try #require(!parents.isEmpty)
        func make(_ number: Int, old: Bool) throws -> [String] {
            try parents.map { parent in
                let path = "\(parent)/paddock-1-\(getpid())-1-\(number)"
                try FileManager.default.createDirectory(atPath: "\(path)/s1", withIntermediateDirectories: true)
                if old { try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSinceNow: -60)], ofItemAtPath: path) }
                return path
            }
        }
        let (abandoned, claimed, new, inUse) = (try make(1, old: true), try make(2, old: true), try make(3, old: false), try make(4, old: true))
        let claims = claimed.compactMap { CgroupClaim.make($0) }
        // A process stays: what is not empty is somebody's, whoever says so.
        let sleeper = try Program(["/bin/sleep", "600"])
        for path in inUse { try Files.writeFile("\(path)/s1/cgroup.procs", "\(sleeper.pid)") }
        defer { for path in abandoned + claimed + new + inUse { CgroupHierarchy.remove(path) } }
        for own in CgroupHierarchy.find().own.all { CgroupHierarchy.remove(own) }
        func there(_ paths: [String]) -> [Bool] { paths.map { FileManager.default.fileExists(atPath: $0) } }
        let (all, none) = (parents.map { _ in true }, parents.map { _ in false })
        // Another test's farm that starts in this moment may be the one that removes them, and not be done.
        let deadline = ContinuousClock.now + .seconds(20)
        while there(abandoned) != none, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(20)) }
        #expect(there(abandoned) == none && there(claimed) == all && there(new) == all && there(inUse) == all)
        #expect(kill(sleeper.pid, 0) == 0)
        sleeper.end()
        withExtendedLifetime(claims) {}
    }

    @Test("a warden that is killed costs the jobs it had, as the farm's failure, and no later one")
    func killedWarden() async throws {
        let backend = try Harness.backend()
        #expect(try await Harness.sh("echo one", on: backend).stdout.text == "one\n")
        let sandbox = try await backend.makeSandbox(Harness.spec())
        let running = Task { try await sandbox.run(Harness.plan(["sh", "-c", "echo up; sleep 60"]) { $0.stream = true }) { _, _ in kill(backend.wardenPid, SIGKILL) } }
        await #expect(throws: FarmError.self) { _ = try await running.value }
        await sandbox.destroy()
        #expect(try await Harness.sh("echo two", on: backend).stdout.text == "two\n")
        #expect(backend.figures()?.wardenRestarts == 1 && backend.figures()?.failure == nil)
        await backend.shutdown()
        await #expect(throws: FarmError.self) { _ = try await backend.makeSandbox(Harness.spec()) }
    }

    @Test("shutting down ends what runs, before it returns")
    func shutdown() async throws {
        let backend = try Harness.backend()
        let marker = "32\(getpid()).5"
        let sandbox = try await backend.makeSandbox(Harness.spec())
        let running = Task { try await sandbox.run(Harness.plan(["sh", "-c", "sleep \(marker) & echo up; wait"]) { $0.stream = true }) { _, _ in Task { await backend.shutdown() } } }
        await #expect(throws: FarmError.self) { _ = try await running.value }
        await backend.shutdown()
        await sandbox.destroy()
        #expect(HostProcesses.running("sleep\0\(marker)").isEmpty)
    }

    @Test("a sandbox that is destroyed while it runs a step fails that step and is gone")
    func destroyed() async throws {
        let marker = "33\(getpid()).5"
        let sandbox = try await Harness.shared.get().makeSandbox(Harness.spec())
        let running = Task { try await sandbox.run(Harness.plan(["sh", "-c", "sleep \(marker) & echo up; wait"]) { $0.stream = true }) { _, _ in Task { await sandbox.destroy() } } }
        await #expect(throws: FarmError.self) { _ = try await running.value }
        await sandbox.destroy()
        #expect(HostProcesses.running("sleep\0\(marker)").isEmpty)
        await #expect(throws: FarmError.self) { _ = try await sandbox.run(Harness.plan(["true"]), onOutput: nil) }
    }

    /// More where a test machine has the time: `PADDOCK_TEST_MANY=1000`.
    private static let many = ProcessInfo.processInfo.environment["PADDOCK_TEST_MANY"].flatMap { Int($0) } ?? 300

    @Test("a farm that runs out of descriptors says so, as something that passes, and goes on when it has some again")
    func fewDescriptors() throws {
        let child = try ChildProcess(role: "few", filter: "FewDescriptors")
        #expect(child.wait() == 0 && child.text.contains("1 test"), "\(child.text)")
    }

    @Test("hundreds of sandboxes at once are made, used and gone")
    func manyAtOnce() async throws {
        let backend = try Harness.backend()
        try await withThrowingTaskGroup(of: (any Sandbox).self) { group in
            for _ in 0..<Self.many { group.addTask { try await backend.makeSandbox(Harness.spec()) } }
            var sandboxes: [any Sandbox] = []
            for try await sandbox in group { sandboxes.append(sandbox) }
            #expect(sandboxes.count == Self.many)
            await withTaskGroup(of: Outcome?.self) { runs in
                for sandbox in sandboxes {
                    runs.addTask {
                        let outcome = try? await sandbox.run(Harness.plan(["true"]), onOutput: nil).outcome
                        await sandbox.destroy()
                        return outcome
                    }
                }
                for await outcome in runs { #expect(outcome == .exited(code: 0)) }
            }
        }
        #expect(HostProcesses.children(of: backend.wardenPid).isEmpty)
        await backend.shutdown()
    }
}

/// In a process of its own, where nothing else opens and closes descriptors.
@Suite("CountedJobs", .enabled(if: ChildProcess.role == "count", "another test starts it, as a process of its own"))
struct CountedJobs {
    @Test("are as if they had never been")
    func count() async throws {
        let mounts = try Files.readFile("/proc/mounts")
        let backend = try Harness.backend()
        func batch(_ count: Int) async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for i in 0..<count {
                    if i >= 16 { _ = try await group.next() }
                    group.addTask {
                        let report = try await Harness.sh("echo x > f; (setsid sleep 50 &); mkdir -p /tmp/d; echo done", on: backend)
                        guard report.stdout.text == "done\n" else { throw FarmError(.internal, "\(report.outcome)") }
                    }
                }
                try await group.waitForAll()
            }
        }
        try await batch(32)
        // Cgroups are kept for the next job, with their files open; a first batch makes as many as will be in use.
        let warden = backend.wardenPid
        func held() -> (networks: Int, others: Int) {
            let files = HostProcesses.files(of: warden)
            let networks = files.count { $0.hasPrefix("net:") }
            return (networks, files.count - networks)
        }
        let before = (HostProcesses.descriptors(), held(), cgroups(backend))
        try await batch(500)
        let after = (HostProcesses.descriptors(), held(), cgroups(backend))
        #expect(after.0 <= before.0 + 3, "descriptors of the daemon: \(before.0) before, \(after.0) after")
        // The host's network, the one made ahead, and those that went round among sixteen sandboxes, however many of them the first batch met at once.
        #expect(after.1.others == before.1.others && after.1.networks <= 18, "descriptors of the warden: \(before.1) before, \(after.1) after")
        #expect(after.2.count <= 17 * max(1, before.2.count / 17 + 1), "\(after.2)")
        #expect(HostProcesses.children(of: warden).isEmpty)
        #expect(try Files.readFile("/proc/mounts") == mounts)
        await backend.shutdown()
        #expect(HostProcesses.children(of: getpid()).isEmpty)
        #expect(cgroups(backend).isEmpty)
        #expect(backend.cgroupDirectories.allSatisfy { !FileManager.default.fileExists(atPath: $0) })
    }

    private func cgroups(_ backend: ProcessBackend) -> [String] {
        backend.cgroupDirectories.flatMap { (try? FileManager.default.contentsOfDirectory(atPath: $0).filter { $0.hasPrefix("s") && Int($0.dropFirst()) != nil }) ?? [] }
    }
}

/// In a process of its own, that may open only a few files.
@Suite("FewDescriptors", .enabled(if: ChildProcess.role == "few", "another test starts it, as a process of its own"))
struct FewDescriptors {
    @Test("are an error that passes")
    func few() async throws {
        var limit = rlimit(rlim_cur: 120, rlim_max: 120)
        try #require(setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
        let backend = try Harness.backend()
        for _ in 0..<2 {
            var made: [any Sandbox] = []
            var failure: FarmError?
            while failure == nil, made.count < 200 {
                do throws(FarmError) { made.append(try await backend.makeSandbox(Harness.spec())) } catch { failure = error }
            }
            #expect(made.count >= 3 && made.count < 120)
            #expect(failure?.retryable == true, "\(String(describing: failure))")
            for sandbox in made { await sandbox.destroy() }
            // Each has its socket's descriptor until nobody knows it any more.
            made.removeAll()
            #expect(try await Harness.sh("echo again", on: backend).stdout.text == "again\n")
        }
        await backend.shutdown()
    }
}

/// Is killed by another test while its jobs run.
@Suite("FarmToKill", .enabled(if: ChildProcess.role?.hasPrefix("31") == true, "another test starts it, as a process of its own"))
struct FarmToKill {
    @Test("runs until it is killed")
    func run() async throws {
        let marker = try #require(ChildProcess.role)
        let backend = try Harness.backend()
        try await withThrowingTaskGroup(of: Void.self) { group in
            let (started, continuation) = AsyncStream<Void>.makeStream()
            for _ in 0..<3 {
                group.addTask {
                    let sandbox = try await backend.makeSandbox(Harness.spec())
                    _ = try await sandbox.run(Harness.plan(["sh", "-c", "(trap '' TERM HUP; setsid sleep \(marker) &); echo up; exec sleep \(marker)"]) {
                        $0.stream = true
                        $0.limits.wallTimeMs = 60_000
                    }) { _, _ in continuation.yield() }
                }
            }
            var count = 0
            for await _ in started {
                count += 1
                if count == 3 { break }
            }
            // "up" comes before the exec of the second sleep.
            while HostProcesses.running("sleep\0\(marker)").count < 6 { await Task.yield() }
            print("\nready")
            fflush(nil)
            try await group.waitForAll()
        }
    }
}
