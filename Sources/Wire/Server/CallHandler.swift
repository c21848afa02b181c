// What the server hands its calls to. The composition root implements it over the farm.

/// Receives every well-formed call that its caller may make.
public protocol CallHandler: Sendable {
    /// Takes one call. It is called on one of the server's few event-loop threads, in the order of the connection's
    /// lines: it must return at once, and answer whenever there is an answer, from any thread.
    func handle(_ call: Call, from connection: ClientConnection, respond: Responder)

    /// The connection has ended, whoever ended it. It comes once, after the connection's last `handle`.
    func disconnected(_ connection: ClientConnection)
}
