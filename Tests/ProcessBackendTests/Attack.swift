// An attack and what must be true after it: the sandbox's init is alive and works, a bystander's sandbox beside it
// has noticed nothing, and the host is as it was.

import Foundation
import LinuxSystem
import Policy
import SandboxCore
import Testing

/// What an attack's program said of each of its attempts (`name=EPERM`, `name=ok`), and the report on it.
struct AttackResult {
    var report: StepReport
    private var answers: [String: String] = [:]

    init(_ report: StepReport) {
        self.report = report
        for line in report.stdout.text.split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { answers[String(parts[0])] = String(parts[1]) }
        }
    }

    /// What became of one attempt; "(not tried)" where the program did not get there.
    subscript(_ name: String) -> String { answers[name] ?? "(not tried)" }
    func denials(of syscall: String) -> Int { report.denials(of: syscall) }
}

enum Attack {
    /// Runs one program in a fresh sandbox beside a bystander's, and looks at all three afterwards.
    static func run(
        _ arguments: [String], spec: SandboxSpec = Harness.spec(), change: (inout LaunchPlan) -> Void = { _ in },
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> AttackResult {
        let host = Host()
        let report = try await Harness.with(Harness.spec(nil)) { bystander in
            let gate = try Files.pipe()
            async let beside = bystander.run(
                Harness.plan(["sh", "-c", "echo untouched > note; read line; cat note"]) {
                    $0.stdin = .descriptor(gate.read)
                    $0.limits.wallTimeMs = 60_000
                }, onOutput: nil)
            let report = try await Harness.with(spec) { sandbox in
                let report = try await sandbox.run(Harness.plan(arguments, change), onOutput: nil)
                let after = try await sandbox.run(Harness.plan(["sh", "-c", "echo alive"]), onOutput: nil)
                let isWell = after.outcome == .exited(code: 0) || [.disk, .diskInodes].contains(after.exceeded?.limit)
                #expect(isWell, "the init serves the next step: \(after.outcome) \(after.stderr.text)", sourceLocation: sourceLocation)
                return report
            }
            try Files.writeAll(gate.write, "go\n")
            Files.close(gate.write)
            let seen = try await beside
            Files.close(gate.read)
            #expect(seen.outcome == .exited(code: 0) && seen.stdout.text == "untouched\n", "the bystander is unharmed", sourceLocation: sourceLocation)
            return report
        }
        host.expectUnharmed(sourceLocation)
        return AttackResult(report)
    }

    /// A Python program with `attempt(name, function)` and `call(name, arguments…)`, which makes the system call of that name.
    static func python(
        _ script: String, spec: SandboxSpec = Harness.spec(), change: (inout LaunchPlan) -> Void = { _ in },
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> AttackResult {
        try await run(["python3", "-c", prelude + script], spec: spec, change: change, sourceLocation: sourceLocation)
    }

    private static let calls = [
        "mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "clone", "clone3", "ptrace", "process_vm_readv",
        "process_vm_writev", "kcmp", "pidfd_open", "pidfd_getfd", "pidfd_send_signal", "prlimit64", "sched_setaffinity",
        "sched_setscheduler", "sched_setattr", "setpriority", "ioprio_set", "add_key", "request_key", "keyctl", "bpf", "io_uring_setup",
        "io_uring_enter", "io_uring_register", "userfaultfd", "perf_event_open", "memfd_create", "execveat", "open_by_handle_at",
        "name_to_handle_at", "fanotify_init", "quotactl", "swapon", "reboot", "kexec_load", "init_module", "finit_module",
        "delete_module", "syslog", "acct", "sethostname", "settimeofday", "clock_settime", "iopl", "ioperm", "mknod", "open_tree",
        "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "seccomp", "personality", "mlockall", "mlock",
        "process_madvise", "process_mrelease", "vhangup", "lookup_dcookie", "nfsservctl", "get_mempolicy", "move_pages", "kill",
        "tgkill", "rt_sigqueueinfo", "fork", "vfork", "socket", "socketpair", "getpid", "setuid", "capset", "mq_open", "mq_unlink", "shmget", "shmat",
        "shmctl", "semget", "semop", "semctl", "msgget", "msgsnd", "msgrcv", "msgctl", "landlock_create_ruleset",
    ]

    static let prelude: String = {
        let numbers = calls.compactMap { name in syscallNumber(name: name).map { "'\(name)': \($0)" } }.joined(separator: ", ")
        return """
            import ctypes, errno, os, sys, signal, time, socket
            NR = {\(numbers)}
            libc = ctypes.CDLL(None, use_errno=True)
            libc.syscall.restype = ctypes.c_long
            def convert(a):
                return ctypes.c_char_p(a) if isinstance(a, bytes) else ctypes.c_long(a) if isinstance(a, int) else a
            def call(name, *arguments):
                ctypes.set_errno(0)
                r = libc.syscall(ctypes.c_long(NR[name]), *[convert(a) for a in arguments])
                if r == -1: raise OSError(ctypes.get_errno(), name)
                return r
            def attempt(name, function, *arguments):
                try:
                    function(*arguments)
                    answer = 'ok'
                except OSError as e:
                    answer = errno.errorcode.get(e.errno, str(e))
                except Exception as e:
                    answer = type(e).__name__
                print(name + '=' + answer, flush=True)
            def attempt_call(name, *arguments):
                attempt(name, call, name, *arguments)
            def read(path):
                with open(path, 'rb') as f: return f.read(4096)
            def write(path, data=b'x'):
                fd = os.open(path, os.O_WRONLY)
                try: os.write(fd, data)
                finally: os.close(fd)

            """
    }()
}

/// What of the host an attack must not have changed.
private struct Host {
    private let hostname = ProcessInfo.processInfo.hostName
    private let canary = try? Files.readFile(Harness.root.layers[0] + "/etc/canary")
    private let corePattern = try? Files.readFile("/proc/sys/kernel/core_pattern")
    private let niceness = getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0)

    func expectUnharmed(_ at: SourceLocation) {
        #expect(ProcessInfo.processInfo.hostName == hostname, "the host's name", sourceLocation: at)
        #expect(canary != nil && (try? Files.readFile(Harness.root.layers[0] + "/etc/canary")) == canary, "the image's file", sourceLocation: at)
        #expect((try? Files.readFile("/proc/sys/kernel/core_pattern")) == corePattern, "the host's core pattern", sourceLocation: at)
        #expect(getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0) == niceness, "this process's priority", sourceLocation: at)
    }
}
