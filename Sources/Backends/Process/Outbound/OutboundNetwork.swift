// The way out of a farm's sandboxes, on the host's side: a network of addresses that are given to sandboxes one by one,
// and the netfilter table that decides what passes. Made with the first sandbox that is to have one, removed at the end;
// what a killed farm left is removed by the next. docs/adr/0004-way-out.md says why it looks like this.

import Confinement
import Glibc
import LinuxSystem
import SandboxCore
import Synchronization

/// What an operator decides about ways out.
public struct OutboundSettings: Sendable {
    /// Networks of the closed ranges that sandboxes may reach all the same.
    public var allow: [IPv4Network]
    /// Who answers sandboxes for names; empty for the host's own resolvers.
    public var resolvers: [IPv4Address]
    /// Where `nft` is; `nil` for the usual places.
    public var tool: String?

    public init(allow: [IPv4Network] = [], resolvers: [IPv4Address] = [], tool: String? = nil) {
        self.allow = allow
        self.resolvers = resolvers
        self.tool = tool
    }
}

final class OutboundNetwork: Sendable {
    private struct Open {
        let table: OutboundTable
        let resolvers: [IPv4Address]
        let mtu: Int
        /// By the address's place in the network.
        var taken: [Bool]
        var cursor = 1
        var linksMade = 0
    }

    private enum State {
        case unused
        case open(Open)
        case closed
    }

    /// Why sandboxes of this farm cannot have a way out, as far as that shows before one is made.
    let lack: HostLack?
    private let settings: OutboundSettings
    private let state = Mutex(State.unused)

    /// Sweeps what dead farms left; changes nothing else.
    init(_ settings: OutboundSettings) {
        self.settings = settings
        lack = Self.findLack(settings)
        if lack == nil, let nft = NftTool(settings.tool) { OutboundTable.sweep(nft) }
    }

    private static func findLack(_ settings: OutboundSettings) -> HostLack? {
        if geteuid() != 0 { return HostLack("the daemon is not root", fix: "run it as root") }
        guard Capabilities.effective("cap_net_admin") else {
            return HostLack("root without cap_net_admin", fix: "docker run --cap-add NET_ADMIN, or CapabilityBoundingSet= of the systemd unit")
        }
        guard NftTool(settings.tool) != nil else { return HostLack("nft is not installed", fix: "apt-get install nftables") }
        do { _ = try NetfilterTables.names() } catch {
            return HostLack("the kernel has no nf_tables: \(error)", fix: "modprobe nf_tables; in a container, ask who runs the host to")
        }
        return nil
    }

    // MARK: addresses

    /// An address that no sandbox has, with all that a sandbox needs to use it.
    func take() throws(FarmError) -> OutboundAddress {
        try state.withLock { (state) throws(FarmError) in
            var open: Open
            switch state {
            case .closed: throw FarmError(.sandboxLost, "the farm is shutting down")
            case .open(let now): open = now
            case .unused: open = try makeOpen()
            }
            // Taken out, so that the array is not copied for each.
            state = .unused
            defer { state = .open(open) }
            let place = try Self.nextPlace(&open)
            open.linksMade += 1
            // A number of its own in each name: a line whose sandbox is gone may be there for a moment longer.
            return OutboundAddress(
                link: open.table.links + String(open.linksMade, radix: 36), address: open.table.network[place],
                gateway: open.table.network[OutboundTable.gateway], mtu: open.mtu, resolvers: open.resolvers)
        }
    }

    /// Round and round, so that an address rests as long as there are others: the host remembers its connections.
    private static func nextPlace(_ open: inout Open) throws(FarmError) -> Int {
        for _ in open.taken.indices {
            open.cursor = open.cursor % (open.taken.count - 1) + 1
            if !open.taken[open.cursor] {
                open.taken[open.cursor] = true
                return open.cursor
            }
        }
        throw FarmError(.sandboxSetup, "all \(open.taken.count - 2) addresses of sandboxes with a way out are in use", retryable: true)
    }

    /// Takes an address back whose sandbox is gone.
    func giveBack(_ address: OutboundAddress) {
        state.withLock { state in
            guard case .open(var open) = state else { return }
            state = .unused
            open.taken[Int(address.address.raw - open.table.network.first.raw)] = false
            state = .open(open)
        }
    }

    // MARK: opening and closing

    private func makeOpen() throws(FarmError) -> Open {
        guard let nft = NftTool(settings.tool) else { throw FarmError(.hostLacks, "nft is not installed") }
        let host: HostRoutes
        do { host = try HostRoutes.read() } catch { throw FarmError(.sandboxSetup, "the host's routes: \(error)", retryable: true) }
        let resolvers = try HostResolvers.find(settings.resolvers) { host.isOwn($0) }
        let table = try OutboundTable.make(nft, host, allow: settings.allow, resolvers: resolvers)
        var taken = [Bool](repeating: false, count: table.network.count)
        // The first and the gateway are nobody's; the last is left alone, because some programs take it for a broadcast.
        for place in [0, OutboundTable.gateway, taken.count - 1] { taken[place] = true }
        return Open(table: table, resolvers: resolvers, mtu: host.mtu, taken: taken)
    }

    /// When no sandbox is left.
    func close() {
        let table: OutboundTable? = state.withLock { state in
            defer { state = .closed }
            return if case .open(let open) = state { open.table } else { nil }
        }
        table?.remove()
    }

    /// The table's name and how many sandboxes have an address, for tests.
    var inUse: (table: String, addresses: Int)? {
        state.withLock { if case .open(let open) = $0 { (open.table.name, open.taken.count(where: \.self) - 3) } else { nil } }
    }
}
