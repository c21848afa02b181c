// An outside world on this machine: a network namespace with a server in it, joined to the host by a cable of its own.
// It has a public address (of the ranges for documentation), a private one, and answers for names.

import Foundation
import LinuxSystem
@testable import ProcessBackend
import SandboxCore
import Testing

/// One after the other: they share the machine's network.
@Suite("Network: outbound", .serialized, .enabled(if: World.isPossible, "\(World.lack)"))
enum OutboundTests {}

final class World {
    /// Answers TCP on port 7000 and UDP on 7001, both with the address it was asked from, and DNS on port 53.
    let address: IPv4Address
    /// The same server at an address of a closed range.
    let privateAddress: IPv4Address
    /// The host's end of the cable, and its address there.
    let link: String
    let hostAddress: IPv4Address
    private let server: Program

    /// What these tests take; the reason is printed where it is not there.
    static let isPossible =
        Harness.isRoot && NftTool(nil) != nil && (try? NetfilterTables.names()) != nil
        && [ip, python, "/usr/bin/nsenter", "/usr/bin/unshare"].allSatisfy { FileManager.default.isExecutableFile(atPath: $0) }
    static let lack = "this takes root, a kernel with nf_tables, and nft, ip, nsenter, unshare and python3 in /usr"

    private static let ip = FileManager.default.isExecutableFile(atPath: "/usr/sbin/ip") ? "/usr/sbin/ip" : "/usr/bin/ip"
    private static let python = "/usr/bin/python3"

    /// - Parameter number: of worlds side by side.
    init(_ number: Int = 0) throws {
        // A corner of the range for each test process, so that several can run on one machine.
        let corner = UInt32(getpid()) % 31 * 2 + UInt32(number)
        hostAddress = IPv4Address(0xcb00_7100 + corner * 4 + 1)
        address = IPv4Address(0xcb00_7100 + corner * 4 + 2)
        privateAddress = IPv4Address(0x0a4d_0000 + corner * 256 + 5)
        link = "pt\(getpid())\(number == 0 ? "a" : "b")"
        server = try Program(["/usr/bin/unshare", "--net", Self.python, "-c", Self.script, "\(address)", "\(privateAddress)"])
        try wait(for: "born")
        try Self.tell(Self.ip, "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", "\(server.pid)")
        try Self.tell(Self.ip, "address", "add", "\(hostAddress)/30", "dev", link)
        try Self.tell(Self.ip, "link", "set", link, "up")
        for command in [
            ["link", "set", "lo", "up"], ["address", "add", "\(address)/30", "dev", "eth0"], ["address", "add", "\(privateAddress)/32", "dev", "lo"],
            ["link", "set", "eth0", "up"], ["route", "add", "default", "via", "\(hostAddress)"],
        ] { try Self.tell("/usr/bin/nsenter", ["-t", "\(server.pid)", "-n", Self.ip] + command) }
        try Self.tell(Self.ip, "route", "add", "\(privateAddress)", "via", "\(address)")
        try wait(for: "serving")
    }

    private func wait(for word: String) throws {
        while !server.text.contains(word + "\n") {
            guard server.readMore() else { throw FarmError(.internal, "the world's server: \(server.text)") }
        }
    }

    deinit {
        try? Self.tell(Self.ip, "link", "delete", link)
        server.end()
    }

    /// Runs a Python program in the world; what it printed.
    func python(_ script: String) throws -> String { try Self.python(script, in: pid) }
    var pid: Int32 { server.pid }

    static func python(_ script: String, in pid: Int32) throws -> String {
        let program = try Program(["/usr/bin/nsenter", "-t", "\(pid)", "-n", Self.python, "-c", script])
        _ = program.wait()
        return program.text
    }

    static func nft(_ arguments: [String]) throws { try NftTool(nil)?.run(arguments) }

    static func tell(_ arguments: String...) throws { try tell(arguments[0], Array(arguments.dropFirst())) }

    static func tell(_ path: String, _ arguments: [String]) throws {
        let program = try Program([path] + arguments)
        guard program.wait() == 0 else { throw FarmError(.internal, "\(path) \(arguments.joined(separator: " ")): \(program.text)") }
    }

    var isForwarding: Bool { !Forwarding.isOff(link) }

