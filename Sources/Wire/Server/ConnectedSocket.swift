// What NIO leaves undone on a socket it accepted or connected: the peer's credentials, and closing it on exec.

import Glibc
import NIOCore

enum ConnectedSocket {
    /// The kernel's `struct ucred`, which the C library only declares for GNU sources.
    private struct Credentials {
        var pid: pid_t = 0
        var uid: uid_t = 0
        var gid: gid_t = 0
    }

    struct Unavailable: Error { var reason: String }

    /// Keeps the socket from children of this process, and asks who is at the other end. On the channel's event loop.
    static func prepare(_ channel: any Channel) throws -> Peer {
        let peer = try channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { fd in
            _ = fcntl(fd, F_SETFD, FD_CLOEXEC)
            return try self.peer(of: fd)
        }
        guard let peer else { throw Unavailable(reason: "the channel is no socket") }
        return peer
    }

    private static func peer(of fd: Int32) throws -> Peer {
        var credentials = Credentials()
        var size = socklen_t(MemoryLayout<Credentials>.size)
        guard getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 else {
            throw Unavailable(reason: "SO_PEERCRED: errno \(errno)")
        }
        return Peer(pid: Int(credentials.pid), uid: Int(credentials.uid), gid: Int(credentials.gid))
    }
}
