// One farm's netfilter table: made, kept apart from those of other farms, swept when its farm is dead. The table is the
// record too: its name says whose it is, its sets which network it has and which interfaces it made forward.

import Glibc
import LinuxSystem
import SandboxCore

struct OutboundTable: Sendable {
    let name: String
    let network: IPv4Network
    /// How the names of this farm's links begin.
    var links: String { Self.links(ofTable: name) }
    /// Interfaces of the host that pass packets on only because of this farm, or of another that was here at its start.
    let switched: [String]
    private let nft: NftTool

    /// The place of the gateway's address in the network.
    static let gateway = 1

    static func make(_ nft: NftTool, _ host: HostRoutes, allow: [IPv4Network], resolvers: [IPv4Address]) throws(FarmError) -> OutboundTable {
        let lock = OutboundLock()
        defer { withExtendedLifetime(lock) {} }
        let others = sweepLocked(nft)
        guard let network = host.freeNetwork(avoiding: others.networks) else {
            throw FarmError(.hostLacks, "no network is free for sandboxes: the host has routes for all of \(HostRoutes.candidates.map(\.description).joined(separator: ", "))")
        }
        let still = host.uplinks.filter { Forwarding.isOff($0) }
        let table = OutboundTable(name: freeName(), network: network, switched: Set(still + others.switched).sorted(), nft: nft)
        let rules = OutboundRules(table: table, allow: allow, resolvers: resolvers).script
        do throws(NftFailure) { try nft.run(["-f", "-"], input: rules) } catch {
            throw FarmError(.hostLacks, "nft does not take the rules of a way out (\(error.message)); modprobe nft_ct nft_masq nft_reject_inet nft_connlimit")
        }
        // After the rules, which keep this from making a router of the host.
        for interface in still {
            do throws(Errno) { try Forwarding.set(interface, true) } catch {
                table.removeLocked()
                throw FarmError(
                    .hostLacks, "\(interface) does not pass packets on, and that cannot be changed here (\(error)); sysctl -w net.ipv4.ip_forward=1, "
                        + "in a container docker run --sysctl net.ipv4.ip_forward=1")
            }
        }
        return table
    }

    func remove() {
        let lock = OutboundLock()
        defer { withExtendedLifetime(lock) {} }
        removeLocked()
    }

    private func removeLocked() {
        _ = try? nft.run(["delete", "table", "inet", name])
        let left = (try? Self.tables()) ?? []
        if left.isEmpty { for interface in switched { Forwarding.giveUp(interface) } }
    }

    // MARK: others

    /// Removes the tables of farms that are gone. Costs one question to the kernel where there is none.
    static func sweep(_ nft: NftTool) {
        guard let tables = try? tables(), tables.contains(where: { $0.owner.isGone }) else { return }
        let lock = OutboundLock()
        defer { withExtendedLifetime(lock) {} }
        let others = sweepLocked(nft)
        if others.networks.isEmpty { for interface in others.switched { Forwarding.giveUp(interface) } }
    }

    /// - Returns: the networks of living farms; what they or dead ones switched on.
    private static func sweepLocked(_ nft: NftTool) -> (networks: [IPv4Network], switched: [String]) {
        var networks: [IPv4Network] = []
        var switched: [String] = []
        for (name, owner) in (try? tables()) ?? [] {
            switched += elements(of: "switched", in: name, nft)
            if owner.isGone, !hasLinks(name, wait: true) {
                _ = try? nft.run(["delete", "table", "inet", name])
            } else {
                networks += elements(of: "sandboxes", in: name, nft).compactMap { IPv4Network($0) }
            }
        }
        return (networks, switched)
    }

    /// Tables whose name says that they are a farm's; no other is ever touched.
    static func tables() throws(Errno) -> [(name: String, owner: FarmOwner)] {
        try NetfilterTables.names().compactMap { name in FarmOwner(name: name).map { (name, $0) } }
    }

    private static func elements(of set: String, in table: String, _ nft: NftTool) -> [String] {
        guard let text = try? nft.run(["list", "set", "inet", table, set]) else { return [] }
        // elements = { "eth0", "eth1" }, over as many lines as it takes.
        guard let start = text.firstRange(of: "elements = {")?.upperBound, let end = text[start...].firstIndex(of: "}") else { return [] }
        return text[start..<end].split(separator: ",").map { $0.trimmed(of: " \t\n\"") }
    }

    // MARK: links

    /// How the names of all farms' links begin.
    static let anyLink = "pdk"

    /// Five characters made of the table's name, so that farms side by side tell their links apart.
    static func links(ofTable name: String) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        let text = String(hash % 60_466_176, radix: 36)
        return anyLink + String(repeating: "0", count: 5 - text.count) + text
    }

    private static func freeName() -> String {
        while true {
            let name = FarmOwner.current.nextName()
            if !hasLinks(name) { return name }
        }
    }

    /// Whether a sandbox may still be at the other end of one: rules have to outlive all they are for. Those of a farm
    /// that was killed go within moments.
    private static func hasLinks(_ name: String, wait: Bool = false) -> Bool {
        let prefix = links(ofTable: name)
        for _ in 0..<(wait ? 200 : 1) {
            if !NetworkLinks.names().contains(where: { $0.hasPrefix(prefix) }) { return false }
            if wait { usleep(10_000) }
        }
        return true
    }
}

extension Substring {
    fileprivate func trimmed(of characters: String) -> String {
        var text = self
        while let first = text.first, characters.contains(first) { text.removeFirst() }
        while let last = text.last, characters.contains(last) { text.removeLast() }
        return String(text)
    }
}

/// Held while tables are made and removed: farms choose networks and switch interfaces one after the other.
private final class OutboundLock {
    private let fd: Int32?

    init() {
        fd = try? Files.open("/run/paddock-outbound.lock", O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
        if let fd { while flock(fd, LOCK_EX) == -1 && errno == EINTR {} }
    }

    deinit { if let fd { Files.close(fd) } }
}

/// Whether the host passes on what arrives by an interface.
enum Forwarding {
    private static func file(_ interface: String) -> String { "/proc/sys/net/ipv4/conf/\(interface)/forwarding" }

    static func isOff(_ interface: String) -> Bool { (try? Files.readFile(file(interface)))?.hasPrefix("0") == true }

    static func set(_ interface: String, _ on: Bool) throws(Errno) { try Files.writeFile(file(interface), on ? "1" : "0") }

    /// Off again, unless somebody has made a router of the whole host meanwhile.
    static func giveUp(_ interface: String) {
        if isOff("all") { try? set(interface, false) }
    }
}
