// Filling the kernel's queues: what sockets hold is memory of the host, and not all of it is on a cgroup's account.

import LinuxSystem
import SandboxCore
import Testing

@Suite("Hostile: socket buffers")
struct SocketBuffers {
    /// As much as goes in, in each of several processes, by connections that nobody reads from; then what all TCP or UDP
    /// sockets of the machine hold, in mebibytes, more than before.
    private static let fill = """
        import resource
        def held(): return sum(int(l.split()[-1]) for l in open('/proc/net/sockstat') if l.startswith(('TCP:', 'UDP:'))) * 4096
        def pair(kind):
            if kind == 'udp':
                a, b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                b.bind(('127.0.0.1', 0)); b.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20); a.connect(b.getsockname())
                return a, b
            server = socket.create_server(('127.0.0.1', 0)); server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            a = socket.create_connection(server.getsockname())
            return a, server.accept()[0]
        def work(kind):
            kept = []
            for _ in range(100):
                try: a, b = pair(kind)
                except OSError: break
                a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20); a.setblocking(False); kept.append((a, b))
                try:
                    for _ in range(300): a.send(bytes(60000))
                except OSError: pass
            return kept
        def attack(kind):
            before = held()
            done, go = os.pipe(), os.pipe()
            for _ in range(8):
                if os.fork() == 0:
                    kept = work(kind); os.write(done[1], b'x'); os.read(go[0], 1); os._exit(0)
            for _ in range(8): os.read(done[0], 1)
            print(kind + '=' + str(held() - before >> 20), flush=True)
            os.write(go[1], b'x' * 8)
            for _ in range(8): os.wait()

        """

    @Test("TCP and UDP hold no more than the job may, and a little for each socket; what does not fit is refused to the program", .enabled(if: Harness.hasCgroups, "this host has no cgroups to give"), arguments: ["tcp", "udp"])
    func inet(_ kind: String) async throws {
        // Without a bound 800 connections hold several gibibytes.
        let result = try await Attack.python(Self.fill + "attack('\(kind)')\n") {
            $0.limits.memoryBytes = 128 << 20
            $0.limits.cpuTimeMs = 60_000
            $0.limits.wallTimeMs = 60_000
        }
        if result.report.exceeded?.limit == .memory { return }  // v2 counts it as the job's, and ends it.
        #expect(result.report.outcome == .exited(code: 0), "\(result.report.outcome) \(result.report.stderr.text)")
        let held = try #require(Int(result[kind]), "\(result.report.stdout.text)")
        #expect((16...384).contains(held), "\(held) MiB")
    }

    @Test("answers of netlink that nobody reads: few sockets at a time, in whoever's hands they are")
    func netlink() async throws {
        let result = try await Attack.python("""
            import struct, array
            # Of an unknown kind: the kernel sends all of it back with its error.
            message = struct.pack('=IHHII', 16 + 16000, 0x7fff, 5, 1, 0) + bytes(16000)
            def opened(count):
                kept = []
                for _ in range(count):
                    try: s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
                    except OSError as e: kept.append(errno.errorcode[e.errno]); continue
                    s.setblocking(False); s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20); kept.append(s)
                    try:
                        for _ in range(600): s.send(message)
                    except OSError: pass
                return kept
            def refused(kept): return [k for k in kept if isinstance(k, str)]
            def lines(): return [l.split() for l in open('/proc/net/netlink')][1:]
            first = opened(20)
            print('first=%d' % len(refused(first)))
            # Some go on in a socket that is not read, some in children.
            a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            a.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [s.fileno() for s in first[:10]]))])
            for s in first[:10]: s.close()
            ready, go = os.pipe(), os.pipe()
            for _ in range(4):
                if os.fork() == 0: kept = opened(20); os.write(ready[1], b'x'); os.read(go[0], 1); os._exit(0)
            for _ in range(4): os.read(ready[0], 1)
            users = [l for l in lines() if l[-1] != '0']
            print('sockets=%d' % len(users)); print('held=%d' % (sum(int(l[4]) for l in users) >> 20))
            last = opened(8)
            print('last=%s' % last[-1])
            last.clear()
            os.write(go[1], b'x' * 4)
            for _ in range(4): os.wait()
            print('after=%s' % refused(opened(1)), flush=True)
            for _ in range(1000): socket.if_nameindex()
            print('many=ok', flush=True)
            """) { $0.limits.wallTimeMs = 60_000; $0.limits.cpuTimeMs = 30_000 }
        #expect(result.report.outcome == .exited(code: 0), "\(result.report.outcome) \(result.report.stderr.text)")
        // One more for each thread that a busy machine kept for 50 ms from making what it was permitted; five take part.
        let most = 32 + 5, sockets = Int(result["sockets"]) ?? 0
        #expect(result["first"] == "0" && (28...most).contains(sockets) && result["last"] == "ENOBUFS" && result["after"] == "[]", "\(result.report.stdout.text)")
        // Each holds twice what the machine's administrator allows, and one answer more.
        let largest = (try? Files.readFile("/proc/sys/net/core/rmem_max")).flatMap { Int($0.split(separator: "\n")[0]) } ?? 4 << 20
        #expect(try #require(Int(result["held"])) <= sockets * (2 * largest + 64 << 10) >> 20, "\(result.report.stdout.text)")
        #expect(result["many"] == "ok" && result.denials(of: "socket") == 0, "\(result.report.denied)")
    }
}
