// `network: outbound`: what a job reaches, and all that it does not.

import Foundation
import LinuxSystem
@testable import ProcessBackend
import SandboxCore
import Testing

extension OutboundTests {
    @Suite("A way out")
    struct WayOutTests {
        let world: World
        init() throws { world = try World() }

        // MARK: what it reaches

        @Test("another machine by TCP and UDP, which sees the host's address and no other")
        func reaches() async throws {
            try await Reach.farm(world) { farm in
                #expect(!farm.unenforced.contains(.outbound))
                let result = try await Reach.run("tcp('tcp', '\(world.address)', 7000); udp('udp', '\(world.address)', 7001)", on: farm)
                #expect(result["tcp"] == "\(world.hostAddress)")
                #expect(result["udp"] == "\(world.hostAddress)")
            }
        }

        @Test("another machine by its name")
        func name() async throws {
            try await Reach.farm(world) { farm in
                let result = try await Reach.run("print('found=' + socket.gethostbyname('mirror.example')); tcp('tcp', 'mirror.example', 7000)", on: farm)
                #expect(result["found"] == "\(world.address)")
                #expect(result["tcp"] == "\(world.hostAddress)")
            }
        }

        @Test("its own loopback, and its own ports on every address of its own")
        func own() async throws {
            try await Reach.farm(world) { farm in
                let result = try await Reach.run("""
                    for name, address in (('loopback', '127.0.0.1'), ('own', own())):
                        server = socket.create_server(('0.0.0.0', 0))
                        client = socket.create_connection((address, server.getsockname()[1]), 3)
                        server.accept()[0].send(b'hello'); print(name + '=' + client.recv(9).decode())
                    """, on: farm)
                #expect(result["loopback"] == "hello")
                #expect(result["own"] == "hello")
            }
        }

        // MARK: what it does not reach

