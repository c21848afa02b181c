// The daemon's face: a Unix socket that speaks docs/protocol.md and hands calls to a handler.

import NIOCore
import NIOPosix
import SandboxCore
import Synchronization

/// A running server. It accepts from the moment `start` returns until the end of `shutdown`.
public final class Server: Sendable {
    public let path: String
    private let core: ServerCore
    private let file: SocketFile
    private let listener: any Channel
    private let shutdownTask = Mutex<Task<Void, Never>?>(nil)

    /// - Parameters:
    ///   - mode: the socket file's permission bits; 0600 lets in only the daemon's own user and root.
    ///   - onEvent: told of what an operator may want to know, on the server's threads; must return at once.
    /// - Throws: when another daemon answers at `path`, or the socket cannot be made.
    public static func start(
        path: String, mode: Int = 0o600, handler: any CallHandler, limits: ServerLimits = ServerLimits(),
        onEvent: @escaping @Sendable (ServerEvent) -> Void = { _ in }
    ) async throws(ServerError) -> Server {
        let (descriptor, file) = try await SocketFile.listen(path: path, mode: mode)
        let core = ServerCore(handler: handler, limits: limits, report: onEvent)
        do {
            // Threads that are never shut down: jobs' tasks come back to them by a connection's `executor`, to the last, and who
            // comes while the server ends is told so after that.
            let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .serverChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        // NIO has called listen once more by now, with a backlog of its own.
                        SocketFile.setBacklog(descriptor)
                        try channel.pipeline.syncOperations.addHandler(AcceptPause(report: onEvent))
                    }
                }
                // A client may end its own direction and still wait for answers: `printf … | nc -U`.
                .childChannelOption(.allowRemoteHalfClosure, value: true)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture { try core.connected(channel) }
                }
                .withBoundSocket(descriptor).get()
            return Server(path: path, core: core, file: file, listener: listener)
        } catch {
            file.remove()
            throw .badPath(path, reason: "\(error)")
        }
    }

    /// Whether a server can have its socket there, as far as that can be said without making it.
    /// - Throws: for a path that is too long, or whose directory is not there.
    public static func check(path: String) throws(ServerError) { try SocketFile.check(path: path) }

    private init(path: String, core: ServerCore, file: SocketFile, listener: any Channel) {
        self.path = path
        self.core = core
        self.file = file
        self.listener = listener
    }

    public var connectionCount: Int { core.connectionCount }

    /// Writes out what was answered and closes every connection; whoever comes meanwhile is told `draining`. Then removes
    /// the socket, and returns when nothing is left. A second call waits for the first.
    /// - Parameter patience: how long a client that does not read its answers is waited for.
    public func shutdown(patience: Duration = .seconds(5)) async {
        let task = shutdownTask.withLock { task in
            let started = task ?? Task { await self.end(patience) }
            task = started
            return started
        }
        await task.value
    }

    private func end(_ patience: Duration) async {
        await core.closeAll(patience: patience)
        file.remove()
        try? await listener.close().get()
    }
}
