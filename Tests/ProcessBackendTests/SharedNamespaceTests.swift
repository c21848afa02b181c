// Sandboxes without a network whose jobs can make no socket are in one network namespace, and those whose jobs can make nothing
// that has a name among processes in one ipc namespace. Nothing can be said across either.

import Foundation
import SandboxCore
import Testing

@Suite("Sandboxes in one namespace", .enabled(if: Harness.isRoot, "each cell makes its own where the spawner is not root"))
struct SharedNamespaceTests {
    @Test("those that can make nothing in one share it, and it is neither the host's nor that of any other policy", arguments: ["net", "ipc"])
    func who(kind: String) async throws {
        let backend = try Harness.backend()
        var found: [String] = []
        for spec in [Harness.spec("strict"), Harness.spec("strict") { $0.pool = "other" }, Harness.spec("default"), Harness.spec(nil) { $0.network = .none }] {
            found.append(try await Harness.run(["readlink", "/proc/self/ns/\(kind)"], spec: spec, on: backend).stdout.text)
        }
        let host = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/\(kind)") + "\n"
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

    @Test("one of them makes no queue, semaphore or shared memory by any call, and finds none")
    func noIPC() async throws {
        let result = try await Attack.python("""
            made = []
            IPC_CREAT, IPC_PRIVATE = 0o1000, 0
            buffer = ctypes.create_string_buffer(4096)
            there = ctypes.addressof(buffer)
            def tried(name, *arguments):
                try:
                    if call(name, *arguments) != -1: made.append(name)
                except OSError: pass
            for key in (IPC_PRIVATE, 1, 0x5eed, -1):
                for flags in (0, IPC_CREAT, IPC_CREAT | 0o666, IPC_CREAT | 0o2000 | 0o777, 0o4000 | IPC_CREAT, -1):
                    tried('shmget', key, 4096, flags)
                    tried('semget', key, 1, flags)
                    tried('msgget', key, flags)
            for name in (b'/x', b'x', b'/', b''):
                for flags in (0, 1, 2, 0o100 | 2, 0o300 | 2, -1): tried('mq_open', name, flags, 0o666, 0)
                tried('mq_unlink', name)
            for number in (0, 1, 0x8000, 32768 * 2):
                for command in (0, 1, 2, 3, 13, 14, 15, 18, 19, 20):
                    tried('shmctl', number, command, there); tried('msgctl', number, command, there); tried('semctl', number, 0, command, there)
                tried('shmat', number, 0, 0); tried('msgrcv', number, there, 64, 0, 0o4000); tried('msgsnd', number, there, 1, 0o4000)
                tried('semop', number, there, 1)
            for path in ('/dev/mqueue', '/dev/mqueue/x', '/proc/sysvipc/shm', '/proc/sys/kernel/msgmni', '/proc/sys/fs/mqueue/queues_max'):
                attempt(path, open, path, 'w')
            print('done=' + (' '.join(sorted(set(made))) or 'nothing'))
            """, spec: Harness.spec("strict") { $0.pool = "noisy" })
        #expect(result["done"] == "nothing", "\(result.report.stdout.text) \(result.report.stderr.text)")
        for name in ["/dev/mqueue", "/dev/mqueue/x", "/proc/sysvipc/shm", "/proc/sys/kernel/msgmni", "/proc/sys/fs/mqueue/queues_max"] {
            #expect(result[name] != "ok" && result[name] != "(not tried)", "\(name)")
        }
    }
}
