// Open files of each process, and what is said of a stack that ran over.

import SandboxCore
import Testing

@Suite("Open files and stack")
struct DescriptorLimitTests {
    @Test("a program that holds all the descriptors it may have is ended for that")
    func openFiles() async throws {
        let report = try await Harness.python("""
            import os, time
            held = []
            while True:
                try: held.append(os.open('/dev/null', 0))
                except OSError: time.sleep(0.01)
            """)
        #expect(report.exceeded?.limit == .openFiles, "\(report.outcome)")
        #expect(report.exceeded?.asked == 256)
        #expect((256...257).contains(report.exceeded?.used ?? 0), "\(report.outcome)")
    }

    @Test("the limit holds from the first moment")
    func atOnce() async throws {
        let report = try await Harness.python("""
            import os, resource
            print(resource.getrlimit(resource.RLIMIT_NOFILE))
            n = 3
            try:
                while True: n = os.open('/dev/null', 0) + 1
            except OSError as e: print(n, e.errno)
            """)
        #expect(report.stdout.text == "(256, 256)\n256 24\n")
    }

    @Test("a stack that ran over is the program's SIGSEGV: nothing the kernel keeps tells it from another", .enabled(if: Victim.hasCompiler, "gcc is not installed"))
    func stack() async throws {
        let victim = try Victim.c("int deeper(volatile int *p) { volatile int here[256]; here[0] = *p + 1; return deeper(here) + here[0]; } int main() { volatile int n = 0; return deeper(&n); }")
        let over = try await Harness.run(["./victim"]) { $0.files = [victim] }
        #expect(over.outcome == .signaled(signal: 11))
    }

    @Test("the stack is as large as was asked for", .enabled(if: Victim.hasCompiler, "gcc is not installed"))
    func stackSize() async throws {
        let victim = try Victim.c("int deep(int n) { volatile char here[1024]; here[0] = n; return n ? deep(n - 1) + here[0] : 0; } int main() { deep(20000); return 0; }")
        #expect(try await Harness.run(["./victim"]) { $0.files = [victim] }.outcome == .signaled(signal: 11))
        #expect(try await Harness.run(["./victim"]) { $0.files = [victim]; $0.limits.stackBytes = 64 << 20 }.outcome == .exited(code: 0))
    }
}
