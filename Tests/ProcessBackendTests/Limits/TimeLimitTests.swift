// CPU time is the first judge and wall time the guard.

import Foundation
import SandboxCore
import Testing

@Suite("Time limits", .serialized)
struct TimeLimitTests {
    private func limited(cpu: Int = 300, wall: Int = 20_000) -> (inout LaunchPlan) -> Void {
        { $0.limits.cpuTimeMs = cpu; $0.limits.wallTimeMs = wall }
    }

    private func expectCPU(_ report: StepReport, _ at: SourceLocation = #_sourceLocation) {
        #expect(report.exceeded?.limit == .cpuTime, "\(report.outcome)", sourceLocation: at)
        #expect(report.exceeded?.asked == 300, sourceLocation: at)
        // Two processors for the few milliseconds until it is seen; a busy machine may add some.
        #expect((301...1500).contains(report.exceeded?.used ?? 0), "\(report.outcome)", sourceLocation: at)
        #expect((300...1500).contains(report.usage.cpuTimeMs), "\(report.usage)", sourceLocation: at)
    }

    @Test("a busy loop is ended by its CPU time")
    func busyLoop() async throws {
        expectCPU(try await Harness.python("while True: pass", change: limited()))
    }

    @Test("the signal of that limit, below it, is the program's own doing", arguments: [
        "import os, signal\nos.kill(os.getpid(), signal.SIGXCPU)",
        "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 5))\nwhile True: pass",
    ])
    func ownSignal(program: String) async throws {
        let report = try await Harness.python(program, change: limited(cpu: 10_000))
        #expect(report.outcome == .signaled(signal: Int(SIGXCPU)))
        #expect(report.usage.cpuTimeMs < 5_000)
    }

    @Test("a busy loop after a long wait, in which nobody looked, is ended by its CPU time all the same")
    func busyLater() async throws {
        expectCPU(try await Harness.python("import time\ntime.sleep(3)\nwhile True: pass", change: limited()))
    }

    @Test("a busy loop in several processes is ended by the CPU time of all of them")
    func severalProcesses() async throws {
        expectCPU(try await Harness.python("import os\nfor _ in range(3): os.fork()\nwhile True: pass", change: limited()))
    }

    @Test("a busy loop in a grandchild whose parents are gone counts")
    func grandchild() async throws {
        expectCPU(try await Harness.sh("(python3 -c 'while True: pass' &) ; exec sleep 30", change: limited()))
    }

    @Test("CPU time of children that have ended counts")
    func endedChildren() async throws {
        expectCPU(try await Harness.python("""
            import os, time
            while True:
                if os.fork() == 0:
                    end = time.process_time() + 0.02
                    while time.process_time() < end: pass
                    os._exit(0)
                os.wait()
            """, change: limited()))
    }

    @Test("a program that ignores SIGXCPU and SIGTERM is ended all the same")
    func ignoringSignals() async throws {
        expectCPU(try await Harness.python("import signal\nfor s in (1,2,3,15,24): signal.signal(s, signal.SIG_IGN)\nwhile True: pass", change: limited()))
    }

    @Test("a program that sleeps is ended by its wall time and has used no CPU time")
    func sleeping() async throws {
        let report = try await Harness.sh("sleep 30", change: limited(wall: 200))
        #expect(report.exceeded?.limit == .wallTime)
        #expect(report.exceeded?.asked == 200)
        #expect((200...4000).contains(report.exceeded?.used ?? 0), "\(report.outcome)")
        #expect(report.usage.cpuTimeMs < 200)
    }

    @Test("time just under the limits is no one's verdict")
    func under() async throws {
        let report = try await Harness.python("import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass", change: limited(cpu: 2000))
        #expect(report.outcome == .exited(code: 0))
        #expect((200...600).contains(report.usage.cpuTimeMs), "\(report.usage)")
    }

    @Test("a correct program on a machine full of others is slow, not timed out, and says how long it waited")
    func overloaded() async throws {
        // Ten busy loops beside it (twenty where the tests without root run at the same time), each in a session of its own because the kernel shares a processor between
        // sessions first, and all ending with the one that made them.
        let crowd = try Program(["/usr/bin/python3", "-c", """
            import ctypes, os, signal, time
            for _ in range(10):
                if os.fork() == 0:
                    ctypes.CDLL(None).prctl(1, 9)
                    os.setsid()
                    os.write(1, b'x')
                    while True: pass
            time.sleep(40)
            """])
        defer { crowd.end() }
        while crowd.text.count < 10, crowd.readMore() {}
        let work = "import time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass\nprint('done')"
        for script in ["exec python3 -c \"$0\"", "python3 -c \"$0\" & wait"] {
            let report = try await Harness.run(["sh", "-c", script, work]) {
                $0.limits.cpuTimeMs = 5000
                $0.limits.wallTimeMs = 800
            }
            #expect(report.outcome == .exited(code: 0), "\(report.outcome) \(report.usage)")
            #expect(report.stdout.text == "done\n")
            #expect((report.usage.throttledMs ?? 0) > 300, "\(report.usage)")
            #expect(report.usage.wallTimeMs > 800, "the test means something only where it was slowed down: \(report.usage)")
        }
        // A program that waits for something else is not excused by the crowd.
        let asleep = try await Harness.sh("sleep 20", change: limited(cpu: 5000, wall: 500))
        #expect(asleep.exceeded?.limit == .wallTime)
        #expect(asleep.usage.wallTimeMs < 4000, "\(asleep.usage)")
    }
}
