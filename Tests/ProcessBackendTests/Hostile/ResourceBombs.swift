// Taking all there is of memory, disk, inodes, output and descriptors, in ways that a plain test of a limit does not try.

import CLinux
import LinuxSystem
import SandboxCore
import Testing

@Suite("Hostile: resource bombs")
struct ResourceBombs {
    @Test("a memory bomb that forks before it grows", .enabled(if: Harness.hasCgroups, "this host has no cgroups to give"))
    func memory() async throws {
        let result = try await Attack.python("""
            for _ in range(3): os.fork()
            x = []
            while True: x.append(bytearray(b'x') * (4 << 20))
            """)
        #expect(result.report.exceeded?.limit == .memory, "\(result.report.outcome)")
    }

    @Test("kernel memory: pipes, sockets and page tables count as the job's", .enabled(if: Harness.hasCgroups, "this host has no cgroups to give"))
    func kernelMemory() async throws {
        let result = try await Attack.python("""
            import fcntl, resource
            held = []
            try:
                while True:
                    r, w = os.pipe()
                    fcntl.fcntl(w, 1031, 1 << 20)
                    os.set_blocking(w, False)
                    held.append((r, w))
                    try:
                        while True: os.write(w, bytes(65536))
                    except BlockingIOError: pass
            except OSError as e: print('stopped=' + errno.errorcode[e.errno])
            time.sleep(100)
            """) { $0.limits.memoryBytes = 64 << 20; $0.limits.wallTimeMs = 5000 }
        #expect([.memory, .openFiles].contains(result.report.exceeded?.limit), "\(result.report.outcome)")
        #expect((result.report.usage.peakMemoryBytes ?? .max) <= 65 << 20)
    }

    @Test("all that the kernel gives one user of inotify, while another sandbox and the host need some", .enabled(if: Harness.isRoot && !Templates.areForAll, "without root all sandboxes are one user's, and forks of one template are the template's"))
    func inotify() async throws {
        let take = "import ctypes, sys, time\nlibc, n = ctypes.CDLL(None), 0\nwhile n < 2000 and libc.inotify_init1(0) >= 0: n += 1\nprint(n, flush=True)\n"
        async let greedy = Harness.python(take + "time.sleep(6)") { $0.limits.openFiles = 4096 }
        try await Task.sleep(for: .seconds(3))
        let other = try await Harness.python(take) { $0.limits.openFiles = 4096 }
        let own = syscall(Int32(SYS_inotify_init1), 0)
        #expect(own >= 0)
        Files.close(Int32(own))
        let taken = (Int(try await greedy.stdout.text.dropLast()) ?? 0, Int(other.stdout.text.dropLast()) ?? 0)
        #expect(taken.0 > 0 && taken.0 == taken.1, "\(taken)")
    }

    @Test("a disk filled by unlinked files that are still open")
    func unlinked() async throws {
        let result = try await Attack.python("""
            held = []
            try:
                while True:
                    fd = os.open('x', os.O_CREAT | os.O_RDWR); os.unlink('x'); held.append(fd)
                    os.write(fd, bytes(1 << 20))
            except OSError as e: print('stopped=' + errno.errorcode[e.errno])
            time.sleep(100)
            """, change: { $0.limits.diskBytes = 8 << 20 })
        #expect(result.report.exceeded?.limit == .disk, "\(result.report.outcome)")
    }

    @Test("sparse files, fallocate and truncate take no more than there is")
    func sparse() async throws {
        let result = try await Attack.python("""
            fd = os.open('sparse', os.O_CREAT | os.O_RDWR)
            attempt('truncate', os.ftruncate, fd, 1 << 50)
            attempt('fallocate', os.posix_fallocate, fd, 0, 1 << 30)
            attempt('small', os.ftruncate, fd, 32 << 20)
            """, change: { $0.limits.diskBytes = 8 << 20; $0.collect = [FileOut(pattern: "sparse", maxBytes: 1 << 20)] })
        #expect(result["truncate"] == "EFBIG")
        #expect(["EFBIG", "ENOSPC"].contains(result["fallocate"]))
        #expect(result["small"] == "ok")
        #expect(result.report.files.first?.size == 32 << 20)
        #expect(result.report.files.first?.bytes.count == 1 << 20)
    }

    @Test("a hundred thousand files, directories and links")
    func inodes() async throws {
        let result = try await Attack.python("""
            i = 0
            while True:
                i += 1
                try: os.symlink('x' * 100, f'l{i}')
                except OSError: time.sleep(0.001)
            """)
        #expect(result.report.exceeded?.limit == .diskInodes, "\(result.report.outcome)")
    }

