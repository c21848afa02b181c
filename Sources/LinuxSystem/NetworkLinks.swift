// Network interfaces, their addresses and routes, in the words of rtnetlink.

import CLinux
import Glibc

/// What can be asked of the network namespace that it was opened in.
public struct NetworkLinks: ~Copyable {
    private let socket: NetlinkSocket

    public init() throws(Errno) { socket = try NetlinkSocket(NETLINK_ROUTE) }

    /// One end of a pair of interfaces that are joined to each other.
    public struct End: Sendable {
        public var name: String
        public var hardwareAddress: [UInt8]
        public init(name: String, hardwareAddress: [UInt8]) {
            self.name = name
            self.hardwareAddress = hardwareAddress
        }
    }

    /// Makes a pair: one end here, the other born in `namespace`. Both are down, and ask nobody for hardware addresses.
    public func makePair(_ here: End, _ there: End, in namespace: Int32, mtu: Int) throws(Errno) {
        func describe(_ end: End, in m: inout NetlinkMessage) {
            m.put(IFLA_IFNAME, end.name)
            m.put(IFLA_ADDRESS, end.hardwareAddress)
            m.put(IFLA_MTU, UInt32(mtu))
        }
        let quiet = Self.link(0, flags: IFF_NOARP, mask: IFF_NOARP)
        var m = NetlinkMessage(RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL, quiet)
        describe(here, in: &m)
        m.nest(IFLA_LINKINFO) { m in
            m.put(IFLA_INFO_KIND, "veth")
            m.nest(IFLA_INFO_DATA) { m in
                m.nest(VETH_INFO_PEER, quiet) { m in
                    describe(there, in: &m)
                    m.put(IFLA_NET_NS_FD, UInt32(namespace))
                }
            }
        }
        try socket.request(m)
    }

    public func index(of name: String) throws(Errno) -> UInt32 {
        let index = if_nametoindex(name)
        if index == 0 { throw Errno(errno) }
        return index
    }

    /// Lets it have no IPv6 address, not even one it would make up itself. To be called before it is up. Nothing where
    /// the kernel has no IPv6.
    public func withoutIPv6(_ index: UInt32) throws(Errno) {
        do throws(Errno) {
            try set(index, family: AF_INET6) { $0.put(IFLA_INET6_ADDR_GEN_MODE, [UInt8(IN6_ADDR_GEN_MODE_NONE.rawValue)]) }
        } catch { if error.code != EAFNOSUPPORT && error.code != EOPNOTSUPP { throw error } }
    }

    /// Lets what arrives by it be passed on to other interfaces.
    public func forward(_ index: UInt32) throws(Errno) {
        try set(index, family: AF_INET) { m in
            m.nest(IFLA_INET_CONF) { $0.put(Int(PD_IPV4_DEVCONF_FORWARDING), 1) }
        }
    }

    private func set(_ index: UInt32, family: Int32, _ body: (inout NetlinkMessage) -> Void) throws(Errno) {
        var m = NetlinkMessage(RTM_SETLINK, Self.link(index))
        m.nest(IFLA_AF_SPEC) { $0.nest(Int(family), body) }
        try socket.request(m)
    }

    public func bringUp(_ index: UInt32) throws(Errno) {
        try socket.request(NetlinkMessage(RTM_SETLINK, Self.link(index, flags: IFF_UP, mask: IFF_UP)))
    }

    /// Gives it an address, alone in its network.
    public func addAddress(_ address: UInt32, to index: UInt32) throws(Errno) {
        var m = NetlinkMessage(
            RTM_NEWADDR, flags: NLM_F_CREATE | NLM_F_EXCL,
            ifaddrmsg(ifa_family: UInt8(AF_INET), ifa_prefixlen: 32, ifa_flags: 0, ifa_scope: 0, ifa_index: index))
        m.put(IFA_LOCAL, bigEndian: address)
        m.put(IFA_ADDRESS, bigEndian: address)
        try socket.request(m)
    }

