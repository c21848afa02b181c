// Sockets: reaching the host, other sandboxes, the farm.

import Foundation
import LinuxSystem
import SandboxCore
import Testing

@Suite("Hostile: network")
struct NetworkAttacks {
    @Test("raw, packet, netlink and rare sockets are denied and named", arguments: ["strict", "default", "network"])
    func families(policy: String) async throws {
        let result = try await Attack.python("""
            for name, family, kind, protocol in (('raw', 2, 3, 1), ('raw6', 10, 3, 58), ('packet', 17, 3, 0x300), ('packet dgram', 17, 2, 0), ('audit', 16, 3, 9),
                    ('netfilter', 16, 3, 12), ('xfrm', 16, 3, 6), ('vsock', 40, 1, 0), ('alg', 38, 5, 0), ('bluetooth', 31, 3, 1), ('can', 29, 3, 1),
                    ('tipc', 30, 1, 0), ('rds', 21, 5, 0), ('xdp', 44, 3, 0), ('sctp', 2, 1, 132), ('ping', 2, 2, 1), ('key', 15, 3, 2), ('ax25', 3, 5, 0)):
                attempt(name, call, 'socket', family, kind, protocol)
            """, spec: Harness.spec(policy))
        let lines = result.report.stdout.text.split(separator: "\n")
        #expect(lines.count == 18)
        for line in lines { #expect(!line.hasSuffix("=ok"), "\(line)") }
        #expect(result["raw"] == "EPERM" && result["packet"] == "EPERM" && result["alg"] == "EPERM")
        #expect(result.denials(of: "socket") > 10, "\(result.report.denied)")
    }

    @Test("without a filter the kernel refuses raw and packet sockets, and the network there is empty")
    func withoutFilter() async throws {
        let result = try await Attack.python("""
            attempt('raw', call, 'socket', 2, 3, 1)
            attempt('packet', call, 'socket', 17, 3, 0x300)
            print('interfaces=' + ','.join(sorted(n for _, n in socket.if_nameindex())))
            """, spec: Harness.spec(nil))
        #expect(result["raw"] == "EPERM" && result["packet"] == "EPERM")
        #expect(result["interfaces"].split(separator: ",").contains("lo"))
        #expect(!result["interfaces"].contains("eth") && !result["interfaces"].contains("enp"))
    }

    @Test("the host's loopback is another one; an address elsewhere is unreachable at once")
    func loopback() async throws {
        let listener = try HostListener()
        let result = try await Attack.python("""
            s = socket.socket(); s.settimeout(3)
            attempt('host', s.connect, ('127.0.0.1', \(listener.port)))
            for name, address in (('elsewhere', '192.0.2.1'), ('metadata', '169.254.169.254'), ('private', '10.0.0.1')):
                t = socket.socket(); t.settimeout(3)
                attempt(name, t.connect, (address, 80))
            server = socket.create_server(('127.0.0.1', 0))
            client = socket.create_connection(server.getsockname())
            peer, _ = server.accept()
            client.sendall(b'hello'); print('own=' + peer.recv(5).decode())
            """)
        #expect(result["host"] == "ECONNREFUSED")
        for name in ["elsewhere", "metadata", "private"] { #expect(result[name] == "ENETUNREACH", "\(name)=\(result[name])") }
        #expect(result["own"] == "hello")
        #expect(listener.connections == 0)
    }

    @Test("abstract Unix sockets and socket files of the host cannot be reached")
    func unixSockets() async throws {
        let listener = try HostListener()
        let result = try await Attack.python("""
            for name, path in (('abstract', '\\0\(listener.name)'), ('file', '\(listener.path)'), ('through root', '/proc/1/root\(listener.path)'),
                    ('docker', '/run/docker.sock'), ('dbus', '/run/dbus/system_bus_socket')):
                s = socket.socket(socket.AF_UNIX); attempt(name, s.connect, path)
            """)
        #expect(result["abstract"] == "ECONNREFUSED")
        for name in ["file", "docker", "dbus"] { #expect(result[name] == "ENOENT", "\(name)=\(result[name])") }
        #expect(["EACCES", "EPERM", "ENOENT"].contains(result["through root"]))
        #expect(listener.connections == 0)
    }

    @Test("the warden's descriptors are not there: only the three streams, and none of them is a socket")
    func descriptors() async throws {
        let result = try await Attack.python("""
            import stat
            kinds = []
            for fd in range(0, 200):
                try: mode = os.fstat(fd).st_mode
                except OSError: continue
                kinds.append(f"{fd}:{'socket' if stat.S_ISSOCK(mode) else 'pipe' if stat.S_ISFIFO(mode) else 'char' if stat.S_ISCHR(mode) else 'file'}")
            print('fds=' + ' '.join(kinds))
            for fd in range(3, 64):
                try: os.write(fd, b'\\x0b'); print('wrote=ok')
                except OSError: pass
            """)
        #expect(result["fds"] == "0:char 1:pipe 2:pipe")
        #expect(result["wrote"] == "(not tried)")
    }
}

/// Listeners of the host that a sandbox must not reach: TCP on the loopback, an abstract and a named Unix socket.
private final class HostListener {
    let port: UInt16
    let name = "paddock-test-\(UUID().uuidString)"
    let path: String
    private var descriptors: [Int32] = []

    init() throws {
        path = "/tmp/\(name).sock"
        let tcp = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { p in
            p.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(tcp, $0, size) == 0 && listen(tcp, 5) == 0 && getsockname(tcp, $0, &size) == 0 }
        }
        try #require(bound)
        port = UInt16(bigEndian: address.sin_port)
        descriptors.append(tcp)
        for bytes in [[0] + Array(name.utf8), Array(path.utf8)] {
            let fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
            var local = sockaddr_un()
            local.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &local.sun_path) { $0.copyBytes(from: bytes) }
            let length = socklen_t(2 + bytes.count)
            let ok = withUnsafePointer(to: &local) { p in
                p.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(fd, $0, length) == 0 && listen(fd, 5) == 0 }
            }
            try #require(ok)
            descriptors.append(fd)
        }
        chmod(path, 0o777)
    }

    var connections: Int { descriptors.count { accept($0, nil, nil) >= 0 } }

    deinit {
        for fd in descriptors { close(fd) }
        unlink(path)
    }
}
