// One connection's bytes in, calls out: the first step of a job's journey. It lives on its connection's event loop, and
// decides when to read: not while the client leaves too much unread, and nothing after a line that is too long.

import NIOCore
import SandboxCore

final class ConnectionHandler: ChannelInboundHandler, ChannelOutboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Phase {
        case open
        /// After a line that is too long: what still comes is thrown away, so that the client gets to read the error.
        case discarding
        /// The client has said its last word; what it asked is still answered.
        case inputEnded
        case finished
    }

    private let connection: ClientConnection
    private let server: ServerCore
    private var phase = Phase.open
    private var splitter: LineSplitter
    /// A read that the channel wanted while reading was paused.
    private var heldRead = false
    /// What this connection has taken of the server's budget for unfinished lines.
    private var budgeted = 0
    private var partialLineTimer: Scheduled<Void>?
    private var progressSinceTimer = false

    init(connection: ClientConnection, server: ServerCore) {
        self.connection = connection
        self.server = server
        self.splitter = LineSplitter(maxLine: server.limits.json.maxBytes)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        progressSinceTimer = true
        splitter.append(Self.unwrapInboundIn(data))
        process(context)
    }

    func read(context: ChannelHandlerContext) {
        if isPaused { heldRead = true } else { context.read() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is Outbox.Progress:
            process(context)
            if heldRead, !isPaused {
                heldRead = false
                context.read()
            }
        case ChannelEvent.inputClosed:
            inputEnded(context)
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        phase = .finished
        partialLineTimer?.cancel()
        server.unfinished.give(budgeted)
        budgeted = 0
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    /// Past the bound on calls, those that wait for a job are turned away; only a client that goes on regardless, with
    /// whatever calls, is not read any more.
    private var isPaused: Bool {
        let load = connection.outbox.load
        return phase != .discarding
            && (load.unread > server.limits.pauseAtUnreadBytes || load.calls > server.limits.maxCallsInFlight + 1_024)
    }

    /// Takes every whole line there is, as long as reading is not paused.
    private func process(_ context: ChannelHandlerContext) {
        do {
            while phase == .open || phase == .inputEnded, !isPaused {
                guard let line = try splitter.next() else {
                    if phase == .inputEnded { finishInput() }
                    break
                }
                take(line)
            }
        } catch {
            lineTooLong(context)
        }
        if phase == .discarding, splitter.discardLine() { finish() }
        keepAccounts(context)
    }

    private func take(_ line: [UInt8]) {
        let request: Request
        do {
            request = try Request.decode(line, limits: server.limits.json)
        } catch {
            server.report(.badRequest(connection: connection.id, error.error.message))
            connection.outbox.send(Line.error(error.id, error.error))
            return
        }
        let responder = Responder(id: request.id, connection: connection)
        if let refusal = server.refusal(of: request.call.method, from: connection) {
            server.report(.badRequest(connection: connection.id, refusal.message))
            return responder.reject(refusal)
        }
        server.handler.handle(request.call, from: connection, respond: responder)
    }

    private func inputEnded(_ context: ChannelHandlerContext) {
        switch phase {
        case .open:
            phase = .inputEnded
            process(context)
        case .discarding: finish()
        case .inputEnded, .finished: break
        }
    }

    /// Every whole line is taken: nothing new can come, so the connection ends when all is answered.
    private func finishInput() {
        if splitter.heldBytes > 0 {
            _ = splitter.discardLine()
            refuse(.notJSON("the input ended within a line, expected a newline after each message"))
        }
        if connection.outbox.load.calls == 0 { finish() }
    }

    private func lineTooLong(_ context: ChannelHandlerContext) {
        let message = "the line is longer than \(server.limits.json.maxBytes) bytes"
        refuse(.notJSON(message))
        server.report(.closedByServer(connection: connection.id, reason: message))
        guard phase == .open else { return finish() }
        phase = .discarding
        startTimer(context)
    }

    private func refuse(_ error: ErrorObject) { connection.outbox.send(Line.error(nil, error)) }

    private func finish() {
        phase = .finished
        partialLineTimer?.cancel()
        connection.outbox.finish()
    }

    /// Puts what is held on the budget all connections share, and watches over an unfinished line.
    private func keepAccounts(_ context: ChannelHandlerContext) {
        let held = phase == .open ? splitter.heldBytes : 0
        if held > budgeted {
            guard server.unfinished.take(held - budgeted) else {
                let message = "all connections together have too many bytes of unfinished lines"
                refuse(.notJSON(message))
                server.report(.closedByServer(connection: connection.id, reason: message))
                phase = .discarding
                _ = splitter.discardLine()
                return startTimer(context)
            }
        } else if held < budgeted {
            server.unfinished.give(budgeted - held)
        }
        budgeted = held
        if held > 0, partialLineTimer == nil { startTimer(context) }
    }

    private func startTimer(_ context: ChannelHandlerContext) {
        partialLineTimer?.cancel()
        progressSinceTimer = false
        partialLineTimer = context.eventLoop.assumeIsolated().scheduleTask(in: server.partialLineTimeout) {
            self.timerFired(context)
        }
    }

    private func timerFired(_ context: ChannelHandlerContext) {
        partialLineTimer = nil
        switch phase {
        case .open where splitter.heldBytes > 0:
            if progressSinceTimer || isPaused { return startTimer(context) }
            let message = "the rest of a line did not come in time"
            refuse(.notJSON(message))
            server.report(.closedByServer(connection: connection.id, reason: message))
            finish()
        case .discarding: finish()
        case .open, .inputEnded, .finished: break
        }
    }
}
