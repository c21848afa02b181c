// What a fork may not have of its template, and what becomes of templates.

import CFork
import Confinement
import Foundation
import LinuxSystem
import SandboxCore
import Testing

@Suite("Templates", .enabled(if: Harness.isRoot, "templates take root"))
struct ForkTests {
    private func python(_ code: String, change: (inout LaunchPlan) -> Void = { _ in }) async throws -> StepReport {
        let report = try await Templates.run(["python3", "-c", code], on: try await Templates.shared.value, Templates.sharedSpec, change: change)
        #expect(report.forked)
        return report
    }

    @Test("a fork has no descriptor but its streams, no capability, no way to any, a filter, and its init as parent")
    func confinement() async throws {
        let report = try await python("""
            import os
            print(sorted(int(n) for n in os.listdir('/proc/self/fd'))[:3], len(os.listdir('/proc/self/fd')))
            for line in open('/proc/self/status'):
                if line.split(':')[0] in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp', 'PPid', 'Uid', 'Gid', 'Groups'):
                    print(' '.join(line.split()))
            print(os.getsid(0) == os.getpid(), os.getpriority(os.PRIO_PROCESS, 0), os.umask(0))
            """)
        // The list of descriptors is read through one of its own.
        #expect(report.stdout.text == """
            [0, 1, 2] 4
            PPid: 1
            Uid: 1000 1000 1000 1000
            Gid: 1000 1000 1000 1000
            Groups:
            CapInh: 0000000000000000
            CapPrm: 0000000000000000
            CapEff: 0000000000000000
            CapBnd: 0000000000000000
            CapAmb: 0000000000000000
            NoNewPrivs: 1
            Seccomp: 2
            True 0 18

            """)
    }

    @Test("a fork lives in its sandbox's namespaces and sees only that sandbox's processes and files")
    func namespaces() async throws {
        let code = "import os; print([os.readlink('/proc/self/ns/' + n) for n in ('user', 'pid', 'mnt', 'net', 'ipc', 'uts', 'cgroup')])"
        let spec = Templates.sharedSpec
        let backend = try await Templates.shared.value
        func look(fork: Bool, in sandbox: any Sandbox) async throws -> String {
            try await sandbox.run(Harness.plan(["python3", "-c", code]) { $0.fork = fork }, onOutput: nil).stdout.text
        }
        let (forked, fresh) = try await Harness.with(spec, on: backend) { sandbox in (try await look(fork: true, in: sandbox), try await look(fork: false, in: sandbox)) }
        // The cgroup namespace is each step's own.
        let own = forked.split(separator: ",").dropLast(), expected = fresh.split(separator: ",").dropLast()
        #expect(own == expected && own.count == 6)
        let files = try await python("""
            import os
            print([n for n in os.listdir('/proc') if n.isdigit() and n != str(os.getpid())], os.listdir('/tmp'), os.listdir('/workspace'), os.getcwd())
            print(os.path.exists('/tmp/.paddock'), open('/proc/self/cgroup').read().count(':/\\n') > 0)
            """)
        #expect(files.stdout.text == "['1'] [] [] /workspace\nFalse True\n")
    }

    @Test("forks share no memory they can write, and draw other random numbers")
    func memory() async throws {
        let draw = """
            import random, os
            print([l for l in open('/proc/self/maps') if l.split()[1][1] == 'w' and l.split()[1][3] == 's'])
            print(random.random(), random.SystemRandom().random())
            """
        var drawn: Set<Substring> = []
        for _ in 0..<8 {
            let lines = try await python(draw).stdout.text.split(separator: "\n")
            #expect(lines.first == "[]")
            drawn.formUnion(lines.last?.split(separator: " ") ?? [])
        }
        #expect(drawn.count == 16)
    }

    @Test("a fork cannot name, see or signal its template or its siblings")
    func siblings() async throws {
        let report = try await python("""
            import os, signal
            def attempt(f, *a):
                try: f(*a); return 'ok'
                except OSError as e: return type(e).__name__
            print(attempt(os.kill, 1, signal.SIGKILL))
            print(sorted({attempt(os.kill, n, 0) for n in range(2, 4000) if n != os.getpid()}))
            print(attempt(os.kill, os.getppid(), signal.SIGSTOP))
            """)
        #expect(report.stdout.text == "PermissionError\n['ProcessLookupError']\nPermissionError\n")
    }

    @Test("a fork is held to its limits, each with its verdict")
    func limits() async throws {
        #expect(try await python("x = bytearray(300 << 20)") { $0.limits.memoryBytes = 64 << 20 }.exceeded?.limit == .memory)
        #expect(try await python("while True: pass") { $0.limits.cpuTimeMs = 200 }.exceeded?.limit == .cpuTime)
        #expect(try await python("import time; time.sleep(60)") { $0.limits.wallTimeMs = 200 }.exceeded?.limit == .wallTime)
        #expect(try await python("import os\nwhile True: os.fork()") { $0.limits.processes = 8 }.exceeded?.limit == .processes)
        #expect(try await python("open('f', 'wb').write(b'x' * (32 << 20))") { $0.limits.diskBytes = 1 << 20 }.exceeded?.limit == .disk)
        #expect(try await python("print('x' * (2 << 20))") { $0.limits.outputBytes = 1 << 20 }.exceeded?.limit == .output)
        #expect(try await python("import sys; sys.setrecursionlimit(10**8)\ndef f(): return [x for x in map(lambda _: f(), [1])]\nf()") { $0.limits.stackBytes = 1 << 20 }.exceeded?.limit == .stack)
    }

    @Test("a denied call is answered EPERM and named, in a fork of a template that is filtered itself")
    func denials() async throws {
        let report = try await python("import ctypes; c = ctypes.CDLL(None, use_errno=True); print(c.mount(b'x', b'/tmp', b'tmpfs', 0, None), ctypes.get_errno()); print(c.unshare(0x10000000), ctypes.get_errno())")
        #expect(report.stdout.text == "-1 1\n-1 1\n")
        #expect(report.denied == [DeniedSyscall(syscall: "mount", count: 1), DeniedSyscall(syscall: "unshare", count: 1)])
    }

    @Test("what one fork changed in its interpreter, the next does not find")
    func cleanliness() async throws {
        _ = try await python("import json, builtins; json.dumps = None; builtins.print = None; open('/tmp/trace', 'w').write('x')")
        #expect(try await python("import json, os; print(json.dumps(1), os.listdir('/tmp'))").stdout.text == "1 []\n")
    }

    @Test("a program with more arguments and variables than a datagram holds")
    func largeJob() async throws {
        let long = String(repeating: "x", count: 100_000)
        let report = try await Templates.run(["python3", "-c", "import sys, os; print(len(sys.argv[1]), len(os.environ['LONG']))", long], on: try await Templates.shared.value, Templates.sharedSpec) {
            $0.environment.append("LONG=\(long)")
        }
        #expect(report.forked && report.stdout.text == "100000 100000\n")
    }

    // MARK: what becomes of templates

    @Test("one that cannot be loaded is told with its reason, and its jobs start by themselves")
    func broken() async throws {
        try await Templates.with(Templates.python(preload: ["no_such_module"])) { backend, spec in
            let status = await Templates.status(of: backend) { $0.state == .failed }
            #expect(status?.state == .failed && status?.error?.contains("No module named 'no_such_module'") == true, "\(String(describing: status))")
            let report = try await Templates.run(["python3", "-c", "print(1)"], on: backend, spec)
            #expect(!report.forked && report.stdout.text == "1\n")
        }
    }

    @Test("one with threads or with memory its forks would share is refused", arguments: [
        ("import threading, time; threading.Thread(target=time.sleep, args=(600,), daemon=True).start()", "threads"),
        ("import mmap, sys; sys.kept = mmap.mmap(-1, 4096)", "writable memory"),
    ])
    func unsafe(_ warmUp: String, _ word: String) async throws {
        try await Templates.with(Templates.python(warmUp: warmUp)) { backend, spec in
            let status = await Templates.status(of: backend) { $0.state == .failed }
            #expect(status?.error?.contains(word) == true, "\(String(describing: status))")
        }
    }

    @Test("one that outgrows its memory while it loads fails and harms nobody")
    func large() async throws {
        try await Templates.with(Templates.python(warmUp: "import sys; sys.kept = bytearray(200 << 20)", memoryBytes: 64 << 20)) { backend, spec in
            #expect(await Templates.status(of: backend) { $0.state == .failed }?.state == .failed)
            let report = try await Templates.run(["python3", "-c", "print(1)"], on: backend, spec)
            #expect(report.stdout.text == "1\n")
        }
    }

    @Test("one that is killed is loaded again, and no job fails for it")
    func killed() async throws {
        try await Templates.with { backend, spec in
            #expect(try await Templates.run(["python3", "-c", "print(1)"], on: backend, spec).forked)
            let pid = try #require(backend.templatePids.first)
            try Processes.kill(pid, SIGKILL)
            for _ in 0..<10 { #expect(try await Templates.run(["python3", "-c", "print(1)"], on: backend, spec).stdout.text == "1\n") }
            let status = await Templates.status(of: backend) { $0.loads == 2 && $0.state == .ready }
            #expect(status?.loads == 2)
            #expect(try await Templates.run(["python3", "-c", "print(1)"], on: backend, spec).stdout.text == "1\n")
        }
    }

    @Test("one that has forked as often as it may is replaced, and serves meanwhile")
    func recycled() async throws {
        try await Templates.with(Templates.python(recycleForks: 3)) { backend, spec in
            for _ in 0..<6 {
                let report = try await Templates.run(["python3", "-c", "print(1)"], on: backend, spec)
                #expect(report.forked)
            }
            let status = await Templates.status(of: backend) { $0.loads >= 2 && $0.state == .ready }
            #expect(status?.error == nil)
            #expect(status.map { $0.loads >= 2 } == true)
        }
    }

    @Test("while it loads, an image's code has no power, no network, no /proc, and none of what no policy grants")
    func loading() async throws {
        let probe = """
            import ctypes, os, sys
            c = ctypes.CDLL(None, use_errno=True)
            found = [os.getuid() < 1 << 30, os.listdir('/proc'), c.unshare(0x10000000), ctypes.get_errno(), c.mount(b'x', b'/tmp', b'tmpfs', 0, None), ctypes.get_errno()]
            try: open('/usr/x', 'w')
            except OSError as e: found.append(e.errno)
            sys.stderr.write('\\nfound ' + repr(found) + '\\n'); sys.exit(1)
            """
        try await Templates.with(Templates.python(warmUp: probe)) { backend, _ in
            let error = await Templates.status(of: backend) { $0.state == .failed }?.error
            #expect(error?.contains("found [False, [], -1, 38, -1, 38, 30]") == true, "\(error ?? "no error")")
        }
    }

    @Test("nothing of a template outlives its backend")
    func leaves() async throws {
        let pids = try await Templates.with { backend, spec in
            _ = try await Templates.run(["python3", "-c", "print(1)"], on: backend, spec)
            return backend.templatePids
        }
        #expect(pids.count == 1)
        for pid in pids { #expect(throws: Errno.self) { try Processes.kill(pid, 0) } }
    }

    @Test("a fork's steps have the warden's numbers")
    func numbers() {
        let pairs: [(UInt32, Step)] = [
            (PD_STEP_NAMESPACES.rawValue, .forkNamespaces), (PD_STEP_FORK.rawValue, .forkClone), (PD_STEP_CGROUP.rawValue, .forkCgroupJoin),
            (PD_STEP_CGROUP_NAMESPACE.rawValue, .forkCgroupNamespace), (PD_STEP_SESSION.rawValue, .forkSession), (PD_STEP_IDS.rawValue, .forkIDs),
            (PD_STEP_CAPABILITIES.rawValue, .forkCapabilities), (PD_STEP_DESCRIPTORS.rawValue, .forkDescriptors), (PD_STEP_JOB.rawValue, .forkJob),
            (PD_STEP_LIMITS.rawValue, .forkLimits), (PD_STEP_STREAMS.rawValue, .forkStandardStreams), (PD_STEP_DIRECTORY.rawValue, .forkDirectory),
            (PD_STEP_SECCOMP.rawValue, .forkSeccomp),
        ]
        for (number, step) in pairs { #expect(number == UInt32(step.rawValue)) }
    }
}
