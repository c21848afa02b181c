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

    @Test("a stack that ran over is told from other wild accesses", .enabled(if: Victim.hasCompiler, "gcc is not installed"))
    func stack() async throws {
        let deeper = "int deeper(volatile int *p) { volatile int here[256]; here[0] = *p + 1; return deeper(here) + here[0]; } int main() { volatile int n = 0; return deeper(&n); }"
        for bytes in [1 << 20, 8 << 20, 64 << 20] {
            let over = try await Harness.run(["./victim"]) { [victim = try Victim.c(deeper)] in $0.files = [victim]; $0.limits.stackBytes = bytes }
            #expect(over.exceeded?.limit == .stack && over.exceeded?.asked == bytes, "\(over.outcome)")
            #expect((bytes...bytes + (2 << 20)).contains(over.exceeded?.used ?? 0), "\(over.outcome)")
        }
        let others = [
            "int main() { return *(volatile int *)0; }", "int main() { return *(volatile int *)0x7ffc00000000; }",
            "int main() { volatile char here[1 << 20]; return here[-(20 << 20)]; }",
            "#include <signal.h>\nint main() { raise(SIGSEGV); }",
            "#include <pthread.h>\nvoid *f(void *p) { volatile int here[256]; here[0] = 1; return f((void *)here) + here[0]; } int main() { pthread_t t; pthread_create(&t, 0, f, 0); pthread_join(t, 0); }",
        ]
        for source in others {
            let report = try await Harness.run(["./victim"]) { [victim = try Victim.c(source)] in $0.files = [victim] }
            #expect(report.outcome == .signaled(signal: 11), "\(source): \(report.outcome)")
        }
    }

    @Test("a program that handles its signals does not notice that it is watched", .enabled(if: Victim.hasCompiler, "gcc is not installed"))
    func handled() async throws {
        let victim = try Victim.c("""
            #include <setjmp.h>
            #include <signal.h>
            #include <stdio.h>
            #include <sys/wait.h>
            #include <unistd.h>
            static sigjmp_buf back; static volatile int children;
            static void wild(int n) { siglongjmp(back, n); }
            static void child(int n) { children++; }
            int main() {
                signal(SIGSEGV, wild); signal(SIGCHLD, child); signal(SIGTERM, SIG_IGN); signal(SIGUSR1, child);
                for (volatile int i = 0; i < 20; i++) if (!sigsetjmp(back, 1)) *(volatile int *)0 = 1;
                for (int i = 0; i < 20; i++) { if (!fork()) _exit(0); while (wait(0) > 0) {} }
                kill(getpid(), SIGTERM); kill(getpid(), SIGUSR1);
                if (!fork()) { usleep(100000); kill(getppid(), SIGCONT); _exit(0); }
                raise(SIGSTOP);
                while (wait(0) > 0) {}
                printf("%d\\n", children >= 2 && children <= 22);
            }
            """)
        let report = try await Harness.run(["./victim"]) { $0.files = [victim] }
        #expect(report.outcome == .exited(code: 0) && report.stdout.text == "1\n", "\(report.outcome) \(report.stdout.text)")
    }

    @Test("the stack is as large as was asked for", .enabled(if: Victim.hasCompiler, "gcc is not installed"))
    func stackSize() async throws {
        let victim = try Victim.c("int deep(int n) { volatile char here[1024]; here[0] = n; return n ? deep(n - 1) + here[0] : 0; } int main() { deep(20000); return 0; }")
        #expect(try await Harness.run(["./victim"]) { $0.files = [victim] }.exceeded?.limit == .stack)
        #expect(try await Harness.run(["./victim"]) { $0.files = [victim]; $0.limits.stackBytes = 64 << 20 }.outcome == .exited(code: 0))
    }
}
