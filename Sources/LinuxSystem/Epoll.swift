// Waiting on many descriptors at once.

import CLinux
import Glibc

public final class Epoll: Sendable {
    private let fd: Int32

    public init() throws(Errno) { fd = Int32(try check(syscall(SYS_epoll_create1, Int(EPOLL_CLOEXEC)))) }
    deinit { Files.close(fd) }

    /// Watches `target` for something to read; `token` comes back with each event.
    public func add(_ target: Int32, token: UInt64) throws(Errno) {
        var event = epoll_event(events: EPOLLIN.rawValue | EPOLLRDHUP.rawValue, data: epoll_data_t(u64: token))
        try check(withUnsafeMutablePointer(to: &event) {
            syscall(SYS_epoll_ctl, Int(fd), Int(EPOLL_CTL_ADD), Int(target), address($0))
        })
    }

    public func remove(_ target: Int32) { _ = syscall(SYS_epoll_ctl, Int(fd), Int(EPOLL_CTL_DEL), Int(target), 0) }

    /// The tokens of what is ready; empty after `milliseconds`.
    public func wait(milliseconds: Int, into tokens: inout [UInt64]) throws(Errno) {
        tokens.removeAll(keepingCapacity: true)
        let n = withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: 128) { events in
            let n = syscall(SYS_epoll_wait, Int(fd), address(events.baseAddress), 128, milliseconds)
            if n > 0 { for i in 0..<n { tokens.append(events[i].data.u64) } }
            return n
        }
        if n < 0 && n != -Int(EINTR) { throw Errno(Int32(-n)) }
    }
}
