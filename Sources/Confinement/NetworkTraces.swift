// Whether a network namespace was used. A sandbox holds no capability over its own, so it can change nothing in it; what
// it can leave behind are packets and failures counted, labels taken and sockets that linger. Without any it serves the
// next sandbox too.

import Glibc
import LinuxSystem

struct NetworkTraces {
    /// Opened in the namespace and bound to it, wherever their reader is later.
    private let files: [Int32]
    private let blank: [[UInt8]]

    /// Packets by interface, sockets, what the protocols counted, and IPv6 flow labels, where the kernel has them.
    private static let names = ["dev", "sockstat", "snmp", "snmp6", "ip6_flowlabel"]

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
    }

    /// Whether no packet has passed any interface, nothing was counted, and no socket is left, not even one that waits
    /// for its end.
    func isBlank() -> Bool {
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
