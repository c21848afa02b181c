// Mounts, namespaces and roots.

import SandboxCore
import Testing

@Suite("Hostile: mounts and namespaces")
struct NamespaceEscapes {
    static let script = """
        attempt_call('mount', b'none', b'/tmp', b'tmpfs', 0, 0)
        attempt('remount', call, 'mount', 0, b'/usr', 0, 32 | 4096, 0)
        attempt('bind', call, 'mount', b'/', b'/tmp', 0, 4096, 0)
        attempt('proc', call, 'mount', b'proc', b'/tmp', b'proc', 0, 0)
        attempt_call('umount2', b'/proc', 2)
        attempt('umount dev', call, 'umount2', b'/dev', 2)
        attempt_call('pivot_root', b'/tmp', b'/tmp')
        attempt_call('chroot', b'/tmp')
        for flag in (0x20000, 0x40000000, 0x10000000, 0x20000000, 0x08000000, 0x04000000, 0x02000000, 0x80): attempt('unshare %x' % flag, call, 'unshare', flag)
        for name in ('user', 'pid', 'mnt', 'net', 'ipc', 'uts', 'cgroup'):
            attempt('setns ' + name, lambda: call('setns', os.open('/proc/self/ns/' + name, 0), 0))
        attempt('setns pidfd', lambda: call('setns', os.pidfd_open(1), 0x20000000))
        for flag in (0x20000, 0x40000000, 0x10000000, 0x20000000, 0x08000000, 0x04000000, 0x02000000):
            def child(flag=flag):
                pid = call('clone', flag | 17, 0, 0, 0, 0)
                if pid == 0: os._exit(0)
                os.waitpid(pid, 0)
            attempt('clone %x' % flag, child)
        attempt_call('open_tree', -100, b'/', 1)
        attempt_call('fsopen', b'tmpfs', 0)
        attempt_call('move_mount', -100, b'/tmp', -100, b'/workspace', 0)
        attempt_call('mount_setattr', -100, b'/usr', 0x8000, (ctypes.c_ulong * 4)(0, 1, 0, 0), 32)
        attempt_call('fspick', -100, b'/', 0)
        attempt_call('sethostname', b'x', 1)
        attempt_call('open_by_handle_at', -100, (ctypes.c_int * 4)(8, 1, 2, 0), 0)
        attempt_call('quotactl', 0, 0, 0, 0)
        attempt_call('swapon', b'/tmp/x', 0)
        attempt_call('acct', b'/tmp/x')
        """

    private func expectRefused(_ result: AttackResult, _ at: SourceLocation = #_sourceLocation) {
        let lines = result.report.stdout.text.split(separator: "\n")
        #expect(lines.count > 35, "\(result.report.outcome) \(result.report.stderr.text)", sourceLocation: at)
        for line in lines { #expect(!line.hasSuffix("=ok"), "\(line)", sourceLocation: at) }
    }

    @Test("under the default policy, with each denied call named")
    func defaultPolicy() async throws {
        let result = try await Attack.python(Self.script)
        expectRefused(result)
        for call in ["mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "clone", "fsopen", "open_tree"] {
            #expect(result.denials(of: call) > 0, "\(call) in \(result.report.denied)")
        }
        #expect(result["mount"] == "EPERM" && result["unshare 10000000"] == "EPERM" && result["clone 10000000"] == "EPERM")
    }

    @Test("without a filter, because no capability is left and no user namespace can be made")
    func withoutFilter() async throws {
        let result = try await Attack.python(Self.script, spec: Harness.spec(nil))
        expectRefused(result)
        #expect(result["unshare 10000000"] == "ENOSPC" || result["unshare 10000000"] == "EPERM")
    }

    @Test("clone3, whose flags no filter can see, is not there", .enabled(if: Victim.hasCompiler, "gcc is not installed"))
    func clone3() async throws {
        let victim = try Victim.c("""
            #include <errno.h>
            #include <linux/sched.h>
            #include <stdio.h>
            #include <string.h>
            #include <sys/syscall.h>
            #include <unistd.h>
            int main(void) {
                for (unsigned long long flags = 1; flags; flags <<= 1) {
                    struct clone_args a; memset(&a, 0, sizeof a); a.flags = flags; a.exit_signal = 17;
                    long r = syscall(SYS_clone3, &a, sizeof a);
                    if (r == 0) _exit(0);
                    if (r > 0 || errno != ENOSYS) { printf("flags %llx: %ld %d\\n", flags, r, errno); return 1; }
                }
                puts("none"); return 0;
            }
            """)
        let result = try await Attack.run(["./victim"]) { $0.files = [victim] }
        #expect(result.report.stdout.text == "none\n")
    }

    @Test("a policy that kills does so at the first denied call, and names it")
    func kill() async throws {
        let spec = Harness.spec { $0.seccomp?.onDenied = .kill }
        let result = try await Attack.python("attempt_call('mount', b'none', b'/tmp', b'tmpfs', 0, 0)\nprint('still here')", spec: spec)
        #expect(result.report.outcome == .syscallDenied(syscall: "mount"))
        #expect(!result.report.stdout.text.contains("still here"))
        #expect(result.denials(of: "mount") == 1)
    }

    @Test("mounts of a build's terminal are its own, and keystrokes cannot be pushed into it")
    func terminal() async throws {
        let result = try await Attack.python("""
            import fcntl, pty, termios
            m, s = pty.openpty()
            for name, request in (('TIOCSTI', 0x5412), ('TIOCLINUX', 0x541C), ('high bits', 0x5412 | 1 << 32)):
                attempt(name, lambda: call_ioctl(s, request))
            print('names=' + ','.join(sorted(os.listdir('/dev/pts'))))
            """.replacingOccurrences(of: "call_ioctl(s, request)", with: "check(libc.syscall(ctypes.c_long(16), ctypes.c_long(s), ctypes.c_long(request), b'x'))")
            .replacingOccurrences(of: "import fcntl", with: "def check(r):\n    if r == -1: raise OSError(ctypes.get_errno(), '')\nimport fcntl"), spec: Harness.spec("build"))
        for name in ["TIOCSTI", "TIOCLINUX", "high bits"] { #expect(result[name] == "EPERM", "\(name)=\(result[name])") }
        #expect(result["names"] == "0,ptmx")
    }
}
