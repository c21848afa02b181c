// A sandbox's way out: a pair of interfaces from its network namespace to the host's. It has nothing to be misused: no
// shared segment, no address resolution, a network of one address. What may pass is decided on the host, by the rules
// of the daemon's `OutboundNetwork`; this file only lays the line.

import Glibc
import LinuxSystem
import SandboxCore

/// Where a sandbox stands in its farm's network.
public struct OutboundAddress: Sendable, Equatable {
    /// What the host's end is called; the farm's rules know it by how the name begins.
    public var link: String
    public var address: IPv4Address
    /// What the sandbox sends everything to. No machine has this address: on a line with two ends it only says which way.
    public var gateway: IPv4Address
    public var mtu: Int
    /// Who answers for names.
    public var resolvers: [IPv4Address]

    public init(link: String, address: IPv4Address, gateway: IPv4Address, mtu: Int, resolvers: [IPv4Address]) {
        self.link = link
        self.address = address
        self.gateway = gateway
        self.mtu = mtu
        self.resolvers = resolvers
    }
}

enum OutboundLink {
    /// What the sandbox's end is called.
    static let inside = "eth0"

    /// Joins `namespace` to this process's own network namespace. The process has to have one thread, as it goes in and
    /// comes back. The line goes when the sandbox's namespace does.
    static func attach(_ place: OutboundAddress, to namespace: Int32) throws(Failure) {
        try attempt(.outboundLink, place.link) { () throws(Errno) in
            let links = try NetworkLinks()
            // One hardware address for both ends: an interface that does not resolve addresses sends to its own.
            let hardware = [0x02, 0x50] + withUnsafeBytes(of: place.address.raw.bigEndian) { Array($0) }
            try links.makePair(
                .init(name: place.link, hardwareAddress: hardware), .init(name: inside, hardwareAddress: hardware), in: namespace,
                mtu: place.mtu)
            let index = try links.index(of: place.link)
            try links.withoutIPv6(index)
            try links.forward(index)
            try links.bringUp(index)
            try links.addRoute(to: place.address.raw, by: index)
        }
        let home: Int32
        do { home = try Files.open("/proc/self/ns/net", O_RDONLY) } catch { throw Failure(.outboundLink, error.code, "own namespace") }
        defer { Files.close(home) }
        try attempt(.outboundLink, "entering") { () throws(Errno) in try Processes.enter(namespace, .network) }
        // Whatever happened there: a spawner that stayed would make the next sandbox's line out of this one's.
        defer { if (try? Processes.enter(home, .network)) == nil { Processes.exit(1) } }
        try attempt(.outboundLink, inside) { () throws(Errno) in
            let links = try NetworkLinks()
            let index = try links.index(of: inside)
            try links.withoutIPv6(index)
            try links.addAddress(place.address.raw, to: index)
            try links.bringUp(index)
            try links.addRoute(to: place.gateway.raw, by: index)
            try links.addRoute(to: nil, by: index, gateway: place.gateway.raw)
        }
    }
}