    @Test("a directory tree so deep that its path has no name")
    func deepTree() async throws {
        let result = try await Attack.python("""
            for i in range(3000):
                os.mkdir('d'); os.chdir('d')
            open('bottom.txt', 'w').write('x')
            print('deep=ok', flush=True)
            """) { $0.collect = [FileOut(pattern: "**/*.txt"), FileOut(pattern: String(repeating: "**/d/", count: 60) + "z")] }
        #expect(result["deep"] == "ok" && result.report.files.isEmpty && result.report.filesTruncated, "\(result.report.stderr.text)")
        #expect(result.report.outcome == .exited(code: 0))
    }

    @Test("output floods on both streams at once, by many processes")
    func output() async throws {
        let result = try await Attack.run(["sh", "-c", "for i in 1 2 3 4; do yes & yes >&2 & done; wait"])
        #expect(result.report.exceeded?.limit == .output, "\(result.report.outcome)")
        #expect(result.report.stdout.head.count <= 64 << 10 && result.report.stderr.tail.count <= 64 << 10)
    }

    @Test("all descriptors, in every process, and a hundred thousand pidfds one after the other")
    func descriptors() async throws {
        let result = try await Attack.python("""
            for _ in range(20000): os.close(os.pidfd_open(os.getpid()))
            print('pidfds=ok', flush=True)
            for _ in range(10): os.fork()  if os.getpid() % 2 else None
            held = []
            while True:
                try: held.append(os.dup(1))
                except OSError: time.sleep(0.05)
            """)
        #expect(result["pidfds"] == "ok")
        #expect([.openFiles, .processes, .memory].contains(result.report.exceeded?.limit), "\(result.report.outcome)")
    }

    @Test("descriptors in flight in sockets that are closed")
    func inFlight() async throws {
        let result = try await Attack.python("""
            import array
            a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            a.setblocking(False)
            sent = 0
            try:
                while sent < 5000:
                    x, y = socket.socketpair()
                    a.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [b.fileno(), x.fileno()]))])
                    sent += 1
                    x.close(); y.close()
            except OSError as e: print('stopped=' + errno.errorcode[e.errno], flush=True)
            """)
        #expect(result.report.outcome == .exited(code: 0), "\(result.report.outcome) \(result.report.stderr.text)")
    }

    @Test("arguments and an environment as large as the kernel takes, and larger")
    func arguments() async throws {
        let large = try await Attack.run(["sh", "-c", "echo ${#1}", "x", String(repeating: "a", count: 100_000)])
        #expect(large.report.stdout.text == "100000\n")
        let tooLarge = try await Attack.run(["true", String(repeating: "a", count: 200_000)])
        #expect(tooLarge.report.outcome == .exited(code: 126))
        let many = try await Attack.run(["true"]) { $0.environment += (0..<200_000).map { "V\($0)=\($0)" } }
        #expect(many.report.outcome == .exited(code: 126))
    }

    @Test("locked memory, POSIX queues and System V segments are bounded and end with the sandbox")
    func ipc() async throws {
        let result = try await Attack.python("""
            def mlock():
                import mmap
                m = mmap.mmap(-1, 64 << 20)
                address = ctypes.addressof(ctypes.c_char.from_buffer(m))
                call('mlock', address, 64 << 20)
            attempt('mlock', mlock)
            attempt('queue', call, 'mq_open', b'survivor', 0o102, 0o600, 0)
            attempt('segment', call, 'shmget', 0x5ad, 1 << 20, 0o1666)
            """)
        #expect(["ENOMEM", "EPERM"].contains(result["mlock"]))
        #expect(result["queue"] == "ok" && result["segment"] == "ok", "\(result.report.stdout.text)")
        let next = try await Attack.python("""
            attempt('queue', call, 'mq_open', b'survivor', 0, 0, 0)
            attempt('segment', call, 'shmget', 0x5ad, 1 << 20, 0)
            """)
        #expect(next["queue"] == "ENOENT" && next["segment"] == "ENOENT")
        let large = try await Attack.python("""
            seg = call('shmget', 1, 512 << 20, 0o1666)
            libc.shmat.restype = ctypes.c_void_p
            p = libc.shmat(ctypes.c_int(seg), None, 0)
            ctypes.memset(p, 1, 512 << 20)
            """)
        if Harness.hasCgroups { #expect(large.report.exceeded?.limit == .memory, "\(large.report.outcome)") }
    }
}
