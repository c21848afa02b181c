// A report goes out when a job's process begins to exit. What it says must be what it would have said at the end of that.

import SandboxCore
import Testing

@Suite("The end of a job's process", .timeLimit(.minutes(2)))
struct ExitTests {
    private func python(_ program: String, _ change: (inout LaunchPlan) -> Void = { _ in }) async throws -> StepReport {
        try await Harness.run(["python3", "-c", program], change: change)
    }

    @Test("its status is its own, whoever may look at it meanwhile", arguments: [
        "", "import ctypes; ctypes.CDLL(None).prctl(4, 0)", "import ctypes; ctypes.CDLL(None).prctl(15, b') R 1 (')",
    ])
    func status(_ before: String) async throws {
        for _ in 0..<20 {
            #expect(try await python("\(before)\nimport os; x = bytearray(4 << 20); os._exit(7)").outcome == .exited(code: 7))
        }
        #expect(try await python("\(before)\nimport os; os.kill(os.getpid(), 9)").outcome == .signaled(signal: 9))
        #expect(try await python("\(before)\nimport os; os._exit(0)").outcome == .exited(code: 0))
    }

    @Test("an init can ask how its next child ends before that has a job", .enabled(if: Harness.isRoot, "only root may look into an init"))
    func asked() async throws {
        let backend = try Harness.backend()
        try await Harness.with(Harness.spec { $0.template = nil }, on: backend) { sandbox in
            _ = try await sandbox.run(Harness.plan(["true"]), onOutput: nil)
            let initial = try #require(HostProcesses.children(of: backend.wardenPid).first)
            var files: [String] = []
            let deadline = ContinuousClock.now + .seconds(10)
            while !files.contains(where: { $0.hasSuffix("/stat") }), ContinuousClock.now < deadline {
                files = HostProcesses.files(of: initial)
            }
            #expect(files.contains { $0.hasSuffix("/stat") }, "\(files)")
        }
        await backend.shutdown()
    }

    @Test("where its first thread ends before another, the last one's status counts")
    func threads() async throws {
        let program = """
            import ctypes, os, threading, time
            threading.Thread(target=lambda: (time.sleep(0.05), os._exit(5))).start()
            ctypes.CDLL(None).syscall(60, 3)
            """
        #expect(try await python(program).outcome == .exited(code: 5))
    }

    @Test("children that outlive it are ended, and what they wrote is there")
    func children() async throws {
        let report = try await Harness.sh("(echo child; sleep 60) & sleep 0.1; echo parent; exit 4")
        #expect(report.outcome == .exited(code: 4))
        #expect(report.stdout.text == "child\nparent\n")
    }

    @Test("all the processor time it had is on its account, and not only that up to its processor's last tick")
    func cpu() async throws {
        // Asking for its own time has the kernel settle the account; so the same is done again without asking.
        let program = """
            import os, time
            def work():
                for _ in range(100_000): pass
            work()
            begin = time.thread_time()
            work()
            end = time.thread_time()
            os.write(1, b"%f %f" % (end * 1000, (end - begin) * 1000))
            work()
            os._exit(0)
            """
        var shares: [Double] = []
        for _ in 0..<15 {
            let report = try await python(program)
            let said = report.stdout.text.split(separator: " ").compactMap { Double($0) }
            try #require(said.count == 2)
            shares.append(((report.usage.cpuTimeMs ?? 0) - said[0]) / said[1])
        }
        // The work is not always equally fast.
        #expect(shares.count { $0 < 0.7 } <= 1, "of its last milliseconds, counted: \(shares)")
    }

    @Test("taking its memory apart is nobody's processor time, and nobody is there any more when the next step begins")
    func nextStep() async throws {
        try await Harness.with { sandbox in
            for _ in 0..<3 {
                let large = try await sandbox.run(Harness.plan(["python3", "-c", "x = bytearray(200 << 20)\nimport os; os._exit(0)"]), onOutput: nil)
                #expect(large.outcome == .exited(code: 0))
                let next = try await sandbox.run(Harness.plan(["sh", "-c", "echo /proc/[0-9]*"]), onOutput: nil)
                #expect(next.stdout.text.split(separator: " ").count == 2, "\(next.stdout.text)")
                #expect((next.usage.cpuTimeMs ?? .infinity) < (large.usage.cpuTimeMs ?? 0) / 2)
            }
        }
    }

    @Test("a file without a name that only it holds makes no full disk of one that is not")
    func unnamedFile() async throws {
        let program = """
            import os
            file = os.open("/workspace/x", os.O_RDWR | os.O_CREAT)
            os.unlink("/workspace/x")
            try:
                while True: os.write(file, bytes(1 << 16))
            except OSError as error: print(error.strerror, flush=True)
            os._exit(0)
            """
        var outcomes: [Outcome] = []
        // One that is looked at in just that moment is over its limit.
        while outcomes.count < 20, outcomes.last != .exited(code: 0) {
            outcomes.append(try await python(program) { $0.limits.diskBytes = 1 << 20 }.outcome)
        }
        #expect(outcomes.last == .exited(code: 0), "\(outcomes)")
    }
}
