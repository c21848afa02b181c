// A sandbox that serves several jobs of one group: files stay, processes do not, limits are each job's own, and when it
// ends, nobody finds anything of it.

import Foundation
import SandboxCore
import Testing

@Suite("One job after the other in a sandbox")
struct ReuseTests {
    private func run(_ script: String, in sandbox: any Sandbox, _ change: (inout LaunchPlan) -> Void = { _ in }) async throws -> StepReport {
        try await sandbox.run(Harness.plan(["sh", "-c", script], change), onOutput: nil)
    }

    @Test("files stay in /workspace, /tmp and /dev/shm, with their contents, owners and modes; processes and their sockets do not")
    func whatStays() async throws {
        try await Harness.with { sandbox in
            let left = try await run("""
                mkdir -p a/b && echo one > a/b/f && chmod 750 a && echo two > /tmp/t && echo three > /dev/shm/s && ln -s a/b/f link
                python3 -c "import socket, os, time; s = socket.socket(); s.bind(('127.0.0.1', 7654)); s.listen(); u = socket.socket(socket.AF_UNIX); u.bind(chr(0) + 'left'); u.listen(); os.fork() or (os.setsid(), time.sleep(99))" &
                while ! grep -q left /proc/net/unix; do sleep 0.02; done
                (setsid sleep 98 >/dev/null 2>&1 &)
                """, in: sandbox)
            #expect(left.outcome == .exited(code: 0), "\(left.stderr.text)")
            let found = try await run("""
                cat link /tmp/t /dev/shm/s; stat -c '%a %U' a
                set -- /proc/[0-9]*; echo $#; pgrep -x sleep; pgrep python3; grep left /proc/net/unix
                python3 -c "import socket; print(socket.socket().connect_ex(('127.0.0.1', 7654)))"
                """, in: sandbox)
            // The init and the shell are all there is; 111 is ECONNREFUSED.
            #expect(found.stdout.text == "one\ntwo\nthree\n750 sandbox\n2\n111\n", "\(found.stdout.text) \(found.stderr.text)")
        }
    }

    @Test("limits and measurements are each job's own; what earlier jobs left counts for the disk, and is told")
    func limits() async throws {
        try await Harness.with { sandbox in
            let first = try await run("head -c 24m /dev/zero > f; python3 -c 'x = bytearray(64 << 20)'", in: sandbox)
            #expect(first.outcome == .exited(code: 0) && (first.usage.diskBytes ?? 0) >= 24 << 20, "\(first.outcome)")
            let second = try await run("true", in: sandbox) { $0.limits.processes = 8 }
            #expect(second.outcome == .exited(code: 0) && (second.usage.diskBytes ?? 0) >= 24 << 20)
            if Harness.hasCgroups { #expect((second.usage.peakMemoryBytes ?? 0) < 24 << 20, "\(second.usage)") }
            let full = try await run("true", in: sandbox) { $0.limits.diskBytes = 16 << 20 }
            #expect(full.exceeded?.limit == .disk && full.exceeded?.asked == 16 << 20 && (full.exceeded?.used ?? 0) >= 24 << 20)
            let killed = try await run("sleep 9", in: sandbox) { $0.limits.wallTimeMs = 50 }
            #expect(killed.exceeded?.limit == .wallTime)
            let freed = try await run("rm f; echo $(ls | wc -l)", in: sandbox) { $0.limits.diskBytes = 32 << 20 }
            #expect(freed.outcome == .exited(code: 0) && freed.stdout.text == "0\n")
        }
    }

    @Test("files that earlier jobs left are more than a job's memory: that is its limit, and the next job runs",
        .enabled(if: Harness.hasCgroups, "memory is not counted here"))
    func memory() async throws {
        try await Harness.with { sandbox in
            _ = try await run("head -c 48m /dev/zero > f", in: sandbox)
            let small = try await run("echo ran", in: sandbox) { $0.limits.memoryBytes = 32 << 20 }
            #expect(small.exceeded?.limit == .memory && small.exceeded?.asked == 32 << 20 && (small.exceeded?.used ?? 0) >= 48 << 20, "\(small.outcome)")
            #expect(small.stdout.text.isEmpty)
            #expect(try await run("stat -c %s f", in: sandbox).stdout.text == "\(48 << 20)\n")
        }
    }

    @Test("hostile leftovers reach no later job's streams, and a later owner of the cell finds none of them")
    func hostile() async throws {
        let backend = try Harness.backend(mostSpare: 1)
        for round in 0..<4 {
            let sandbox = try await backend.makeSandbox(Harness.spec())
            // Anything of the round before would be here.
            let clean = try await run("ls -A /workspace /tmp /dev/shm; cat /proc/sysvipc/shm | tail -n +2; grep -c . /proc/net/unix", in: sandbox)
            #expect(clean.stdout.text == "/dev/shm:\n\n/tmp:\n\n/workspace:\n1\n", "round \(round): \(clean.stdout.text)")
            _ = try await run("""
                mkfifo pipe; echo 'exec >/dev/null' > .profile; cp .profile .bashrc; echo 'secret' > /tmp/s
                python3 -c "import ctypes; ctypes.CDLL(None).shmget(0x5eed, 4096, 0o1666)"
                chmod 000 /workspace; (while :; do :; done) & (trap '' TERM HUP INT; sleep 97) &
                """, in: sandbox)
            let after = try await run("echo heard; id -u", in: sandbox) { $0.workingDirectory = "/tmp" }
            #expect(after.stdout.text == "heard\n1000\n" && after.usage.cpuTimeMs < 2_000, "\(after.outcome) \(after.stderr.text)")
            await sandbox.destroy()
        }
        await backend.shutdown()
    }
}
