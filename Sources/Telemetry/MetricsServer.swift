// The daemon's face to a scraper: GET /metrics and GET /healthz over HTTP/1.1, and nothing else. It has a thread of its
// own, and everything a stranger could make it hold is bounded. HTTP itself is Hummingbird's (its core; two paths need no
// router).

import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import Synchronization

public final class MetricsServer: Sendable {
    /// What one who connects can make the daemon hold, and for how long.
    public struct Limits: Sendable {
        /// More wait in the kernel until one of these has ended.
        public var connections = 16
        /// Of a request's line and headers together.
        public var headerBytes = 8 << 10
        /// How long a connection may be silent, between requests or within one.
        public var idle: Duration = .seconds(10)
        /// A connection takes no more requests then, and is cut a little later whatever it does.
        public var age: Duration = .seconds(60)

        public init() {}
    }

    /// Asked on a thread of the server's or of the tasks', never more often than `Limits.connections` at once.
    public struct Answers: Sendable {
        /// The body of `/metrics`.
        public var metrics: @Sendable () -> [UInt8]
        /// Why the farm cannot do its work; `nil` when it can.
        public var illness: @Sendable () -> String?

        public init(metrics: @escaping @Sendable () -> [UInt8], illness: @escaping @Sendable () -> String?) {
            self.metrics = metrics
            self.illness = illness
        }
    }

    private typealias Face = HummingbirdCore.Server<HTTP1Channel>

    /// One listening socket, and the task that ends when everything that came of it has.
    private struct Listening: Sendable {
        let face: Face
        let port: Int
        let end: Task<Void, any Error>
    }

    private struct State {
        var now: Listening
        var isOver = false
    }

    public let host: String
    /// The one that was asked for, or the one the kernel gave.
    public let port: Int
    private let group: MultiThreadedEventLoopGroup
    private let state: Mutex<State>

    /// Returns when it listens.
    /// - Parameters:
    ///   - host: an address, not a name.
    ///   - port: 0 for one that is free.
    ///   - onEnd: told when it could not go on; it tries again by itself.
    /// - Throws: when the address cannot be had.
    public static func start(
        host: String, port: Int, limits: Limits = Limits(), answers: Answers,
        onEnd: @escaping @Sendable (any Error) -> Void = { _ in }
    ) async throws -> MetricsServer {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let make = { @Sendable port, onRunning in face(host, port, limits, answers, group, onRunning) }
        let first: Listening
        do {
            first = try await listen { make(port, $0) }
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
        let server = MetricsServer(host: host, group: group, first)
        // Detached: what the daemon drains with must not reach it, it is there to the end.
        Task.detached { [weak server] in
            while let now = server?.now {
                if case .failure(let error) = await now.end.result { onEnd(error) }
                guard server?.now != nil else { return }
                try? await Task.sleep(for: .seconds(1))
                guard let next = try? await listen({ make(first.port, $0) }) else { continue }
                if server?.use(next) != true { return await close(next) }
            }
        }
        return server
    }

    private init(host: String, group: MultiThreadedEventLoopGroup, _ first: Listening) {
        self.host = host
        port = first.port
        self.group = group
        state = Mutex(State(now: first))
    }

    /// Answers what was asked, and returns when every connection has ended.
    public func shutdown() async {
        await Self.close(state.withLock { state in
            state.isOver = true
            return state.now
        })
        try? await group.shutdownGracefully()
    }

    /// `nil` once it is to end.
    private var now: Listening? { state.withLock { $0.isOver ? nil : $0.now } }

    private func use(_ next: Listening) -> Bool {
        state.withLock { state in
            if !state.isOver { state.now = next }
            return !state.isOver
        }
    }

    private static func close(_ listening: Listening) async {
        try? await listening.face.shutdownGracefully()
        // Its event loop must not end before what runs on it.
        _ = await listening.end.result
    }

    // MARK: One listening socket

    /// Returns when it listens; the task ends when it no longer does.
    private static func listen(
        _ make: (@escaping @Sendable (Int) -> Void) -> Face
    ) async throws -> Listening {
        let (ports, found) = AsyncThrowingStream.makeStream(of: Int.self)
        let face = make { found.yield($0) }
        let end = Task.detached {
            do {
                try await face.run()
                found.finish()
            } catch {
                found.finish(throwing: error)
                throw error
            }
        }
        for try await port in ports { return Listening(face: face, port: port, end: end) }
        throw ChannelError.ioOnClosedChannel
    }

    private static func face(
        _ host: String, _ port: Int, _ limits: Limits, _ answers: Answers, _ group: MultiThreadedEventLoopGroup,
        _ onRunning: @escaping @Sendable (Int) -> Void
    ) -> Face {
        let quiet = Logger(label: "metrics") { _ in SwiftLogNoOpLogHandler() }
        let channel = HTTP1Channel(
            responder: { request, writer, _ in
                let answer = answers.answer(to: request.head)
                try await writer.write(response: answer.head, body: answer.body)
            },
            configuration: .init(
                additionalChannelHandlers: [ConnectionAge(limits.age)], idleTimeout: TimeAmount(limits.idle),
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: limits.headerBytes, maxHeaderListSize: limits.headerBytes, maxHeaderFieldCount: 64)))
        return Face(
            childChannelSetup: channel,
            configuration: ServerConfiguration(
                address: .hostname(host, port: port), backlog: 64,
                availableConnectionsDelegate: MaximumAvailableConnections(limits.connections)),
            onServerRunning: { onRunning($0.localAddress?.port ?? port) }, eventLoopGroup: group, logger: quiet)
    }
}

extension MetricsServer.Answers {
    fileprivate func answer(to request: HTTPRequest) -> (head: HTTPResponse, body: ResponseBody) {
        let path = request.path?.prefix { $0 != "?" } ?? ""
        let mayAsk = request.method == .get || request.method == .head
        var (status, type, body): (HTTPResponse.Status, String, [UInt8]) =
            switch path {
            case "/metrics" where !mayAsk, "/healthz" where !mayAsk: (.methodNotAllowed, "text/plain", Array("only GET\n".utf8))
            case "/metrics": (.ok, PrometheusText.contentType, metrics())
            case "/healthz":
                if let illness = illness() {
                    (.serviceUnavailable, "text/plain", Array("\(illness)\n".utf8))
                } else {
                    (.ok, "text/plain", Array("ok\n".utf8))
                }
            default: (.notFound, "text/plain", Array("there is /metrics and /healthz\n".utf8))
            }
        var head = HTTPResponse(status: status, headerFields: [.contentType: type, .contentLength: "\(body.count)"])
        if status == .methodNotAllowed { head.headerFields[.allow] = "GET, HEAD" }
        if request.method == .head { body = [] }
        return (head, ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
    }
}
