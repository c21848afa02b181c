// The shipped policies, each from both sides: what must work works without a denied call, what must not is denied.

import SandboxCore
import Testing

@Suite("Shipped policies in a sandbox")
struct PolicyTests {
    private static let threads = "import threading\nx = []\nts = [threading.Thread(target=x.append, args=(i,)) for i in range(20)]\n[t.start() for t in ts]; [t.join() for t in ts]\nprint(sum(x))"
    private static let files = "import os, tempfile, shutil\nd = tempfile.mkdtemp(); p = d + '/f'; open(p, 'w').write('x'); os.rename(p, p + '2'); os.link(p + '2', p); os.chmod(p, 0o600); print(os.listdir(d) != []); shutil.rmtree(d)"

    @Test("computing, threads, files, time and chance work in all of them", arguments: ["strict", "default", "build", "network"])
    func common(policy: String) async throws {
        let scripts = [
            (Self.threads, "190\n"), (Self.files, "True\n"),
            ("import time, random, os, math, json, decimal\ntime.sleep(0.01); random.random(); os.urandom(8); print(json.dumps(math.pi > 3))", "true\n"),
            ("import mmap, signal, select\nm = mmap.mmap(-1, 4096); m[0] = 1\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])\nsignal.setitimer(signal.ITIMER_REAL, 0.01)\nprint('alarm' if signal.sigwait([signal.SIGALRM]) else '')", "alarm\n"),
        ]
        for (script, expected) in scripts {
            let report = try await Harness.python(script, spec: Harness.spec(policy))
            #expect(report.outcome == .exited(code: 0), "\(policy): \(report.stderr.text)")
            #expect(report.stdout.text == expected)
            #expect(report.denied.isEmpty, "\(policy): \(report.denied)")
        }
    }

    @Test("a filter holds the program alone, whether it was loaded before the program was known or right before its exec", arguments: [true, false])
    func moment(loadsAhead: Bool) async throws {
        let spec = Harness.spec { $0.seccomp?.loadsAhead = loadsAhead }
        let report = try await Harness.python("import ctypes; print(ctypes.CDLL(None).mount(b'x', b'/tmp', b'tmpfs', 0, None))", spec: spec)
        #expect(report.stdout.text == "-1\n", "\(report.stderr.text)")
        #expect(report.denied == [DeniedSyscall(syscall: "mount", count: 1)])
    }

    @Test("strict: no second process by any call, and no socket to talk through")
    func strict() async throws {
        let result = try await Attack.python("""
            attempt('fork', os.fork)
            attempt('spawn', lambda: os.posix_spawn('/bin/true', ['true'], {}))
            attempt('clone', call, 'clone', 17, 0, 0, 0, 0)
            attempt('vfork', call, 'vfork')
            attempt('tcp', socket.socket)
            attempt('udp', socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
            attempt('system', lambda: (_ for _ in ()).throw(OSError(1, '')) if os.system('true') else None)
            attempt('pair', socket.socketpair)
            attempt('unix', socket.socket, socket.AF_UNIX)
            """, spec: Harness.spec("strict"))
        for name in ["fork", "spawn", "clone", "vfork", "tcp", "udp", "system", "pair"] { #expect(result[name] == "EPERM", "\(name)=\(result[name])") }
        #expect(result["unix"] == "EAFNOSUPPORT")
        #expect(result.denials(of: "socket") == 2 && result.denials(of: "socketpair") == 1)
        #expect(result.denials(of: "clone") + result.denials(of: "fork") + result.denials(of: "vfork") >= 4, "\(result.report.denied)")
    }

    @Test("default: processes, pipelines, the loopback, System V and POSIX memory", arguments: ["default", "build", "network"])
    func processes(policy: String) async throws {
        let report = try await Harness.python("""
            import subprocess, socket, threading, multiprocessing, concurrent.futures, os
            print(subprocess.run('echo a | tr a b | cat', shell=True, capture_output=True).stdout)
            server = socket.create_server(('127.0.0.1', 0))
            threading.Thread(target=lambda: server.accept()[0].sendall(b'hi'), daemon=True).start()
            print(socket.create_connection(server.getsockname()).recv(2))
            u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('127.0.0.1', 0)); u.sendto(b'x', u.getsockname()); print(u.recv(1))
            print(socket.getaddrinfo('127.0.0.1', 80)[0][4])
            with concurrent.futures.ProcessPoolExecutor(2) as pool: print(list(pool.map(abs, [-1, -2])))
            from multiprocessing import shared_memory
            s = shared_memory.SharedMemory(create=True, size=10); s.buf[0] = 1; s.close(); s.unlink()
            """, spec: Harness.spec(policy))
        #expect(report.outcome == .exited(code: 0), "\(report.stderr.text)")
        #expect(report.stdout.text == "b'b\\n'\nb'hi'\nb'x'\n('127.0.0.1', 80)\n[1, 2]\n")
        #expect(report.denied.isEmpty, "\(report.denied)")
    }

    @Test("build: a compiler compiles, links and the program runs; a terminal of its own works", .enabled(if: Victim.hasCompiler, "gcc is not installed"))
    func build() async throws {
        let compiled = try await Harness.sh("gcc -O2 -o hello hello.c && ./hello", spec: Harness.spec("build")) {
            $0.files = [PlacedFile(path: "hello.c", bytes: Array("#include <stdio.h>\nint main() { puts(\"built\"); }".utf8))]
        }
        #expect(compiled.stdout.text == "built\n", "\(compiled.stderr.text)")
        #expect(compiled.denied.isEmpty, "\(compiled.denied)")
        let terminal = try await Harness.python("import pty, os\npid, fd = pty.fork()\nif pid == 0: os.execvp('tty', ['tty'])\nprint(os.read(fd, 100))", spec: Harness.spec("build"))
        #expect(terminal.stdout.text == "b'/dev/pts/0\\r\\n'\n", "\(terminal.stderr.text)")
        // The others have none to give.
        let none = try await Harness.python("import pty\ntry: pty.openpty()\nexcept OSError as e: print('none')", spec: Harness.spec("default"))
        #expect(none.stdout.text == "none\n")
    }

    @Test("default: Node and Java start, use their threads, and end", arguments: [["node", "-e", "require('worker_threads'); setTimeout(() => console.log('up'), 5)"], ["java", "-Xshare:auto", "-version"]])
    func runtimes(command: [String]) async throws {
        let report = try await Harness.run(command) {
            $0.limits.memoryBytes = 1 << 30
            $0.limits.processes = 256
            $0.limits.openFiles = 1024
            $0.limits.cpuTimeMs = 30_000
            $0.limits.wallTimeMs = 60_000
            $0.environment.append("UV_USE_IO_URING=0")
        }
        // A machine without this language has nothing to show.
        if report.outcome == .exited(code: 127) { return print("no \(command[0]) on this machine") }
        #expect(report.outcome == .exited(code: 0), "\(command[0]): \(report.stderr.text)")
        #expect(report.denied.isEmpty, "\(report.denied)")
    }
}
