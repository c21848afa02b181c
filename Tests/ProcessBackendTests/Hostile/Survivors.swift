// Outliving the job: daemons, signals ignored, output held open, zombies.

import SandboxCore
import Testing

@Suite("Hostile: survivors")
struct Survivors {
    @Test("a daemon that forked twice, with a session of its own and every signal ignored")
    func daemon() async throws {
        let result = try await Attack.python("""
            if os.fork() == 0:
                os.setsid()
                for s in range(1, 65):
                    try: signal.signal(s, signal.SIG_IGN)
                    except (OSError, ValueError): pass
                if os.fork() == 0:
                    while True:
                        open('/workspace/heartbeat', 'a').write('x')
                        time.sleep(0.001)
                os._exit(0)
            while not os.path.exists('/workspace/heartbeat'): time.sleep(0.001)
            print('started=ok', flush=True)
            """)
        #expect(result.report.outcome == .exited(code: 0))
        #expect(result["started"] == "ok")
        #expect(result.report.usage.wallTimeMs < 9_000)
    }

    @Test("a daemon of one step is gone in the next")
    func nextStep() async throws {
        try await Harness.with { sandbox in
            let script = "(setsid sh -c 'trap \"\" TERM HUP; while :; do echo x >> /workspace/beat; sleep 0.01; done' > /dev/null 2>&1 &); while [ ! -s beat ]; do sleep 0.01; done"
            let first = try await sandbox.run(Harness.plan(["sh", "-c", script]), onOutput: nil)
            #expect(first.outcome == .exited(code: 0))
            let second = try await sandbox.run(Harness.plan(["sh", "-c", "a=$(stat -c %s beat); sleep 0.2; b=$(stat -c %s beat); [ $a = $b ] && ls /proc | grep -c '^[0-9]'"]), onOutput: nil)
            #expect(second.outcome == .exited(code: 0), "\(second.stdout.text)\(second.stderr.text)")
        }
    }

    @Test("output held open by a grandchild does not keep the job alive, and what was written until then is there")
    func heldOutput() async throws {
        let result = try await Attack.run(["sh", "-c", "sleep 100 & echo written"])
        #expect(result.report.outcome == .exited(code: 0))
        #expect(result.report.stdout.text == "written\n")
        #expect(result.report.usage.wallTimeMs < 9_000)
    }

    @Test("a program that closes its streams and goes on runs to its end")
    func closedStreams() async throws {
        let result = try await Attack.python("""
            for fd in (0, 1, 2): os.close(fd)
            time.sleep(0.05)
            open('/workspace/late', 'w').write('x')
            os._exit(7)
            """) { $0.collect = [FileOut(pattern: "late")] }
        #expect(result.report.outcome == .exited(code: 7))
        #expect(result.report.files.count == 1)
    }

    @Test("a stopped process, a traced one's likes and a sleeper all end")
    func stopped() async throws {
        let result = try await Attack.python("""
            for _ in range(4):
                if os.fork() == 0: os.kill(os.getpid(), signal.SIGSTOP)
            os.kill(os.getpid(), signal.SIGSTOP)
            """) { $0.limits.wallTimeMs = 300 }
        #expect(result.report.exceeded?.limit == .wallTime)
    }

    @Test("zombies and a storm of orphans do not keep the init from its limits")
    func orphans() async throws {
        let result = try await Attack.python("""
            while True:
                try:
                    if os.fork() == 0:
                        if os.fork() == 0: os._exit(0)
                        os._exit(0)
                    os.waitpid(-1, 0)
                except OSError: pass
            """) { $0.limits.cpuTimeMs = 500; $0.limits.wallTimeMs = 3000; $0.limits.processes = 4000 }
        #expect([.cpuTime, .wallTime].contains(result.report.exceeded?.limit), "\(result.report.outcome)")
        #expect(result.report.usage.cpuTimeMs < 4000, "\(result.report.usage)")
    }

    @Test("a storm of signals at the init changes nothing")
    func signals() async throws {
        let result = try await Attack.python("""
            for _ in range(2000):
                for s in (signal.SIGCHLD, signal.SIGUSR1, signal.SIGTERM, signal.SIGRTMIN, signal.SIGRTMAX):
                    try: os.kill(1, s)
                    except OSError: pass
            print('sent=ok', flush=True)
            """)
        #expect(result["sent"] == "ok" && result.report.outcome == .exited(code: 0))
    }
}
