// The same backend without root: one id, no cgroups. What is missing is said, and the init is as safe as ever. Run as
// root, the suites are started again as a user without any right; run as a user, they are simply themselves.

import Foundation
import LinuxSystem
import SandboxCore
import Testing

@Suite("Without root", .serialized)
struct UnprivilegedTests {
    /// Nobody's, and not `nobody`'s, who may own something.
    static let user = 65_533

    @Test("all that needs no root holds for a user without any right", .enabled(if: Harness.isRoot && FileManager.default.isExecutableFile(atPath: "/usr/bin/setpriv"), "this takes root and setpriv"))
    func asUser() async throws {
        let directory = (Harness.warden as NSString).deletingLastPathComponent
        guard try isReachable(directory) else { return print("\(directory) cannot be read by other users: skipped") }
        let child = try ChildProcess(role: "user", filter: "^ProcessBackendTests[.].*(StepTests|NamespaceEscapes|ResourceBombs|Survivors|FileTricks|InitAttacks|KernelInterfaces|SystemFiles|NetworkAttacks|NamespaceTests|UnprivilegedTests|DiskLimitTests|OutputLimitTests|DescriptorLimitTests|TimeLimitTests|PolicyTests)", user: Self.user)
        #expect(child.wait() == 0, "\(child.text.split(separator: "\n").filter { $0.contains("recorded") || $0.contains("↳") || $0.contains("Test run") }.joined(separator: "\n"))")
        #expect(child.text.contains("Test run with"))
    }

    private func isReachable(_ path: String) throws -> Bool {
        let user = "\(Self.user)"
        return try Program(["/usr/bin/setpriv", "--reuid", user, "--regid", user, "--clear-groups", "test", "-x", path + "/paddock-warden"]).wait() == 0
    }

    @Test("what the host could not enforce is named", .enabled(if: !Harness.isRoot, "for a user without root; another test starts it as one"))
    func unenforced() throws {
        let missing = try Harness.shared.get().unenforced
        for mechanism in [Mechanism.idRange, .cgroupMemory, .cgroupPids, .cgroupCPU] where !Harness.hasCgroups || mechanism == .idRange {
            #expect(missing.contains(mechanism))
        }
    }

    @Test("without cgroups limits are held by looking: memory, processes, CPU time of all together")
    func polling() async throws {
        let backend = try Harness.backend(cgroups: false)
        #expect(Set([.cgroupMemory, .cgroupPids, .cgroupCPU]).isSubset(of: Set(backend.unenforced)))
        let memory = try await Harness.python("import time\nx = bytearray(b'x') * (200 << 20)\ntime.sleep(5)", on: backend) { $0.limits.memoryBytes = 64 << 20 }
        #expect(memory.exceeded?.limit == .memory, "\(memory.outcome)")
        #expect((memory.exceeded?.used ?? 0) > 64 << 20)
        let files = try await Harness.sh("head -c 40m /dev/zero > /dev/shm/x; sleep 5", on: backend) { $0.limits.memoryBytes = 32 << 20 }
        #expect(files.exceeded?.limit == .memory, "\(files.outcome)")
        let processes = try await Harness.python("""
            import os, time
            while True:
                try:
                    if os.fork() == 0: time.sleep(5); os._exit(0)
                except OSError: time.sleep(0.01)
            """, on: backend) { $0.limits.processes = 16 }
        #expect(processes.exceeded?.limit == .processes, "\(processes.outcome)")
        #expect((processes.exceeded?.used ?? .max) <= 16)
        let time = try await Harness.python("import os\nos.fork(); os.fork()\nwhile True: pass", on: backend) { $0.limits.cpuTimeMs = 400 }
        #expect(time.exceeded?.limit == .cpuTime, "\(time.outcome)")
        #expect((401...2500).contains(time.exceeded?.used ?? 0), "\(time.outcome)")
        let fine = try await Harness.python("x = bytearray(b'x') * (30 << 20); print('fine')", on: backend)
        #expect(fine.stdout.text == "fine\n" && fine.outcome == .exited(code: 0))
        #expect((30 << 20...80 << 20).contains(fine.usage.peakMemoryBytes ?? 0), "\(fine.usage)")
        await backend.shutdown()
    }

    @Test("a fork bomb is bounded without cgroups")
    func forkBomb() async throws {
        let backend = try Harness.backend(cgroups: false)
        let report = try await Harness.sh("b() { b | b & }; b; while :; do :; done", on: backend) {
            $0.limits.processes = 40
            $0.limits.cpuTimeMs = 3000
        }
        // Seen at its limit, or it dies of it and only the shell is left, which needs no other process.
        #expect([.processes, .cpuTime, .wallTime].contains(report.exceeded?.limit), "\(report.outcome)")
        #expect((report.usage.peakProcesses ?? .max) <= 40)
        await backend.shutdown()
    }
}
