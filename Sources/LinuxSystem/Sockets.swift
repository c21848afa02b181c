// Message sockets that carry descriptors, and who is at the other end.

import CLinux
import Glibc

public enum Sockets {
    /// A pair of connected sockets that keep message borders.
    public static func pair() throws(Errno) -> (Int32, Int32) {
        var fds: (Int32, Int32) = (0, 0)
        try check(withUnsafeMutablePointer(to: &fds) {
            syscall(SYS_socketpair, Int(AF_UNIX), Int(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue), 0, address($0))
        })
        return fds
    }

    public static func setSendBuffer(_ fd: Int32, bytes: Int32) {
        var size = bytes
        _ = setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Sends one message with its descriptors (at most 32), which stay the caller's.
    public static func send(_ fd: Int32, _ bytes: [UInt8], descriptors: [Int32] = [], wait: Bool) throws(Errno) {
        let flags = wait ? 0 : Int32(MSG_DONTWAIT)
        while true {
            let n = bytes.withUnsafeBytes { b in
                descriptors.withUnsafeBufferPointer {
                    pd_sendmsg(fd, b.baseAddress, b.count, $0.baseAddress, Int32($0.count), flags)
                }
            }
            if n == -Int(EINTR) { continue }
            try check(n)
            return
        }
    }

    /// Receives one message. Empty bytes mean that the other end is gone. The descriptors are the caller's.
    public static func receive(_ fd: Int32, into buffer: UnsafeMutableRawBufferPointer, wait: Bool) throws(Errno) -> (count: Int, descriptors: [Int32]) {
        var fds = [Int32](repeating: -1, count: 32)
        var count: Int32 = 0
        let flags = wait ? 0 : Int32(MSG_DONTWAIT)
        let n = fds.withUnsafeMutableBufferPointer {
            pd_recvmsg(fd, buffer.baseAddress, buffer.count, $0.baseAddress, &count, flags)
        }
        if n < 0 { throw Errno(Int32(-n)) }
        return (n, Array(fds[..<Int(count)]))
    }
}
