// Sandboxes without a network whose jobs can make no socket are in one network namespace. Nothing can be said across it.

import Foundation
import SandboxCore
import Testing

@Suite("Sandboxes in one network namespace", .enabled(if: Harness.isRoot, "each cell makes its own where the spawner is not root"))
struct SharedNetworkTests {
    @Test("those that can make no socket share one, which is neither the host's nor that of any other policy")
    func who() async throws {
        let backend = try Harness.backend()
        var found: [String] = []
        for spec in [Harness.spec("strict"), Harness.spec("strict") { $0.pool = "other" }, Harness.spec("default"), Harness.spec(nil) { $0.network = .none }] {
            found.append(try await Harness.run(["readlink", "/proc/self/ns/net"], spec: spec, on: backend).stdout.text)
        }
        let host = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/net") + "\n"
        #expect(found[0] == found[1] && Set(found + [host]).count == 4, "\(found) \(host)")
        await backend.shutdown()
    }

    /// All that the kernel tells of this network at once. The other files there count for the whole machine, in any namespace.
    private static let look = """
        names = 'dev dev_mcast if_inet6 igmp igmp6 ip6_flowlabel netlink netstat packet raw raw6 route ipv6_route snmp snmp6 tcp tcp6 udp udp6 unix arp'
        for name in names.split():
            try: print(name, open('/proc/self/net/' + name).read())
            except OSError as error: print(name, error.errno)
        print(open('/proc/self/net/sockstat').readline())
        """

    @Test("one of them makes no socket by any call, and the others see the same empty network while it tries")
    func nothingAcross() async throws {
        let strict = Harness.spec("strict")
        let before = try await Harness.python(Self.look, spec: strict).stdout.text
        #expect(before.contains("unix Num "), "\(before)")
        async let attack = Attack.python("""
            pair = (ctypes.c_int * 2)()
            for family in range(46):
                for kind in (1, 2, 3, 4, 5, 6, 10, 0x80001, 0x80802):
                    for name, rest in (('socket', (0,)), ('socketpair', (0, ctypes.addressof(pair)))):
                        try: print(f'made={name} {family} {kind}' if call(name, family, kind, *rest) != -1 else '', end='')
                        except OSError: pass
            attempt('io_uring', call, 'io_uring_setup', 8, 0)
            for path in ('/proc/self/net/x', '/proc/self/net/unix', '/proc/sys/net/x'): attempt(path, open, path, 'w')
            print('done=yes')
            """, spec: Harness.spec("strict") { $0.pool = "noisy" })
        for _ in 0..<5 {
            let now = try await Harness.python(Self.look, spec: strict).stdout.text
            #expect(now == before)
        }
        let result = try await attack
        #expect(result["made"] == "(not tried)" && result["done"] == "yes", "\(result.report.stdout.text) \(result.report.stderr.text)")
        for name in ["io_uring", "/proc/self/net/x", "/proc/self/net/unix", "/proc/sys/net/x"] { #expect(result[name] != "ok" && result[name] != "(not tried)", "\(name)") }
        #expect(try await Harness.python(Self.look, spec: strict).stdout.text == before)
    }
}
