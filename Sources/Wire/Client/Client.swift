// The other end of the socket, for the CLI: calls in, answers out, as many at once as one likes over one connection.

import Glibc
import NIOCore
import NIOPosix
import SandboxCore
import Synchronization

/// Why a call has no answer.
public enum ClientError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The farm turned the call away; nothing happened.
    case rejected(Rejected)
    /// The farm failed. Never the program's doing.
    case farm(FarmError)
    /// No daemon could be reached at the path, or the path is no good.
    case unreachable(path: String, reason: String, hint: String)
    /// The connection ended before the answer came.
    case disconnected(String)
    /// What came is not the protocol this client speaks.
    case badAnswer(String)
    /// The task that waited was cancelled. The farm does not know of that.
    case cancelled

    public var description: String {
        switch self {
        case .rejected(let rejected): "rejected (\(rejected.code.rawValue)): \(rejected.message)"
        case .farm(let error): "the farm failed (\(error.code.rawValue)): \(error.message)"
        case .unreachable(let path, let reason, let hint): "socket \(path): \(reason); \(hint)"
        case .disconnected(let reason): "the connection to the farm ended: \(reason)"
        case .badAnswer(let problem): "the farm's answer cannot be understood: \(problem)"
        case .cancelled: "cancelled"
        }
    }
}

/// One connection to a farm. Everything on it may be called from any task or thread.
public final class Client: Sendable {
    /// Runs tasks on the connection's own thread. Whoever makes many short calls saves a change of threads both ways by
    /// making them there: `withTaskExecutorPreference(client.executor) { … }`. They must not block.
    public let executor: any TaskExecutor
    private let channel: any Channel
    private let calls: PendingCalls
    private let outbox: Outbox

    /// Connects to the daemon's socket.
    /// - Parameter onOutput: told of the output of streamed jobs that were submitted rather than run, in order, on the
    ///   connection's thread; must return at once.
    public static func connect(
        path: String, group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        onOutput: @escaping @Sendable (JobOutput) -> Void = { _ in }
    ) async throws(ClientError) -> Client {
        let calls = PendingCalls(onOutput: onOutput)
        let bootstrap = ClientBootstrap(group: group).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(AnswerHandler(calls: calls))
            }
        }
        do {
            // Says what is wrong with a path more plainly than the bootstrap does.
            _ = try SocketAddressBytes(path: path)
            let channel = try await retryingWhileBusy { try await bootstrap.connect(unixDomainSocketPath: path).get() }
            return Client(channel: channel, calls: calls)
        } catch {
            throw unreachable(path, error)
        }
    }

    /// A daemon whose queue of new connections is full answers a socket that does not block with EAGAIN at once: it is
    /// there, and will have room in a moment. Five seconds of that are taken for a daemon that is stuck.
    private static func retryingWhileBusy<Value>(_ connect: () async throws -> Value) async throws -> Value {
        for _ in 0..<500 {
            do {
                return try await connect()
            } catch let error as IOError where error.errnoCode == EAGAIN {
                try await Task.sleep(for: .milliseconds(10))
            }
        }
        return try await connect()
    }

    private init(channel: any Channel, calls: PendingCalls) {
        self.channel = channel
        self.executor = LoopExecutor(channel.eventLoop)
        self.calls = calls
        // The caller holds what it sends anyway, so what the farm has not read yet is not bounded once more here.
        self.outbox = Outbox(channel: channel, closeAtUnreadBytes: .max, budget: ByteBudget(.max)) { _ in }
    }

    deinit { channel.close(promise: nil) }

    /// Makes one call and waits for its answer.
    /// - Parameter onOutput: for `jobRun` of a job with `stream`: told of its output, in order, before this returns, on
    ///   the connection's thread; must return at once.
    public func call(
        _ call: Call, onOutput: (@Sendable (JobOutput) -> Void)? = nil
    ) async throws(ClientError) -> Answer {
        let id = calls.newID()
        let line = Request(id: .number(id), call: call).encode()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                guard calls.add(id, PendingCalls.Waiter(method: call.method, onOutput: onOutput, continuation: continuation))
                else { return }
                if Task.isCancelled { return calls.cancel(id) }
                outbox.send(line)
            }
        } onCancel: {
            calls.cancel(id)
        }
        return try result.get()
    }

    /// Ends the connection. Calls that still wait get `disconnected`.
    public func close() async {
        try? await channel.close().get()
    }

    private static func unreachable(_ path: String, _ error: any Error) -> ClientError {
        if let error = error as? ServerError, case .badPath(_, let reason) = error {
            return .unreachable(path: path, reason: reason, hint: "give the daemon's path with --socket")
        }
        let code = (error as? IOError)?.errnoCode
        let start = "start a daemon with `paddock serve --socket \(path)`, or give another --socket"
        return switch code {
        case ENOENT: .unreachable(path: path, reason: "there is no socket", hint: start)
        case ECONNREFUSED: .unreachable(path: path, reason: "no daemon answers", hint: start)
        case EAGAIN:
            .unreachable(path: path, reason: "the daemon does not accept connections", hint: "look at its log")
        case EACCES, EPERM:
            .unreachable(path: path, reason: "not permitted", hint: "ask the daemon's user for access to the socket")
        default: .unreachable(path: path, reason: "\(error)", hint: start)
        }
    }
}
