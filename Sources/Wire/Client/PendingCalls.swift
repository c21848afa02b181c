// The calls of a client that wait for their answer, by id, and the handler that brings the answers.

import Glibc
import NIOCore
import SandboxCore
import Synchronization

final class PendingCalls: Sendable {
    struct Waiter: Sendable {
        var method: Method
        var onOutput: (@Sendable (JobOutput) -> Void)?
        var continuation: CheckedContinuation<Result<Answer, ClientError>, Never>
    }

    private struct State {
        var waiting: [Int: Waiter] = [:]
        var lastID = 0
        /// Why no answer will come any more.
        var ended: ClientError?
    }

    private let state = Mutex(State())
    private let onOutput: @Sendable (JobOutput) -> Void

    init(onOutput: @escaping @Sendable (JobOutput) -> Void) { self.onOutput = onOutput }

    func newID() -> Int {
        state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
    }

    /// - Returns: whether the call is to be sent; otherwise it has been answered already.
    func add(_ id: Int, _ waiter: Waiter) -> Bool {
        let ended = state.withLock { state in
            if state.ended == nil { state.waiting[id] = waiter }
            return state.ended
        }
        guard let ended else { return true }
        waiter.continuation.resume(returning: .failure(ended))
        return false
    }

    func cancel(_ id: Int) {
        let waiter = state.withLock { $0.waiting.removeValue(forKey: id) }
        waiter?.continuation.resume(returning: .failure(.cancelled))
    }

    /// The connection is over: nobody waits in vain.
    func end(_ error: ClientError) {
        let waiters = state.withLock { state in
            state.ended = state.ended ?? error
            defer { state.waiting = [:] }
            return state.waiting.values
        }
        for waiter in waiters { waiter.continuation.resume(returning: .failure(error)) }
    }

    /// Takes one line of the server.
    /// - Throws: when the line means that nothing on this connection can be relied on any more.
    func take(_ line: [UInt8], limits: JSONLimits) throws(ClientError) {
        let incoming: IncomingLine
        do {
            incoming = try IncomingLine.decode(line, limits: limits)
        } catch {
            throw .badAnswer(error.message)
        }
        switch (incoming.content, incoming.id) {
        case (.output(let output), _):
            if case .number(let id) = output.request, let waiter = state.withLock({ $0.waiting[id] }) {
                waiter.onOutput?(output)
            } else {
                onOutput(output)
            }
        case (.error(let error), nil): throw PendingCalls.failure(error)
        case (.error(let error), .number(let id)): finish(id) { _ in .failure(PendingCalls.failure(error)) }
        case (.result(let value), .number(let id)):
            finish(id) { method in
                let reader = FieldReader(json: incoming.json, origin: value)
                do throws(Rejected) {
                    return .success(try reader.answer(to: method, value))
                } catch {
                    return .failure(.badAnswer(error.message))
                }
            }
        default: throw .badAnswer("an answer to a request that this client did not make")
        }
    }

    /// An answer to a call that was cancelled meanwhile is nobody's.
    private func finish(_ id: Int, _ answer: (Method) -> Result<Answer, ClientError>) {
        guard let waiter = state.withLock({ $0.waiting.removeValue(forKey: id) }) else { return }
        waiter.continuation.resume(returning: answer(waiter.method))
    }

    private static func failure(_ error: ErrorObject) -> ClientError {
        switch error.failure {
        case .rejected(let rejected): .rejected(rejected)
        case .farm(let error): .farm(error)
        case nil: .badAnswer("error \(error.code): \(error.message)")
        }
    }
}

/// The client's end of the pipeline.
final class AnswerHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    /// Answers may be longer than requests: a result carries what a job wrote and every file it was to bring back.
    private static let limits = JSONLimits(maxBytes: 1 << 30, maxValues: 1 << 26)
    private let calls: PendingCalls
    private var splitter = LineSplitter(maxLine: AnswerHandler.limits.maxBytes)

    init(calls: PendingCalls) { self.calls = calls }

    func handlerAdded(context: ChannelHandlerContext) {
        // Credentials are of no use to a client; keeping the socket from its children is.
        _ = try? ConnectedSocket.prepare(context.channel)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        splitter.append(Self.unwrapInboundIn(data))
        do {
            while let line = try splitter.next() { try calls.take(line, limits: AnswerHandler.limits) }
        } catch {
            calls.end(error as? ClientError ?? .badAnswer("a line of more than \(AnswerHandler.limits.maxBytes) bytes"))
            context.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        calls.end(.disconnected("the farm closed it, or this client did"))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        calls.end(.disconnected("\(error)"))
        context.close(promise: nil)
    }
}
