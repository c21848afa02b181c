// Netlink sockets of a job, which its policy permits for asking about interfaces. What the kernel answers is held in their
// queues on no account of the job's, up to the host's `net.core.rmem_max` and more for each. So the filter hands each such call
// to the init, which permits few at a time.

import Glibc
import LinuxSystem

struct NetlinkSockets {
    /// Programs ask with one, and close it.
    static let most = 32
    /// Of each protocol, whether the policy permits it.
    private let protocols: UInt32
    /// When each thread was last permitted one: its socket may not be there yet. A thread that asks again has it behind it.
    private var permitted: [Int32: Int] = [:]
    /// After that a call has been made, unless a job starves its own threads. These are bounded as well.
    private static let patience = 50_000_000

    init(protocols: UInt32) { self.protocols = protocols }

    enum Answer: Equatable { case permit, full, denied }

    /// Whether this is a call that the policy permits, and there is room for one more. `nil` for any other call.
    mutating func judge(_ call: SeccompNotification) -> Answer? {
        guard protocols != 0, call.syscall == Int32(SYS_socket), call.word(0) == UInt32(AF_NETLINK) else { return nil }
        let kind = call.word(1) & 0xf, number = call.word(2)
        guard kind == 2 || kind == 3, number < 32, protocols & 1 << number != 0 else { return .denied }
        let now = Processes.now()
        permitted[call.pid] = nil
        permitted = permitted.filter { now - $0.value < Self.patience }
        guard let open = Self.count(), open + permitted.count < Self.most else { return .full }
        permitted[call.pid] = now
        return .permit
    }

    /// How many there are in this network namespace, in whoever's hands or on their way; `nil` where they are too many to read.
    static func count() -> Int? {
        guard let file = try? Files.open("/proc/self/net/netlink", O_RDONLY) else { return nil }
        defer { Files.close(file) }
        guard let text = try? Files.readAll(file, limit: 64 << 10) else { return nil }
        // The kernel's own have no inode, which is the last column.
        return text.split(separator: UInt8(ascii: "\n")).dropFirst().count { line in
            guard let inode = line.split(separator: UInt8(ascii: " ")).last else { return false }
            return !inode.elementsEqual("0".utf8)
        }
    }
}
