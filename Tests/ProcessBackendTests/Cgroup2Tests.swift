// The cgroup v2 path, on a machine that mounts it: a small set, because most machines at hand can only emulate one
// (`make test-cgroup2`). Everywhere else these are skipped, and the other suites say what the hierarchy there does.

import Foundation
import LinuxSystem
@testable import ProcessBackend
import SandboxCore
import Testing

@Suite("Cgroup2: the unified hierarchy", .serialized, .enabled(if: (try? Harness.shared.get().cgroupVersion) == "v2", "this machine has no cgroup v2 to give"))
struct Cgroup2Tests {
    /// An emulated machine is ten times slower: limits in time are wide here.
    private func slow(_ plan: inout LaunchPlan) {
        plan.limits.cpuTimeMs = 60_000
        plan.limits.wallTimeMs = 120_000
    }

    @Test("all three controllers are there, and nothing is called unenforced but the way out")
    func controllers() throws {
        #expect(try Harness.shared.get().unenforced == [.outbound])
    }

    @Test("a step runs, its cgroup is the root it sees, and its use is measured")
    func runs() async throws {
        let report = try await Harness.sh("cat /proc/self/cgroup; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done", change: slow)
        #expect(report.outcome == .exited(code: 0), "\(report.stderr.text)")
        #expect(report.stdout.text == "0::/\n")
        #expect(report.usage.cpuTimeMs > 1 && (report.usage.peakMemoryBytes ?? 0) > 100_000, "\(report.usage)")
        #expect((1...2).contains(report.usage.peakProcesses ?? 0), "\(report.usage)")
    }

    @Test("memory: the kernel ends the whole sandbox, and the verdict says so")
    func memory() async throws {
        let report = try await Harness.sh("head -c 100m /dev/zero > /dev/shm/x; echo lives; sleep 100") {
            $0.limits.diskBytes = 256 << 20
            slow(&$0)
            $0.limits.memoryBytes = 32 << 20
            $0.limits.fileSizeBytes = 1 << 30
        }
        #expect(report.exceeded?.limit == .memory, "\(report.outcome)")
        #expect(report.exceeded?.asked == 32 << 20 && (report.exceeded?.used ?? 0) >= 32 << 20)
        #expect(!report.stdout.text.contains("lives"))
        #expect((report.usage.peakMemoryBytes ?? .max) <= 33 << 20)
    }

    @Test("processes: refused above the limit, and the verdict says so")
    func processes() async throws {
        let report = try await Harness.sh("i=0; while [ $i -lt 30 ]; do sleep 100 & i=$((i+1)); done; wait") {
            slow(&$0)
            $0.limits.processes = 10
        }
        #expect(report.exceeded?.limit == .processes, "\(report.outcome)")
        #expect(report.exceeded?.asked == 10 && report.usage.peakProcesses == 10, "\(report.usage)")
    }

    @Test("CPU time of all processes together")
    func cpu() async throws {
        let report = try await Harness.sh("while :; do :; done & while :; do :; done") {
            slow(&$0)
            $0.limits.cpuTimeMs = 1_000
        }
        #expect(report.exceeded?.limit == .cpuTime, "\(report.outcome)")
        #expect((1_001...6_000).contains(report.exceeded?.used ?? 0), "\(report.outcome)")
    }

    @Test("the second step of a sandbox has figures of its own")
    func secondStep() async throws {
        try await Harness.with { sandbox in
            let first = try await sandbox.run(Harness.plan(["sh", "-c", "head -c 30m /dev/zero > f; rm f"], slow), onOutput: nil)
            #expect((first.usage.peakMemoryBytes ?? 0) > 30 << 20, "\(first.usage)")
            let second = try await sandbox.run(Harness.plan(["true"], slow), onOutput: nil)
            // A kernel that cannot forget a peak must not give the first step's as the second's.
            #expect((second.usage.peakMemoryBytes ?? 0) < 30 << 20, "\(second.usage)")
        }
    }

    @Test("after jobs, a bomb among them, no cgroup and no process is left")
    func cleanup() async throws {
        let backend = try Harness.backend()
        for _ in 0..<3 { _ = try await Harness.sh("(setsid sleep 100 &); echo x > f", on: backend, change: slow) }
        let bomb = try await Harness.sh("b() { b | b & }; b; sleep 100", on: backend) { slow(&$0); $0.limits.processes = 20 }
        #expect(bomb.exceeded?.limit == .processes, "\(bomb.outcome)")
        #expect(HostProcesses.children(of: backend.wardenPid).isEmpty)
        let directory = try #require(backend.cgroupDirectories.first)
        await backend.shutdown()
        #expect(!FileManager.default.fileExists(atPath: directory))
    }

    @Test("a farm for one sandbox gives it its own cgroup, a second one another beside it, and leaves neither")
    func oneSandbox() async throws {
        let backend = try Harness.backend(isForOneSandbox: true)
        try await Harness.with(on: backend) { first in
            let bomb = try await first.run(Harness.plan(["sh", "-c", "b() { b | b & }; b; sleep 100"]) { slow(&$0); $0.limits.processes = 20 }, onOutput: nil)
            #expect(bomb.exceeded?.limit == .processes, "\(bomb.outcome)")
            let own = try #require(backend.cgroupDirectories.first)
            #expect(try Files.readFile("\(own)/pids.max") == "20\n" && Files.readFile("\(own)/cgroup.subtree_control").split(separator: "\n").isEmpty)
            let second = try await Harness.sh("cat /proc/self/cgroup", on: backend, change: slow)
            #expect(second.stdout.text == "0::/\n" && backend.cgroupDirectories.count == 2, "\(second.outcome) \(backend.cgroupDirectories)")
        }
        let directories = backend.cgroupDirectories
        await backend.shutdown()
        #expect(directories.allSatisfy { !FileManager.default.fileExists(atPath: $0) })
    }
}