        @Test("no listener of the host, by any address of the host")
        func host() async throws {
            let listener = try HostPort()
            let own = Set(try NetworkLinks().routes().filter { $0.isLocal && $0.prefix == 32 }.map { IPv4Address($0.destination) })
            #expect(own.contains(world.hostAddress) && own.count > 1)
            for address in own { try World.tell("/usr/bin/python3", ["-c", "import socket; socket.create_connection(('\(address)', \(listener.port)), 3)"]) }
            #expect(listener.arrived == own.count, "the host itself reaches it by each")
            try await Reach.farm(world) { farm in
                let result = try await Reach.run(own.map { "tcp('\($0)', '\($0)', \(listener.port))" }.joined(separator: "\n"), on: farm)
                for address in own { #expect(result["\(address)"] == "ECONNREFUSED", "\(address)=\(result["\(address)"])") }
            }
            #expect(listener.arrived == 0)
        }

        @Test("not the host's loopback, even where the host routes it, as cluster nodes do")
        func hostLoopback() async throws {
            let listener = try HostPort(SOCK_DGRAM)
            try await Reach.farm(world) { farm in
                try await Harness.with(Reach.spec(), on: farm) { sandbox in
                    // Its line is there when its first step has run.
                    _ = try await sandbox.run(Harness.plan(["true"]), onOutput: nil)
                    let line = try #require(NetworkLinks.names().first { $0.hasPrefix(OutboundTable.links(ofTable: farm.outboundTable ?? "")) })
                    try Files.writeFile("/proc/sys/net/ipv4/conf/\(line)/route_localnet", "1")
                    // SO_BINDTODEVICE, which any program may set, sends even 127.0.0.1 by the line.
                    let result = try await Reach.run(
                        "udp('bound', '127.0.0.1', \(listener.port), before=lambda s: s.setsockopt(socket.SOL_SOCKET, 25, b'eth0'))", in: sandbox)
                    #expect(result["bound"] == "timeout")
                }
            }
            #expect(listener.arrived == 0)
        }

        @Test("not the gateway's address, nor one that no sandbox has")
        func gateway() async throws {
            let listener = try HostPort()
            try await Reach.farm(world) { farm in
                let result = try await Reach.run("""
                    gateway = next(bytes.fromhex(l.split()[2])[::-1] for l in open('/proc/net/route') if l.split()[1] == '00000000')
                    tcp('gateway', socket.inet_ntoa(gateway), \(listener.port))
                    tcp('nobody', socket.inet_ntoa(gateway[:2] + bytes([gateway[2] + 20, 9])), \(listener.port))
                    """, on: farm)
                #expect(result["gateway"] == "ECONNREFUSED")
                #expect(result["nobody"] == "ECONNREFUSED")
            }
            #expect(listener.arrived == 0)
        }

        @Test("no other sandbox of the farm, whatever the operator allows")
        func neighbour() async throws {
            try await Reach.farm(world, allow: HostRoutes.candidates) { farm in
                try await Harness.with(Reach.spec(), on: farm) { first in
                    let gate = try Files.pipe()
                    async let serving = first.run(Harness.plan(["python3", "-c", """
                        import socket
                        s = socket.create_server(('0.0.0.0', 8000)); s.settimeout(0.1)
                        input()
                        try: s.accept(); print('visited')
                        except TimeoutError: print('alone')
                        """]) { $0.stdin = .descriptor(gate.read) }, onOutput: nil)
                    let result = try await Reach.run("""
                        mine = socket.inet_aton(own())
                        print('mine=' + str(mine[3]))
                        for last in (2, 3, 4): tcp(str(last), socket.inet_ntoa(mine[:3] + bytes([last])), 8000)
                        """, on: farm)
                    try Files.writeAll(gate.write, "\n")
                    Files.close(gate.write)
                    #expect(try await serving.stdout.text == "alone\n")
                    Files.close(gate.read)
                    #expect(result["mine"] == "3" && result["2"] == "ECONNREFUSED", "\(result.report.stdout.text)")
                }
            }
        }

        @Test("nothing in private, shared, link-local, metadata, multicast or reserved ranges")
        func closed() async throws {
            let addresses = [
                "10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.1", "100.64.0.1", "100.127.255.254", "169.254.169.254", "192.0.0.192", "198.19.255.1",
                "240.0.0.1",
            ]
            try await Reach.farm(world) { farm in
                let result = try await Reach.run(addresses.map { "tcp('\($0)', '\($0)', 80)" }.joined(separator: "\n"), on: farm)
                for address in addresses { #expect(result[address] == "ECONNREFUSED", "\(address)=\(result[address])") }
            }
        }

        @Test("a machine at a private address, unless the operator allows its network")
        func privateRange() async throws {
            let script = "tcp('tcp', '\(world.privateAddress)', 7000); udp('udp', '\(world.privateAddress)', 7001)"
            try await Reach.farm(world) { farm in
                let result = try await Reach.run(script, on: farm)
                #expect(result["tcp"] == "ECONNREFUSED")
                #expect(result["udp"] == "timeout")
            }
            try await Reach.farm(world, allow: [IPv4Network(world.privateAddress, prefix: 24)]) { farm in
                let result = try await Reach.run(script, on: farm)
                #expect(result["tcp"] == "\(world.hostAddress)")
                #expect(result["udp"] == "\(world.hostAddress)")
            }
        }

        @Test("of a resolver at a private address nothing but port 53")
        func privateResolver() async throws {
            try await Reach.farm(world, resolver: world.privateAddress) { farm in
                let result = try await Reach.run("""
                    print('found=' + socket.gethostbyname('mirror.example'))
                    tcp('tcp', '\(world.privateAddress)', 7000); udp('udp', '\(world.privateAddress)', 7001)
                    """, on: farm)
                #expect(result["found"] == "\(world.address)")
                #expect(result["tcp"] == "ECONNREFUSED")
                #expect(result["udp"] == "timeout")
            }
        }

        @Test("not what the host publishes by translating addresses, whatever it is translated to")
        func published() async throws {
            let table = "pt-published-\(getpid())"
            let rules = "add chain ip \(table) in { type nat hook prerouting priority dstnat; }; add rule ip \(table) in tcp dport 7999 dnat to \(world.address):7000"
            try World.nft(["add table ip \(table); \(rules)"])
            defer { try? World.nft(["delete table ip \(table)"]) }
            try await Reach.farm(world) { farm in
                let result = try await Reach.run("tcp('host', '\(world.hostAddress)', 7999); tcp('elsewhere', '203.0.113.254', 7999); tcp('straight', '\(world.address)', 7000)", on: farm)
                #expect(result["host"] == "ECONNREFUSED")
                #expect(result["elsewhere"] == "ECONNREFUSED")
                #expect(result["straight"] == "\(world.hostAddress)")
            }
        }

        @Test("no other way than the straight one: packets with options are not passed on")
        func options() async throws {
            try await Reach.farm(world) { farm in
                // Record route, seven bytes and one to fill up: it names no other machine, so that only the rule is in its way.
                let result = try await Reach.run("""
                    udp('plain', '\(world.address)', 7001)
                    udp('options', '\(world.address)', 7001, before=lambda s: s.setsockopt(socket.IPPROTO_IP, 4, bytes([7, 7, 4, 0, 0, 0, 0, 0])))
                    """, on: farm)
                #expect(result["plain"] == "\(world.hostAddress)")
                #expect(result["options"] == "timeout")
            }
        }

        @Test("no IPv6 but the loopback's")
        func ipv6() async throws {
            try await Reach.farm(world) { farm in
                let result = try await Reach.run("""
                    print('with=' + ' '.join(l.split()[-1] for l in open('/proc/net/if_inet6')))
                    for name, address in (('out', '2001:db8::1'), ('link', 'fe80::1%eth0')):
                        s = socket.socket(socket.AF_INET6)
                        try: s.connect(socket.getaddrinfo(address, 80, type=socket.SOCK_STREAM)[0][4]); print(name + '=ok')
                        except OSError as e: print(name + '=' + errno.errorcode.get(e.errno, str(e)))
                    """, on: farm)
                #expect(result["with"] == "lo")
                #expect(result["out"] == "ENETUNREACH")
                #expect(["EADDRNOTAVAIL", "ENETUNREACH", "EHOSTUNREACH"].contains(result["link"]), "\(result["link"])")
            }
        }

        // MARK: what is done to it

        @Test("the host cannot speak to a sandbox first, nor can another machine")
        func unasked() async throws {
            let pid = world.pid
            try await Reach.farm(world) { farm in
                try await Harness.with(Reach.spec(), on: farm) { sandbox in
                    let gate = try Files.pipe()
                    let own = try await Reach.run("print('own=' + own())", in: sandbox)["own"]
                    async let serving = sandbox.run(Harness.plan(["python3", "-c", """
                        import socket
                        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('0.0.0.0', 8001)); s.settimeout(0.1)
                        print('up', flush=True); input()
                        try: print(s.recv(9))
                        except TimeoutError: print('silence')
                        """]) { $0.stdin = .descriptor(gate.read); $0.stream = true }) { _, _ in
                            // It listens by now.
                            let words = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'hi', ('\(own)', 8001))"
                            _ = try? World.python(words, in: pid)
                            _ = try? World.tell("/usr/bin/python3", ["-c", words])
                            try? Files.writeAll(gate.write, "\n")
                        }
                    #expect(try await serving.stdout.text == "up\nsilence\n")
                    Files.close(gate.read)
                    Files.close(gate.write)
                }
            }
        }

        @Test("one sandbox has a bounded number of the host's connections")
        func connections() async throws {
            try await Reach.farm(world) { farm in
                let result = try await Reach.run("""
                    answered = 0
                    for i in range(1200):
                        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.02); s.bind(('', 20000 + i)); s.connect(('\(world.address)', 7001)); s.send(b'?')
                        try: s.recv(100); answered += 1
                        except TimeoutError: pass
                        s.close()
                    print('answered=' + str(answered))
                    """, on: farm)
                #expect((1000...OutboundRules.connections).contains(Int(result["answered"]) ?? -1), "\(result["answered"])")
            }
        }

        @Test("without a filter the kernel still keeps its network from it: no raw socket, no change to the line")
        func noPower() async throws {
            try await Reach.farm(world) { farm in
                let result = try await Reach.run("""
                    import fcntl, struct
                    def attempt(name, work):
                        try: work(); print(name + '=ok')
                        except OSError as e: print(name + '=' + errno.errorcode[e.errno])
                    attempt('raw', lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
                    attempt('packet', lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x300))
                    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    attempt('down', lambda: fcntl.ioctl(s, 0x8914, struct.pack('16sh14x', b'eth0', 0)))
                    attempt('address', lambda: fcntl.ioctl(s, 0x8916, struct.pack('16sHH4s8x', b'eth0', 2, 0, bytes([192, 0, 2, 99]))))
                    attempt('transparent', lambda: s.setsockopt(socket.IPPROTO_IP, 19, 1))
                    attempt('setting', lambda: open('/proc/sys/net/ipv4/conf/eth0/arp_accept', 'w'))
                    """, spec: Reach.spec { $0.seccomp = nil }, on: farm)
                for name in ["raw", "packet", "down", "address", "transparent"] { #expect(result[name] == "EPERM", "\(name)=\(result[name])") }
                #expect(["EROFS", "EACCES"].contains(result["setting"]), "\(result["setting"])")
            }
        }

        // MARK: names

        @Test("an image's own resolv.conf, whatever it is, is hidden and not followed", arguments: ["link to a file of the host", "dangling link", "directory", "etc is a link", "nothing"])
        func hostileImage(kind: String) async throws {
            let place = Harness.scratch + "/image-\(UUID().uuidString)"
            let manager = FileManager.default
            try manager.copyItem(atPath: Harness.root.layers[0], toPath: place)
            defer { try? manager.removeItem(atPath: place) }
            let victim = place + "-victim"
            try manager.createDirectory(atPath: victim, withIntermediateDirectories: true)
            defer { try? manager.removeItem(atPath: victim) }
            try "precious".write(toFile: victim + "/resolv.conf", atomically: true, encoding: .utf8)
            switch kind {
            case "link to a file of the host": try manager.createSymbolicLink(atPath: place + "/etc/resolv.conf", withDestinationPath: victim + "/resolv.conf")
            case "dangling link": try manager.createSymbolicLink(atPath: place + "/etc/resolv.conf", withDestinationPath: "../run/systemd/resolve/stub-resolv.conf")
            case "directory": try manager.createDirectory(atPath: place + "/etc/resolv.conf/x", withIntermediateDirectories: true)
            case "etc is a link":
                try manager.removeItem(atPath: place + "/etc")
                try manager.createSymbolicLink(atPath: place + "/etc", withDestinationPath: victim)
            default: break
            }
            try await Reach.farm(world) { farm in
                let spec = Reach.spec { $0.root = RootFilesystem(layers: [place], binds: Harness.root.binds) }
                let result = try await Reach.run("""
                    print('read=' + open('/etc/resolv.conf').read().strip())
                    print('kept=' + str(os.path.exists('/etc/passwd')))
                    for name, work in (('write', lambda: open('/etc/resolv.conf', 'w')), ('remove', lambda: os.unlink('/etc/resolv.conf'))):
                        try: work(); print(name + '=ok')
                        except OSError as e: print(name + '=' + errno.errorcode[e.errno])
                    """, spec: spec, on: farm)
                #expect(result["read"] == "nameserver \(world.address)")
                #expect(result["kept"] == (kind == "etc is a link" ? "False" : "True"), "the rest of the image's /etc")
                #expect(result["write"] == "EACCES" && result["remove"] == "EACCES")
            }
            #expect(try String(contentsOfFile: victim + "/resolv.conf", encoding: .utf8) == "precious")
        }

        @Test("naming the resolvers costs the job none of its disk")
        func disk() async throws {
            try await Reach.farm(world) { farm in
                let report = try await Harness.sh("true", spec: Reach.spec(), on: farm)
                let without = try await Harness.sh("true")
                #expect(report.usage.diskBytes == without.usage.diskBytes && report.usage.diskInodes == without.usage.diskInodes, "\(report.usage) \(without.usage)")
            }
        }
    }
}
