// Who answers sandboxes for names.

import LinuxSystem
import SandboxCore

enum HostResolvers {
    /// The second has the machines behind systemd-resolved, which answers on the loopback only.
    static let files = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"]

    /// - Parameters:
    ///   - configured: the operator's; they stand for the host's.
    ///   - isOwn: whether an address is this host's, which no sandbox reaches.
    static func find(_ configured: [IPv4Address], in files: [String] = files, isOwn: (IPv4Address) -> Bool) throws(FarmError) -> [IPv4Address] {
        if !configured.isEmpty { return configured }
        for file in files {
            let found = usable((try? Files.readFile(file)) ?? "", isOwn: isOwn)
            if !found.isEmpty { return found }
        }
        throw FarmError(
            .hostLacks, "no name server that a sandbox could reach is in \(files.joined(separator: " or ")): "
                + "IPv6 ones and the host's own addresses do not count; name some in the configuration, outbound: {resolvers: [ADDRESS]}")
    }

    /// The first three, as the C library takes them.
    static func usable(_ text: String, isOwn: (IPv4Address) -> Bool) -> [IPv4Address] {
        let servers = text.split(separator: "\n").compactMap { line -> IPv4Address? in
            let words = line.split { $0 == " " || $0 == "\t" }
            guard words.count >= 2, words[0] == "nameserver" else { return nil }
            return IPv4Address(words[1])
        }
        return Array(servers.filter { !isOwn($0) && $0.raw != 0 }.prefix(3))
    }
}
