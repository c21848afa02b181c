// Whether a network namespace was used. A sandbox holds no capability over its own, so it can change nothing in it; what
// it can leave behind are packets counted and sockets that linger. Without either it serves the next sandbox too.

import Glibc
import LinuxSystem

struct NetworkTraces {
    /// Opened in the namespace and bound to it, wherever their reader is later.
    private let interfaces: Int32
    private let sockets: Int32
    private let blank: (interfaces: [UInt8], sockets: [UInt8])

    /// - Precondition: the host's /proc is in sight, and the namespace is as it shall be.
    init() throws(Failure) {
        do throws(Errno) {
            interfaces = try Files.open("/proc/self/net/dev", O_RDONLY)
            sockets = try Files.open("/proc/self/net/sockstat", O_RDONLY)
            blank = (try Self.read(interfaces), try Self.read(sockets))
        } catch { throw Failure(.prepare, error.code, "network") }
    }

    /// Whether no packet has passed any interface, and no socket is left, not even one that waits for its end.
    func isBlank() -> Bool {
        (try? Self.read(interfaces)) == blank.interfaces && (try? Self.read(sockets)) == blank.sockets
    }

    /// What it says up to where the machine's own numbers begin: of sockstat that is the first line, `sockets: used N`.
    private static func read(_ fd: Int32) throws(Errno) -> [UInt8] {
        var failure: Errno?
        let bytes = [UInt8](unsafeUninitializedCapacity: 1024) { buffer, count in
            do throws(Errno) { count = try Files.pread(fd, UnsafeMutableRawBufferPointer(buffer), at: 0) } catch { failure = error }
        }
        if let failure { throw failure }
        let isSocketStatistics = bytes.starts(with: "sockets:".utf8)
        return isSocketStatistics ? Array(bytes.prefix { $0 != 0x0a }) : bytes
    }

    func close() {
        Files.close(interfaces)
        Files.close(sockets)
    }
}
