// Processes and threads alive at once.

import SandboxCore
import Testing

@Suite("Processes limit", .enabled(if: Harness.hasCgroups, "this host has no cgroups for us"))
struct ProcessLimitTests {
    private func expectProcesses(_ report: StepReport, _ at: SourceLocation = #_sourceLocation) {
        #expect(report.exceeded?.limit == .processes, "\(report.outcome) \(report.stderr.text)", sourceLocation: at)
        #expect(report.exceeded?.asked == 20, sourceLocation: at)
        #expect(report.exceeded?.used == 21, sourceLocation: at)
        #expect((18...20).contains(report.usage.peakProcesses ?? 0), "\(report.usage)", sourceLocation: at)
    }
    private let limited: (inout LaunchPlan) -> Void = { $0.limits.processes = 20 }

    @Test("more children than allowed")
    func children() async throws {
        expectProcesses(try await Harness.sh("i=0; while [ $i -lt 30 ]; do sleep 100 & i=$((i+1)); done; wait", change: limited))
    }

    @Test("more threads than allowed", .enabled(if: Victim.hasCompiler, "gcc is not installed"))
    func threads() async throws {
        let victim = try Victim.c("""
            #include <pthread.h>
            #include <unistd.h>
            static void *idle(void *a) { pause(); return a; }
            int main(void) { pthread_t t; for (int i = 0; i < 100; i++) pthread_create(&t, 0, idle, 0); pause(); }
            """)
        expectProcesses(try await Harness.run(["./victim"]) { limited(&$0); $0.files = [victim] })
    }

    // Long enough to be looked at: the cgroup may have had a job before with more.
    @Test("as many as allowed are no one's verdict, and counted")
    func within() async throws {
        let report = try await Harness.sh("i=0; while [ $i -lt 10 ]; do sleep 1 & i=$((i+1)); done; wait; echo done", change: limited)
        #expect(report.outcome == .exited(code: 0))
        #expect((10...12).contains(report.usage.peakProcesses ?? 0), "\(report.usage)")
    }
}
