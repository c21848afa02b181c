// What all connections of a server share: its handler, its bounds, who is connected.

import Glibc
import NIOCore
import SandboxCore
import Synchronization

final class ServerCore: Sendable {
    let handler: any CallHandler
    let limits: ServerLimits
    let report: @Sendable (ServerEvent) -> Void
    let unfinished: ByteBudget
    let partialLineTimeout: TimeAmount
    private let unread: ByteBudget
    private let daemonUID = Int(geteuid())

    private struct State {
        var connections: [Int: ClientConnection] = [:]
        var nextID = 1
        var closing = false
        /// Connections that are no longer counted, but whose handler is still being told.
        var ending = 0
        var allEnded: Bool { connections.isEmpty && ending == 0 }
        /// Resumed when the last connection has ended.
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    init(handler: any CallHandler, limits: ServerLimits, report: @escaping @Sendable (ServerEvent) -> Void) {
        self.handler = handler
        self.limits = limits
        self.report = report
        self.unfinished = ByteBudget(limits.maxUnfinishedBytes)
        self.unread = ByteBudget(limits.maxUnreadBytes)
        self.partialLineTimeout = TimeAmount(limits.partialLineTimeout)
    }

    var connectionCount: Int { state.withLock { $0.connections.count } }

    /// Takes a new channel in, or tells its peer that there are too many, or that the server is at its end.
    func connected(_ channel: any Channel) throws {
        let peer = try ConnectedSocket.prepare(channel)
        let id = state.withLock { state in
            defer { state.nextID += 1 }
            return state.nextID
        }
        let outbox = Outbox(channel: channel, closeAtUnreadBytes: limits.closeAtUnreadBytes, budget: unread) {
            [report] reason in report(.closedByServer(connection: id, reason: reason))
        }
        let connection = ClientConnection(id: id, peer: peer, executor: LoopExecutor(channel.eventLoop), outbox: outbox, limits: limits)
        let refusal: Rejected? = state.withLock { state in
            if state.closing { return Rejected(.draining, "the farm is ending and takes no more connections", retryAfterMs: 1_000) }
            guard state.connections.count < limits.maxConnections else {
                return Rejected(.queueFull, "\(limits.maxConnections) connections are open, no more are taken", retryAfterMs: 1_000)
            }
            state.connections[id] = connection
            return nil
        }
        if let refusal {
            report(.refused(peer, refusal.code))
            outbox.send(Line.error(nil, ErrorObject(.rejected(refusal))))
            return outbox.finish()
        }
        report(.connected(connection: id, peer))
        // Not when it becomes inactive: a channel that is closed before its loop made it active never does.
        channel.closeFuture.whenComplete { _ in self.disconnected(connection) }
        try channel.pipeline.syncOperations.addHandler(ConnectionHandler(connection: connection, server: self))
    }

    /// Why this connection may not make this call now; `nil` when it may.
    func refusal(of method: Method, from connection: ClientConnection) -> Rejected? {
        if method.needsOperator, !connection.peer.isOperator(ofDaemonWithUID: daemonUID) {
            let expected = daemonUID == 0 ? "root" : "uid \(daemonUID) or root"
            let found = "uid \(connection.peer.uid) is no operator"
            return Rejected(.notPermitted, "\(method.rawValue): \(found), expected \(expected)")
        }
        if method.waitsForJob, connection.outbox.load.calls > limits.maxCallsInFlight {
            let message = "\(limits.maxCallsInFlight) calls of this connection wait for an answer, no more are taken"
            return Rejected(.queueFull, message, retryAfterMs: 1_000)
        }
        return nil
    }

    private func disconnected(_ connection: ClientConnection) {
        connection.outbox.close()
        state.withLock { state in
            state.connections[connection.id] = nil
            state.ending += 1
        }
        handler.disconnected(connection)
        report(.disconnected(connection: connection.id))
        let waiters = state.withLock { state in
            state.ending -= 1
            guard state.allEnded else { return [CheckedContinuation<Void, Never>]() }
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Writes out what every connection was answered, closes them, and returns when all have ended.
    func closeAll(patience: Duration) async {
        let open = state.withLock { state in
            state.closing = true
            return Array(state.connections.values)
        }
        for connection in open { connection.outbox.finish(patience: TimeAmount(patience)) }
        await withCheckedContinuation { continuation in
            let allEnded = state.withLock { state in
                if !state.allEnded { state.waiters.append(continuation) }
                return state.allEnded
            }
            if allEnded { continuation.resume() }
        }
    }
}

/// Stops accepting for a moment when the kernel has no descriptor to give: the listening socket stays readable, and
/// without a pause the loop would do nothing but fail.
final class AcceptPause: ChannelInboundHandler {
    typealias InboundIn = any Channel

    private let report: @Sendable (ServerEvent) -> Void

    init(report: @escaping @Sendable (ServerEvent) -> Void) { self.report = report }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        report(.acceptFailed("\(error)"))
        // Not reading is not enough: the channel only forgets about a read it wants when it must not read by itself.
        let channel = context.channel
        try? channel.syncOptions?.setOption(.autoRead, value: false)
        context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(100)) {
            try? channel.syncOptions?.setOption(.autoRead, value: true)
        }
    }
}
