// The host's own network, as far as a way out has to know it: which addresses are its own, which networks are free, and
// by which interfaces it reaches others.

import LinuxSystem
import SandboxCore

struct HostRoutes {
    private let routes: [NetworkLinks.Route]
    /// Interfaces that lead to other machines.
    let uplinks: [String]

    /// Where sandboxes' networks are taken from: first the range for benchmarks of network devices, which nearly nobody
    /// routes, then the private ones.
    static let candidates = ["198.18.0.0/15", "172.16.0.0/12", "10.0.0.0/8"].compactMap { IPv4Network($0) }
    /// 16,384 addresses for each farm.
    static let prefix = 18

    init(routes: [NetworkLinks.Route], name: (UInt32) -> String?) {
        self.routes = routes
        let indices = Set(routes.filter { !$0.isLocal }.flatMap(\.interfaces))
        uplinks = indices.compactMap(name).filter { $0 != "lo" && !$0.hasPrefix(OutboundTable.anyLink) }.sorted()
    }

    static func read() throws(Errno) -> HostRoutes {
        HostRoutes(routes: try NetworkLinks().routes(), name: NetworkLinks.name(of:))
    }

    func isOwn(_ address: IPv4Address) -> Bool {
        routes.contains { $0.isLocal && IPv4Network(IPv4Address($0.destination), prefix: $0.prefix).contains(address) }
    }

    /// The first network of a farm's size that no route of the host leads into, and no other farm has.
    func freeNetwork(avoiding others: [IPv4Network]) -> IPv4Network? {
        // Routes for whole quarters of all addresses are default routes in disguise, as VPNs make them.
        let used = others + routes.filter { $0.prefix >= 5 }.map { IPv4Network(IPv4Address($0.destination), prefix: $0.prefix) }
        for candidate in Self.candidates {
            let size = 1 << (32 - Self.prefix)
            for offset in stride(from: 0, to: candidate.count, by: size) {
                let network = IPv4Network(candidate[offset], prefix: Self.prefix)
                if !used.contains(where: network.overlaps) { return network }
            }
        }
        return nil
    }

    /// The largest packet that every uplink takes whole.
    var mtu: Int {
        let found = uplinks.compactMap { name in (try? Files.readFile("/sys/class/net/\(name)/mtu")).flatMap { Int($0.dropLast()) } }
        return min(1500, max(1280, found.min() ?? 1500))
    }
}
