// Who is at the other end of a connection, by the kernel's word.

/// A client process, as it was when it connected. Ids of another user namespace appear as the kernel's overflow id.
public struct Peer: Sendable, Equatable {
    public var pid: Int
    public var uid: Int
    public var gid: Int

    public init(pid: Int, uid: Int, gid: Int) {
        self.pid = pid
        self.uid = uid
        self.gid = gid
    }

    /// Whether this peer may call what needs an operator of a daemon that runs as `daemonUID`.
    public func isOperator(ofDaemonWithUID daemonUID: Int) -> Bool { uid == 0 || uid == daemonUID }
}
