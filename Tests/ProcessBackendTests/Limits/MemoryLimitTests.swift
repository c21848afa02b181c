// Memory is the whole sandbox's: all processes, and the files it keeps in memory. One that runs out ends all of it.

import SandboxCore
import Testing

@Suite("Memory limit", .enabled(if: Harness.hasCgroups, "this host has no cgroups for us"))
struct MemoryLimitTests {
    private func expectMemory(_ report: StepReport, _ megabytes: Int = 64, _ at: SourceLocation = #_sourceLocation) {
        #expect(report.exceeded?.limit == .memory, "\(report.outcome) \(report.stderr.text)", sourceLocation: at)
        #expect(report.exceeded?.asked == megabytes << 20, sourceLocation: at)
        #expect((report.exceeded?.used ?? 0) >= megabytes << 20, sourceLocation: at)
    }
    private let limited: (inout LaunchPlan) -> Void = { $0.limits.memoryBytes = 64 << 20 }

    @Test("one process that takes too much")
    func oneProcess() async throws {
        expectMemory(try await Harness.python("x = bytearray(b'x') * (512 << 20); print('survived')", change: limited))
    }

    @Test("one that takes it bit by bit and catches every exception")
    func patient() async throws {
        expectMemory(try await Harness.python("""
            x = []
            while True:
                try: x.append(bytearray(b'x') * (1 << 20))
                except BaseException: pass
            """, change: limited))
    }

    @Test("files in memory count: /dev/shm, /tmp and the workspace")
    func files() async throws {
        for place in ["/dev/shm", "/tmp", "/workspace"] {
            let report = try await Harness.run(["sh", "-c", "head -c 200m /dev/zero > \(place)/big; echo survived"]) {
                $0.limits.diskBytes = 512 << 20
                $0.limits.memoryBytes = 64 << 20
                $0.limits.fileSizeBytes = 1 << 30
            }
            expectMemory(report)
        }
    }

    @Test("many processes that each take little")
    func manyProcesses() async throws {
        expectMemory(try await Harness.python("""
            import os, time
            for _ in range(40):
                if os.fork() == 0:
                    x = bytearray(b'x') * (8 << 20)
                    time.sleep(100)
            time.sleep(100)
            """, change: limited))
    }

    @Test("when the kernel kills one process of the sandbox, all of it ends: no half of a program goes on")
    func wholeSandbox() async throws {
        let report = try await Harness.sh("python3 -c \"x = bytearray(b'x') * (512 << 20)\"; echo the shell lives; sleep 100", change: limited)
        expectMemory(report)
        #expect(report.usage.wallTimeMs < 8_000)
    }

    @Test("anonymous memory shared between processes counts")
    func sharedMemory() async throws {
        expectMemory(try await Harness.python("import mmap\nm = mmap.mmap(-1, 512 << 20)\nfor i in range(0, 512 << 20, 4096): m[i] = 1", change: limited))
        expectMemory(try await Harness.python("import os\nfd = os.memfd_create('m')\nwhile True: os.write(fd, bytes(1 << 20))") {
            $0.limits.memoryBytes = 64 << 20
            $0.limits.fileSizeBytes = 1 << 40
        })
    }

    @Test("a program within its limit runs, and its peak is its own")
    func within() async throws {
        let report = try await Harness.python("x = bytearray(b'x') * (40 << 20)", change: limited)
        #expect(report.outcome == .exited(code: 0))
        #expect((40 << 20...64 << 20).contains(report.usage.peakMemoryBytes ?? 0), "\(report.usage)")
    }

    @Test("what an earlier job left in a cgroup's page cache is not the next one's use")
    func residue() async throws {
        let backend = try Harness.backend()
        // Reads files of the host that nobody has in memory yet, or has charged elsewhere: some of both.
        let reader = try await Harness.sh("cat /usr/lib/x86_64-linux-gnu/*.so* /usr/lib/gcc/*/*/* > /dev/null 2>&1; true", on: backend)
        #expect(reader.outcome == .exited(code: 0))
        for _ in 0..<3 {
            let small = try await Harness.run(["/bin/true"], on: backend)
            #expect((1...12 << 20).contains(small.usage.peakMemoryBytes ?? 0), "\(small.usage)")
        }
        let large = try await Harness.python("x = bytearray(b'x') * (150 << 20)", on: backend)
        #expect((150 << 20...200 << 20).contains(large.usage.peakMemoryBytes ?? 0), "\(large.usage)")
        await backend.shutdown()
    }
}
