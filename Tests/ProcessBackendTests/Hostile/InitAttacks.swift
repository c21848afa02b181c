// Killing, stopping, tracing or starving PID 1.

import SandboxCore
import Testing

@Suite("Hostile: PID 1")
struct InitAttacks {
    static let script = """
        for s in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGSEGV): attempt('kill' + str(int(s)), os.kill, 1, s)
        attempt('all', os.kill, -1, 0)
        attempt('ptrace attach', call, 'ptrace', 16, 1, 0, 0)
        attempt('ptrace seize', call, 'ptrace', 0x4206, 1, 0, 0)
        buffer = ctypes.create_string_buffer(64)
        iov = (ctypes.c_long * 2)(ctypes.addressof(buffer), 64)
        attempt('read memory', call, 'process_vm_readv', 1, ctypes.byref(iov), 1, ctypes.byref(iov), 1, 0)
        attempt('write memory', call, 'process_vm_writev', 1, ctypes.byref(iov), 1, ctypes.byref(iov), 1, 0)
        attempt('kcmp', call, 'kcmp', os.getpid(), 1, 0, 0, 0)
        limit = (ctypes.c_long * 2)(0, 0)
        attempt('prlimit', call, 'prlimit64', 1, 7, ctypes.byref(limit), 0)
        attempt('prlimit cpu', call, 'prlimit64', 1, 0, ctypes.byref(limit), 0)
        attempt('affinity', os.sched_setaffinity, 1, [0])
        attempt('scheduler', call, 'sched_setscheduler', 1, 5, ctypes.byref(ctypes.c_int(0)))
        attempt('sched_setattr', call, 'sched_setattr', 1, (ctypes.c_int * 14)(56, 5), 0)
        attempt('priority', os.setpriority, os.PRIO_PROCESS, 1, 19)
        attempt('ioprio', call, 'ioprio_set', 1, 1, 3 << 13)
        def getfd():
            call('pidfd_getfd', os.pidfd_open(1), 3, 0)
        attempt('getfd', getfd)
        attempt('madvise', lambda: call('process_madvise', os.pidfd_open(1), ctypes.byref(iov), 1, 4, 0))
        for name in ('root', 'cwd', 'exe', 'environ', 'mem', 'maps', 'fd/3', 'ns/pid', 'cmdline', 'cgroup', 'mountinfo', 'stack', 'syscall'):
            attempt('see ' + name, read, '/proc/1/' + name)
        for name in ('mem', 'oom_score_adj', 'comm', 'coredump_filter', 'uid_map', 'clear_refs', 'timerslack_ns', 'sched', 'autogroup', 'attr/current'):
            attempt('write ' + name, write, '/proc/1/' + name)
        """

    private func expectRefused(_ result: AttackResult, except allowed: Set<String>, _ at: SourceLocation = #_sourceLocation) {
        #expect(result.report.outcome == .exited(code: 0), "\(result.report.outcome) \(result.report.stderr.text)", sourceLocation: at)
        let lines = result.report.stdout.text.split(separator: "\n")
        #expect(lines.count > 35, sourceLocation: at)
        for line in lines where line.hasSuffix("=ok") {
            #expect(allowed.contains(String(line.dropLast(3))), "\(line)", sourceLocation: at)
        }
    }

    /// What a signal's sender is told is "ok" even where the kernel drops the signal: an init is immune to its own kind.
    private static let immune: Set<String> = ["kill9", "kill19", "kill15", "kill11", "all"]

    @Test("under the default policy, with each denied call named")
    func defaultPolicy() async throws {
        let result = try await Attack.python(Self.script)
        expectRefused(result, except: Harness.isRoot ? [] : Self.immune)
        // With a single id the guard answers prlimit64 before the policy sees it.
        for call in ["ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd"] + (Harness.isRoot ? ["prlimit64"] : []) {
            #expect(result.denials(of: call) > 0, "\(call): \(result.report.denied)")
        }
        #expect(result["ptrace attach"] == "EPERM" && result["prlimit"] == "EPERM")
        if Harness.isRoot {
            #expect(result["kill9"] == "EPERM", "another user's process")
            for name in ["affinity", "priority", "scheduler", "ioprio"] { #expect(result[name] == "EPERM", "\(name)=\(result[name])") }
        }
    }

    @Test("without any filter, by the kernel's own rules and the guard")
    func withoutFilter() async throws {
        expectRefused(try await Attack.python(Self.script, spec: Harness.spec(nil)), except: Harness.isRoot ? [] : Self.immune)
    }

    @Test("SIGSTOP and SIGKILL to everything it can see end only the attacker's own")
    func everything() async throws {
        for signal in ["STOP", "KILL"] {
            let result = try await Attack.run(["sh", "-c", "sleep 100 & kill -\(signal) -1; sleep 100"]) { $0.limits.wallTimeMs = 400 }
            #expect(result.report.exceeded?.limit == .wallTime || result.report.outcome == .signaled(signal: 9), "\(result.report.outcome)")
        }
    }

    @Test("all processors kept busy at the best priority a job can have do not keep the init from its limits")
    func starve() async throws {
        let result = try await Attack.python("""
            attempt('nice', os.nice, -20)
            attempt('fifo', os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(50))
            attempt('rr', os.sched_setscheduler, 0, os.SCHED_RR, os.sched_param(1))
            attempt('deadline', call, 'sched_setattr', 0, (ctypes.c_ulong * 6)(48 | 6 << 32, 0, 0, 900000, 1000000, 1000000), 0)
            for _ in range(5): os.fork()
            while True: pass
            """) { $0.limits.cpuTimeMs = 600 }
        #expect(result["nice"] == "EPERM" || result["nice"] == "EACCES")
        #expect(result["fifo"] == "EPERM" && result["rr"] == "EPERM" && result["deadline"] == "EPERM", "\(result.report.stdout.text)")
        #expect(result.report.exceeded?.limit == .cpuTime)
        #expect(result.report.usage.cpuTimeMs < 3000, "\(result.report.usage)")
    }

    @Test("the job's processes do not belong to the init's user, and cannot become it")
    func identity() async throws {
        let result = try await Attack.python("""
            for name, f in [('setuid', os.setuid), ('setgid', os.setgid), ('seteuid', os.seteuid)]: attempt(name, f, 0)
            attempt('setgroups', os.setgroups, [0])
            for program in ('/usr/bin/su', '/usr/bin/mount', '/usr/bin/passwd'):
                if os.path.exists(program):
                    print('setuid bit', program, bool(os.stat(program).st_mode & 0o4000), file=sys.stderr)
                    pid = os.fork()
                    if pid == 0:
                        os.execv('/bin/sh', ['sh', '-c', program + ' -V >/dev/null 2>&1; exit 0'])
                    os.waitpid(pid, 0)
            print('uid=' + str(os.getresuid()))
            """)
        for name in ["setuid", "setgid", "seteuid", "setgroups"] { #expect(result[name] == "EPERM" || result[name] == "EINVAL", "\(name)=\(result[name])") }
        #expect(result["uid"] == "(1000, 1000, 1000)")
    }
}
