// Everything a client can make the server hold, and how much of it. Also what the server tells its log.

import SandboxCore

/// Bounds of the server. The defaults are meant for thousands of jobs over few connections, and a thousand connections.
public struct ServerLimits: Sendable, Equatable {
    public var json = JSONLimits()
    public var maxConnections = 4_096
    /// Calls of one connection that wait for a job; one more is answered `queue_full`.
    public var maxCallsInFlight = 100_000
    /// How long the rest of a line may take to make any progress.
    public var partialLineTimeout: Duration = .seconds(60)
    /// Unfinished lines of all connections together.
    public var maxUnfinishedBytes = 1 << 30
    /// Beyond this many bytes that a client has not read, nothing more of it is read, and `job.output` is dropped.
    public var pauseAtUnreadBytes = 8 << 20
    /// Beyond this many bytes that a client has not read, its connection is closed.
    public var closeAtUnreadBytes = 512 << 20
    /// The same for all connections together: the one whose answer is too much is closed.
    public var maxUnreadBytes = 2 << 30

    public init() {}
}

/// What happened to the server that an operator may want to know.
public enum ServerEvent: Sendable, Equatable, CustomStringConvertible {
    case connected(connection: Int, Peer)
    case disconnected(connection: Int)
    /// Too many connections (`queue_full`), or the server is at its end (`draining`); the peer was told so.
    case refused(Peer, Rejected.Code)
    /// A line that was no request, or a call that was not permitted.
    case badRequest(connection: Int, String)
    /// Closed for being too slow a reader or writer, or for a line that is too long.
    case closedByServer(connection: Int, reason: String)
    /// The kernel did not give a descriptor for a new connection; accepting pauses for a moment.
    case acceptFailed(String)

    public var description: String {
        switch self {
        case .connected(let id, let peer): "connection \(id): opened by pid \(peer.pid), uid \(peer.uid)"
        case .disconnected(let id): "connection \(id): ended"
        case .refused(let peer, let code): "a connection of pid \(peer.pid), uid \(peer.uid) was refused: \(code.rawValue)"
        case .badRequest(let id, let message): "connection \(id): refused a request: \(message)"
        case .closedByServer(let id, let reason): "connection \(id): closed: \(reason)"
        case .acceptFailed(let reason): "no new connections for 100 ms: \(reason)"
        }
    }
}
