// Whether a network namespace was used. A sandbox holds no capability over its own, so it can change nothing in it; what
// it can leave behind are packets and failures counted, labels taken and sockets that linger. Without any it serves the
// next sandbox too.

import Glibc
import LinuxSystem

struct NetworkTraces {
    /// What the kernel tells of a namespace, by file.
    struct Reading: Equatable {
        fileprivate var texts: [[UInt8]] = []

        /// Whether it is what a namespace said when nothing had gone through it.
        func shows(_ blank: Reading) -> Bool { texts == blank.texts }
    }

    /// Opened in the namespace and bound to it, wherever their reader is later.
    private let files: [Int32]
    private let blank: Reading
    private let tellsAll: Bool

    /// Packets by interface, sockets, what the protocols counted, and IPv6 flow labels, where the kernel has them.
    private static let names = ["dev", "sockstat", "snmp", "snmp6", "ip6_flowlabel"]

    /// What the kernel says about multicast groups to a network, by interface: of old it did so at once, or not at all.
    private static let groupVersions = ["ipv4/conf/lo/force_igmp_version", "ipv6/conf/lo/force_mld_version"]

    /// Has a new namespace tell of multicast groups as IGMP's and MLD's first versions do. In the later ones a group that was
    /// joined and left is reported up to seconds afterwards, when no socket is there any more and nothing yet counted, and so
    /// in the next sandbox. To be called by whoever has power over the namespace, with the host's /proc in sight.
    ///
    /// In a /proc of its own, because one that is shared has entries of these names for each namespace, all in one chain: the making of
    /// each of ten thousand networks would search through all others'.
    /// - Returns: whether nothing will be counted later of what a sandbox did before. Not on a host whose /proc/sys nobody may write to;
    ///   a kernel that has no such file has no such protocol.
    static func settleGroups() -> Bool {
        guard let proc = (try? Mounts.settings()) ?? (try? Files.directoryHandle("/proc")) else { return false }
        defer { Files.close(proc) }
        return groupVersions.allSatisfy { name in
            do throws(Errno) {
                let file = try Files.open(at: proc, "sys/net/\(name)", O_WRONLY)
                defer { Files.close(file) }
                try Files.writeAll(file, "1")
                return true
            } catch { return error.code == ENOENT }
        }
    }

    /// - Parameter tellsAll: what `settleGroups` said of the namespace.
    /// - Precondition: the host's /proc is in sight, and the namespace is as it shall be.
    init(tellsAll: Bool) throws(Failure) {
        self.tellsAll = tellsAll
        files = try Self.open()
        do throws(Errno) { blank = try Self.read(files) } catch { throw Failure(.prepare, error.code, "network") }
    }

    /// Whether no packet has passed any interface, nothing was counted, and no socket is left, not even one that waits
    /// for its end. Never where something could still come of that.
    func isBlank() -> Bool { tellsAll && (try? Self.read(files))?.shows(blank) ?? false }

    func close() { for file in files { Files.close(file) } }

    /// What is told of the namespace this process is in, without keeping anything open.
    /// - Precondition: as for `init`.
    static func read() throws(Failure) -> Reading {
        let files = try open()
        defer { for file in files { Files.close(file) } }
        do throws(Errno) { return try read(files) } catch { throw Failure(.prepare, error.code, "network") }
    }

    private static func open() throws(Failure) -> [Int32] {
        var files: [Int32] = []
        for name in names {
            do throws(Errno) { files.append(try Files.open("/proc/self/net/\(name)", O_RDONLY)) } catch {
                if error.code == ENOENT { continue }
                for file in files { Files.close(file) }
                throw Failure(.prepare, error.code, "network")
            }
        }
        return files
    }

    private static func read(_ files: [Int32]) throws(Errno) -> Reading {
        var reading = Reading()
        for file in files { reading.texts.append(try text(file)) }
        return reading
    }

    /// What a file says up to where the machine's own numbers begin: of sockstat that is the first line, `sockets: used N`.
    private static func text(_ fd: Int32) throws(Errno) -> [UInt8] {
        var failure: Errno?
        let text = withUnsafeTemporaryAllocation(byteCount: 8192, alignment: 16) { buffer -> [UInt8] in
            do throws(Errno) { return Array(buffer[..<(try Files.pread(fd, buffer, at: 0))]) } catch { failure = error }
            return []
        }
        if let failure { throw failure }
        return text.starts(with: "sockets:".utf8) ? Array(text.prefix { $0 != 0x0a }) : text
    }
}