    /// Sends what goes to `address` (`nil`: to wherever there is no other route) by the interface.
    /// - Parameter gateway: who passes it on; `nil` where it is at the other end itself.
    public func addRoute(to address: UInt32?, by index: UInt32, gateway: UInt32? = nil) throws(Errno) {
        var fixed = rtmsg()
        (fixed.rtm_family, fixed.rtm_dst_len, fixed.rtm_table) = (UInt8(AF_INET), address == nil ? 0 : 32, UInt8(RT_TABLE_MAIN.rawValue))
        (fixed.rtm_protocol, fixed.rtm_type) = (UInt8(RTPROT_STATIC), UInt8(RTN_UNICAST))
        fixed.rtm_scope = UInt8(gateway == nil ? RT_SCOPE_LINK.rawValue : RT_SCOPE_UNIVERSE.rawValue)
        var m = NetlinkMessage(RTM_NEWROUTE, flags: NLM_F_CREATE | NLM_F_EXCL, fixed)
        if let address { m.put(Int(RTA_DST.rawValue), bigEndian: address) }
        if let gateway { m.put(Int(RTA_GATEWAY.rawValue), bigEndian: gateway) }
        m.put(Int(RTA_OIF.rawValue), index)
        try socket.request(m)
    }

    /// One way that packets can take.
    public struct Route: Sendable {
        public var destination: UInt32
        /// Bits of the destination that count; 0 for the default route.
        public var prefix: Int
        /// Whether it leads to an address of this machine itself.
        public var isLocal: Bool
        /// The interfaces it leads by; none for one that leads nowhere.
        public var interfaces: [UInt32]

        public init(destination: UInt32, prefix: Int, isLocal: Bool, interfaces: [UInt32]) {
            self.destination = destination
            self.prefix = prefix
            self.isLocal = isLocal
            self.interfaces = interfaces
        }
    }

    /// Every IPv4 route of every table.
    public func routes() throws(Errno) -> [Route] {
        var found: [Route] = []
        var fixed = rtmsg()
        fixed.rtm_family = UInt8(AF_INET)
        let size = MemoryLayout<rtmsg>.size
        try socket.dump(NetlinkMessage(RTM_GETROUTE, fixed)) { type, body in
            guard type == RTM_NEWROUTE, body.count >= size else { return }
            let head = NetlinkAttributes.load(body, as: rtmsg.self)
            let attributes = NetlinkAttributes(body.dropFirst(size))
            var interfaces = attributes.number(Int(RTA_OIF.rawValue)).map { [$0] } ?? []
            if let hops = attributes.bytes(Int(RTA_MULTIPATH.rawValue)) { interfaces += Self.interfaces(ofHops: hops) }
            found.append(Route(
                destination: attributes.bigEndian(Int(RTA_DST.rawValue)) ?? 0, prefix: Int(head.rtm_dst_len),
                isLocal: Int(head.rtm_type) == Int(RTN_LOCAL), interfaces: interfaces))
        }
        return found
    }

    private static func interfaces(ofHops hops: ArraySlice<UInt8>) -> [UInt32] {
        var result: [UInt32] = []
        var rest = hops
        while rest.count >= MemoryLayout<rtnexthop>.size {
            let hop = NetlinkAttributes.load(rest, as: rtnexthop.self)
            guard hop.rtnh_len >= 8 else { break }
            result.append(UInt32(bitPattern: hop.rtnh_ifindex))
            rest = rest.dropFirst((Int(hop.rtnh_len) + 3) & ~3)
        }
        return result
    }

    private static func link(_ index: UInt32, flags: Int = 0, mask: Int = 0) -> ifinfomsg {
        var m = ifinfomsg()
        (m.ifi_index, m.ifi_flags, m.ifi_change) = (Int32(bitPattern: index), UInt32(flags), UInt32(mask))
        return m
    }

    /// The name of an interface of this process's network namespace.
    public static func name(of index: UInt32) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(IF_NAMESIZE))
        guard if_indextoname(index, &buffer) != nil else { return nil }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Interfaces of this process's network namespace.
    public static func names() -> [String] {
        guard let list = if_nameindex() else { return [] }
        defer { if_freenameindex(list) }
        var result: [String] = []
        var at = list
        while at.pointee.if_index != 0, let name = at.pointee.if_name {
            result.append(String(cString: name))
            at += 1
        }
        return result
    }
}
