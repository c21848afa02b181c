// The parts of the kernel that have been the way out of many a sandbox.

import SandboxCore
import Testing

@Suite("Hostile: kernel interfaces")
struct KernelInterfaces {
    static let calls = """
        page = ctypes.create_string_buffer(4096)
        attempt_call('keyctl', 0, -3, 1)
        attempt_call('add_key', b'user', b'x', b'y', 1, -3)
        attempt_call('request_key', b'user', b'x', 0, -3)
        attempt_call('bpf', 0, page, 72)
        attempt_call('io_uring_setup', 8, page)
        attempt_call('io_uring_enter', 0, 1, 0, 0, 0, 0)
        attempt_call('io_uring_register', 0, 0, 0, 0)
        attempt_call('userfaultfd', 0)
        attempt_call('perf_event_open', page, 0, -1, -1, 0)
        attempt_call('fanotify_init', 0, 0)
        attempt_call('name_to_handle_at', -100, b'/', page, page, 0)
        attempt_call('kexec_load', 0, 0, 0, 0)
        attempt_call('init_module', page, 16, b'')
        attempt_call('finit_module', 0, b'', 0)
        attempt_call('delete_module', b'ext4', 0)
        attempt_call('syslog', 3, page, 4096)
        attempt_call('reboot', 0xfee1dead, 672274793, 0, 0)
        attempt_call('settimeofday', page, 0)
        attempt_call('clock_settime', 0, page)
        attempt_call('vhangup')
        attempt_call('ptrace', 0, 0, 0, 0)
        attempt_call('move_pages', os.getpid(), 0, 0, 0, 0, 0)
        attempt_call('seccomp', 1, 0, page)
        attempt_call('personality', 0x0400000)
        """

    @Test("each is denied, and those that matter are named", arguments: ["strict", "default", "build", "network"])
    func denied(policy: String) async throws {
        let result = try await Attack.python(Self.calls, spec: Harness.spec(policy))
        let lines = result.report.stdout.text.split(separator: "\n")
        #expect(lines.count > 20, "\(result.report.outcome) \(result.report.stderr.text)")
        for line in lines { #expect(!line.hasSuffix("=ok"), "\(policy): \(line)") }
        for call in ["keyctl", "add_key", "request_key", "bpf", "io_uring_setup", "userfaultfd", "perf_event_open", "kexec_load", "init_module", "ptrace"] {
            #expect(result.denials(of: call) > 0, "\(policy): \(call) in \(result.report.denied)")
            #expect(result[call] == "EPERM", "\(policy): \(call)=\(result[call])")
        }
    }

    @Test("a call is counted as often as it was tried, and counting has an end")
    func counted() async throws {
        let result = try await Attack.python("""
            for _ in range(300):
                try: call('bpf', 0, 0, 0)
                except OSError: pass
            for n in range(0, 2000):
                ctypes.set_errno(0)
            print('done=ok', flush=True)
            """)
        #expect(result.denials(of: "bpf") == 300)
        #expect(result["done"] == "ok")
    }

    @Test("the calls of other tables, 32-bit and x32, end the program", .enabled(if: Victim.hasCompiler, "gcc is not installed"))
    func foreignTables() async throws {
        #if arch(x86_64)
        let int80 = try Victim.c("""
            #include <stdio.h>
            int main(void) {
                long r; // getpid of the 32-bit table, then mount's
                __asm__ volatile("int $0x80" : "=a"(r) : "a"(20L) : "r8", "r9", "r10", "r11", "memory");
                printf("%ld\\n", r); return 0;
            }
            """)
        let x32 = try Victim.c("""
            #include <stdio.h>
            #include <sys/syscall.h>
            #include <unistd.h>
            int main(void) { printf("%ld\\n", syscall(0x40000000L | 39)); fflush(stdout); printf("%ld\\n", syscall(0x40000000L | 165, 0, 0, 0, 0, 0)); return 0; }
            """)
        for victim in [int80, x32] {
            let result = try await Attack.run(["./victim"]) { $0.files = [victim] }
            #expect(result.report.outcome == .signaled(signal: 31), "\(result.report.outcome) \(result.report.stdout.text)")
            #expect(result.report.stdout.text.isEmpty)
        }
        // The same from Python, in memory it made executable.
        let machineCode = try await Attack.python("""
            import mmap
            m = mmap.mmap(-1, 4096, prot=7)
            m.write(bytes([0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xc3]))
            ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()
            print('survived=ok')
            """)
        #expect(machineCode.report.outcome == .signaled(signal: 31))
        #expect(machineCode["survived"] == "(not tried)")
        #endif
    }

    @Test("a job's own filter, and calls the kernel does not have yet")
    func unknown() async throws {
        let result = try await Attack.python("""
            NR['young'] = 900
            NR['never'] = 0x3fffffff
            attempt_call('young')
            attempt_call('never')
            attempt('prctl', lambda: check(libc.prctl(22, 1, 0, 0, 0)))
            """.replacingOccurrences(of: "NR['young']", with: "def check(r):\n    if r == -1: raise OSError(ctypes.get_errno(), '')\nNR['young']"))
        #expect(result["young"] == "ENOSYS" && result["never"] == "ENOSYS")
        #expect(result["prctl"] == "EINVAL")
    }
}
