// The names of the kernel's netfilter tables: enough to see whether there is anything to sweep without starting `nft`.

import CLinux
import Glibc

public enum NetfilterTables {
    /// The tables of the `inet` family. Throws where the kernel has none to offer, or this process may not ask.
    public static func names() throws(Errno) -> [String] {
        let socket = try NetlinkSocket(NETLINK_NETFILTER)
        var found: [String] = []
        let family = nfgenmsg(nfgen_family: UInt8(PD_NFPROTO_INET), version: UInt8(NFNETLINK_V0), res_id: 0)
        let type = Int(NFNL_SUBSYS_NFTABLES) << 8 | Int(NFT_MSG_GETTABLE.rawValue)
        try socket.dump(NetlinkMessage(type, family)) { _, body in
            if let name = NetlinkAttributes(body.dropFirst(MemoryLayout<nfgenmsg>.size)).text(Int(NFTA_TABLE_NAME.rawValue)) { found.append(name) }
        }
        return found
    }
}