    private static let script = """
        import ctypes, signal, socket, sys, threading, time
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        own = socket.inet_aton(sys.argv[1])
        def tcp():
            s = socket.create_server(('0.0.0.0', 7000), backlog=100)
            while True:
                c, a = s.accept()
                c.sendall(a[0].encode()); c.close()
        def udp(s):
            while True:
                data, a = s.recvfrom(2000)
                s.sendto(a[0].encode(), a)
        def answer(q):
            end = 12
            while q[end]: end += q[end] + 1
            kind = q[end + 1:end + 3]
            found = b'\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4' + own if kind == b'\\0\\1' else b''
            return q[:2] + b'\\x81\\x80\\0\\1' + (b'\\0\\1' if found else b'\\0\\0') + b'\\0\\0\\0\\0' + q[12:end + 5] + found
        def dns(s):
            while True:
                q, a = s.recvfrom(2000)
                s.sendto(answer(q), a)
        def serve(work, address, port):
            # Bound to the one address, so that answers come from it.
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((address, port))
            threading.Thread(target=work, args=(s,), daemon=True).start()
        print('born', flush=True)
        # Its addresses are given to it from outside.
        while not all('-- ' + a + '\\n' in open('/proc/net/fib_trie').read() for a in sys.argv[1:3]): time.sleep(0.005)
        for address in sys.argv[1:3]: serve(udp, address, 7001); serve(dns, address, 53)
        threading.Thread(target=tcp, daemon=True).start()
        print('serving', flush=True)
        threading.Event().wait()
        """
}

/// A job's attempts to reach things.
enum Reach {
    /// Python: `tcp(name, address, port)` and `udp(…)` print `name=` what the other side said, or why it could not be asked.
    /// A datagram nobody answers is `timeout`.
    static let prelude = """
        import errno, os, socket, sys
        def attempt(name, kind, address, port, before=lambda s: None, wait=3):
            s = socket.socket(socket.AF_INET, kind); s.settimeout(wait)
            try:
                before(s)
                s.connect((address, port))
                if kind == socket.SOCK_DGRAM: s.send(b'?')
                said = s.recv(100).decode()
            except TimeoutError: said = 'timeout'
            except OSError as e: said = errno.errorcode.get(e.errno, str(e))
            print(name + '=' + said, flush=True)
            s.close()
        def own():
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('203.0.113.1', 9))
            return s.getsockname()[0]
        def tcp(name, address, port, **more): attempt(name, socket.SOCK_STREAM, address, port, **more)
        def udp(name, address, port, **more): attempt(name, socket.SOCK_DGRAM, address, port, **{'wait': 0.5, **more})

        """

    static func run(_ script: String, in sandbox: any Sandbox) async throws -> AttackResult {
        let report = try await sandbox.run(Harness.plan(["python3", "-c", prelude + script]), onOutput: nil)
        guard report.outcome == .exited(code: 0) else { throw FarmError(.internal, "\(report.outcome): \(report.stderr.text)") }
        return AttackResult(report)
    }

    static func run(_ script: String, spec: SandboxSpec = spec(), on farm: ProcessBackend) async throws -> AttackResult {
        try await Harness.with(spec, on: farm) { try await run(script, in: $0) }
    }

    static func spec(_ change: (inout SandboxSpec) -> Void = { _ in }) -> SandboxSpec {
        Harness.spec("network") {
            $0.tolerateMissing = []
            change(&$0)
        }
    }

    /// A farm whose resolver is the world's, for the time of `body`.
    static func farm<T>(_ world: World, allow: [IPv4Network] = [], resolver: IPv4Address? = nil, _ body: (ProcessBackend) async throws -> T) async throws -> T {
        let farm = try Harness.backend(outbound: OutboundSettings(allow: allow, resolvers: [resolver ?? world.address]))
        do {
            let result = try await body(farm)
            await farm.shutdown()
            return result
        } catch {
            await farm.shutdown()
            throw error
        }
    }
}

/// A port of the host, on all its addresses.
final class HostPort {
    let port: UInt16
    private let fd: Int32
    private let kind: __socket_type

    init(_ kind: __socket_type = SOCK_STREAM) throws {
        let fd = socket(AF_INET, Int32(kind.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { p in
            p.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(fd, $0, size) == 0 && (kind != SOCK_STREAM || listen(fd, 50) == 0) && getsockname(fd, $0, &size) == 0 }
        }
        guard bound else { throw Errno(errno) }
        self.fd = fd
        self.kind = kind
        port = UInt16(bigEndian: address.sin_port)
    }

    /// How many connections or datagrams have come since it was asked before.
    var arrived: Int {
        var count = 0
        var byte: UInt8 = 0
        while true {
            if kind == SOCK_STREAM {
                let peer = accept(fd, nil, nil)
                if peer < 0 { return count }
                close(peer)
            } else if recv(fd, &byte, 1, 0) < 0 {
                return count
            }
            count += 1
        }
    }

    deinit { close(fd) }
}
