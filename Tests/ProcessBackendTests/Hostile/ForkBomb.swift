// Processes that make processes.

import SandboxCore
import Testing

@Suite("Hostile: fork bomb", .enabled(if: Harness.hasCgroups, "this host has no cgroups to give"))
struct ForkBomb {
    private func expectBounded(_ result: AttackResult, _ at: SourceLocation = #_sourceLocation) {
        #expect(result.report.exceeded?.limit == .processes, "\(result.report.outcome)", sourceLocation: at)
        #expect((result.report.usage.peakProcesses ?? .max) <= 64, sourceLocation: at)
    }

    @Test("in a shell")
    func shell() async throws { expectBounded(try await Attack.run(["sh", "-c", "b() { b | b & }; b; sleep 100"])) }

    @Test("in Python, each child ignoring what it can")
    func python() async throws {
        expectBounded(try await Attack.python("""
            for s in range(1, 32):
                try: signal.signal(s, signal.SIG_IGN)
                except OSError: pass
            while True:
                try:
                    if os.fork() == 0: os.setsid()
                except OSError: pass
            """))
    }

    @Test("in C, with threads that fork", .enabled(if: Victim.hasCompiler, "gcc is not installed"))
    func threads() async throws {
        let victim = try Victim.c("""
            #include <pthread.h>
            #include <unistd.h>
            static void *bomb(void *a) { for (;;) { pthread_t t; pthread_create(&t, 0, bomb, 0); fork(); } return a; }
            int main(void) { bomb(0); }
            """)
        expectBounded(try await Attack.run(["./victim"]) { $0.files = [victim] })
    }

    @Test("vfork and clone without memory of their own", .enabled(if: Victim.hasCompiler, "gcc is not installed"))
    func clones() async throws {
        let victim = try Victim.c("""
            #define _GNU_SOURCE
            #include <sched.h>
            #include <sys/mman.h>
            enum { size = 65536 };
            // Not malloc: it takes these for one thread, and would break before the bound is met.
            static int bomb(void *a) {
                for (;;) {
                    char *stack = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                    if (stack != MAP_FAILED && clone(bomb, stack + size, CLONE_VM | CLONE_FILES | CLONE_FS, 0) < 0) munmap(stack, size);
                }
                return 0;
            }
            int main(void) { bomb(0); }
            """)
        expectBounded(try await Attack.run(["./victim"]) { $0.files = [victim] })
    }
}
