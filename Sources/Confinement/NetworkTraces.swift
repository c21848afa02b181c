// Whether a network namespace was used. A sandbox holds no capability over its own, so it can change nothing in it; what
// it can leave behind are packets and failures counted, labels taken and sockets that linger. Without any it serves the
// next sandbox too.

import Glibc
import LinuxSystem

struct NetworkTraces {
    /// Whether nothing will be counted later of what a sandbox did before: see `settleGroups`.
    private let tellAll: Bool
    /// Opened in the namespace and bound to it, wherever their reader is later.
    private let files: [Int32]
    private let blank: [[UInt8]]

    /// Packets by interface, sockets, what the protocols counted, and IPv6 flow labels, where the kernel has them.
    private static let names = ["dev", "sockstat", "snmp", "snmp6", "ip6_flowlabel"]

    /// What the kernel says about multicast groups to a network, by interface: of old it did so at once, or not at all.
    private static let groupVersions = ["ipv4/conf/lo/force_igmp_version", "ipv6/conf/lo/force_mld_version"]

    /// Has a new namespace tell of multicast groups as IGMP's and MLD's first versions do. In the later ones a group that was
    /// joined and left is reported up to seconds afterwards, when no socket is there any more and nothing yet counted, and so
    /// in the next sandbox. To be called by whoever has power over the namespace, with the host's /proc in sight.
    static func settleGroups() {
        for name in groupVersions { _ = try? Files.writeFile("/proc/sys/net/\(name)", "1") }
    }

    /// - Precondition: the host's /proc is in sight, and the namespace is as it shall be.
    init() throws(Failure) {
        var files: [Int32] = []
        var blank: [[UInt8]] = []
        for name in Self.names {
            do throws(Errno) {
                let file = try Files.open("/proc/self/net/\(name)", O_RDONLY)
                files.append(file)
                blank.append(try Self.read(file))
            } catch { if error.code != ENOENT { throw Failure(.prepare, error.code, "network") } }
        }
        (self.files, self.blank) = (files, blank)
        // A kernel that has no such file has no such protocol.
        tellAll = Self.groupVersions.allSatisfy { name in
            do throws(Errno) { return try Files.readFile("/proc/sys/net/\(name)", limit: 64).hasPrefix("1") } catch { return error.code == ENOENT }
        }
    }

    /// Whether no packet has passed any interface, nothing was counted, and no socket is left, not even one that waits
    /// for its end. Never where something could still come of that, on a host whose /proc/sys nobody may write to.
    func isBlank() -> Bool {
        guard tellAll else { return false }
        for (file, blank) in zip(files, blank) where (try? Self.read(file)) != blank { return false }
        return true
    }

    /// What it says up to where the machine's own numbers begin: of sockstat that is the first line, `sockets: used N`.
    private static func read(_ fd: Int32) throws(Errno) -> [UInt8] {
        var failure: Errno?
        let bytes = [UInt8](unsafeUninitializedCapacity: 8192) { buffer, count in
            do throws(Errno) { count = try Files.pread(fd, UnsafeMutableRawBufferPointer(buffer), at: 0) } catch { failure = error }
        }
        if let failure { throw failure }
        let isSocketStatistics = bytes.starts(with: "sockets:".utf8)
        return isSocketStatistics ? Array(bytes.prefix { $0 != 0x0a }) : bytes
    }

    func close() { for file in files { Files.close(file) } }
}
