// What a farm makes of the host's routes and resolvers, without a host.

import LinuxSystem
@testable import ProcessBackend
import SandboxCore
import Testing

@Suite("The host's network, as a way out sees it")
struct HostNetworkTests {
    private func route(_ network: String, by interface: UInt32 = 2, local: Bool = false) -> NetworkLinks.Route {
        let network = IPv4Network(network)!
        return NetworkLinks.Route(destination: network.first.raw, prefix: network.prefix, isLocal: local, interfaces: [interface])
    }

    private func host(_ routes: [NetworkLinks.Route]) -> HostRoutes {
        HostRoutes(routes: routes) { [1: "lo", 2: "eth0", 3: "docker0", 4: "pdk0000a1"][$0] }
    }

    @Test("a farm's network is the first that no route leads into and no other farm has")
    func free() {
        #expect(host([]).freeNetwork(avoiding: [])?.description == "198.18.0.0/18")
        #expect(host([route("198.18.0.0/15")]).freeNetwork(avoiding: [])?.description == "172.16.0.0/18")
        #expect(host([route("198.18.3.7/32")]).freeNetwork(avoiding: [IPv4Network("198.18.64.0/18")!])?.description == "198.18.128.0/18")
        #expect(host([route("198.18.0.0/15"), route("172.16.0.0/12")]).freeNetwork(avoiding: [])?.description == "10.0.0.0/18")
        #expect(host([route("198.18.0.0/15"), route("172.16.0.0/12"), route("10.0.0.0/8")]).freeNetwork(avoiding: []) == nil)
    }

    @Test("default routes, and what VPNs make of them, take no network")
    func defaults() {
        #expect(host([route("0.0.0.0/0"), route("0.0.0.0/1"), route("128.0.0.0/1")]).freeNetwork(avoiding: [])?.description == "198.18.0.0/18")
    }

    @Test("uplinks are the interfaces that routes lead by, without the loopback and other sandboxes")
    func uplinks() {
        let found = host([route("127.0.0.0/8", by: 1), route("0.0.0.0/0"), route("172.17.0.0/16", by: 3), route("198.18.0.2/32", by: 4), route("192.0.2.2/32", local: true)])
        #expect(found.uplinks == ["docker0", "eth0"])
    }

    @Test("the host's own addresses are its local routes")
    func own() {
        let found = host([route("127.0.0.0/8", by: 1, local: true), route("192.0.2.2/32", local: true), route("192.0.2.0/24")])
        #expect(found.isOwn(IPv4Address("127.0.0.53")!) && found.isOwn(IPv4Address("192.0.2.2")!) && !found.isOwn(IPv4Address("192.0.2.3")!))
    }

    @Test("resolvers are those of the file that a sandbox can reach: three, IPv4, not the host's own")
    func resolvers() {
        func usable(_ text: String) -> [String] { HostResolvers.usable(text) { $0.raw >> 24 == 127 }.map(\.description) }
        #expect(usable("# nameserver 9.9.9.9\nnameserver 127.0.0.53\noptions edns0\nsearch lan\n") == [])
        #expect(usable("nameserver\t10.0.0.1 \nnameserver fe80::1%eth0\n nameserver 10.0.0.2 # second\nnameserver 10.0.0.256\nnameserver\n") == ["10.0.0.1", "10.0.0.2"])
        #expect(usable((1...5).map { "nameserver 10.0.0.\($0)\n" }.joined()) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
    }

    @Test("without any resolver it is the host that lacks something, and the error says what and what to write")
    func noResolver() {
        let error = #expect(throws: FarmError.self) { try HostResolvers.find([], in: ["/nowhere/resolv.conf"]) { _ in false } }
        #expect(error?.code == .hostLacks && error?.message.contains("/nowhere/resolv.conf") == true && error?.message.contains("resolvers: [ADDRESS]") == true)
    }
}
