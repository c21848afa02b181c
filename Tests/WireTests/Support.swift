// What the tests of the socket share: a server over a handler of the test's own, and a client that sends raw bytes.

import Glibc
import NIOCore
import NIOPosix
import SandboxCore
import Synchronization
import Testing

@testable import Wire

/// A handler that does what the test says, and remembers who left.
final class TestHandler: CallHandler {
    private let onCall: @Sendable (Call, ClientConnection, Responder) -> Void
    let ended: AsyncStream<ClientConnection>
    private let endedContinuation: AsyncStream<ClientConnection>.Continuation

    init(_ onCall: @escaping @Sendable (Call, ClientConnection, Responder) -> Void = TestHandler.answerAtOnce) {
        self.onCall = onCall
        (ended, endedContinuation) = AsyncStream.makeStream()
    }

    func handle(_ call: Call, from connection: ClientConnection, respond: Responder) { onCall(call, connection, respond) }
    func disconnected(_ connection: ClientConnection) { endedContinuation.yield(connection) }

    /// Every job exits at once, with what it was called as its output.
    static let answerAtOnce: @Sendable (Call, ClientConnection, Responder) -> Void = { call, _, responder in
        switch call {
        case .jobRun(let job):
            responder.answer(.result(JobResult(job: JobID("j-1"), outcome: .exited(code: 0), stdout: Output(head: argv(job)))))
        case .jobSubmit: responder.answer(.submitted(JobID("j-1")))
        case .blobHas(let sums): responder.answer(.missing(sums))
        default: responder.reject(Rejected(.unknownJob, "there is none"))
        }
    }

    static func argv(_ job: JobRequest) -> [UInt8] {
        guard case .command(let arguments) = job.work else { return [] }
        return Array(arguments.joined(separator: " ").utf8)
    }
}

/// A directory of its own for a test's socket, removed in the end.
func withSocketPath<R>(_ body: (String) async throws -> R) async throws -> R {
    var template = Array("/tmp/wire-XXXXXX".utf8CString)
    let made = template.withUnsafeMutableBufferPointer { mkdtemp($0.baseAddress!) != nil }
    try #require(made)
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer {
        unlink(path + "/s")
        rmdir(path)
    }
    return try await body(path + "/s")
}

/// Runs a server for as long as `body` takes.
func withServer<R>(
    _ handler: TestHandler = TestHandler(), limits: ServerLimits = ServerLimits(),
    onEvent: @escaping @Sendable (ServerEvent) -> Void = { _ in },
    _ body: (String, Server) async throws -> R
) async throws -> R {
    try await withSocketPath { path in
        let server = try await Server.start(path: path, handler: handler, limits: limits, onEvent: onEvent)
        do {
            let result = try await body(path, server)
            await server.shutdown(patience: .milliseconds(200))
            return result
        } catch {
            await server.shutdown(patience: .milliseconds(200))
            throw error
        }
    }
}

/// A connection that sends any bytes and gives back whole lines.
final class RawClient: Sendable {
    let channel: any Channel
    private let lines: AsyncStream<[UInt8]>

    private final class Lines: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private var splitter = LineSplitter(maxLine: 1 << 30)
        private let continuation: AsyncStream<[UInt8]>.Continuation
        init(_ continuation: AsyncStream<[UInt8]>.Continuation) { self.continuation = continuation }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            splitter.append(Self.unwrapInboundIn(data))
            while let line = try? splitter.next() { continuation.yield(line) }
        }
        func channelInactive(context: ChannelHandlerContext) { continuation.finish() }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    init(path: String, reading: Bool = true) async throws {
        let (lines, continuation) = AsyncStream<[UInt8]>.makeStream()
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.autoRead, value: reading)
            .channelOption(.allowRemoteHalfClosure, value: false)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Lines(continuation)) }
            }
            .connect(unixDomainSocketPath: path).get()
        self.lines = lines
    }

    func send(_ text: String) async throws { try await channel.writeAndFlush(ByteBuffer(string: text)) }
    func send(_ bytes: [UInt8]) async throws { try await channel.writeAndFlush(ByteBuffer(bytes: bytes)) }

    /// The next line as text; `nil` when the server closed.
    func line() async -> String? {
        for await line in lines { return String(decoding: line, as: UTF8.self) }
        return nil
    }

    /// The next line, parsed.
    func message() async throws -> Message {
        let line = try #require(await line())
        return try Message(line)
    }

    func startReading() async throws { try await channel.setOption(.autoRead, value: true).get() }
    func endInput() async throws { try await channel.close(mode: .output).get() }
    func close() async { try? await channel.close().get() }
}

/// A line of the server, for looking at.
struct Message {
    let json: JSONDocument
    let text: String

    init(_ line: String) throws {
        text = line
        json = try JSONDocument.parse(Array(line.utf8))
    }

    private func at(_ path: [String]) -> Int? {
        var index = 0
        for key in path {
            guard let next = json.member(key, of: index) else { return nil }
            index = next
        }
        return index
    }

    func string(_ path: String...) -> String? {
        guard let index = at(path), json.nodes[index].kind == .string else { return nil }
        return String(decoding: json.contents(of: index), as: UTF8.self)
    }

    func int(_ path: String...) -> Int? {
        guard let index = at(path), json.nodes[index].kind == .number else { return nil }
        return try? json.integer(at: index)
    }

    func isNull(_ path: String...) -> Bool { at(path).map { json.nodes[$0].kind == .null } ?? false }
    var code: Int? { int("error", "code") }
    var field: String? { string("error", "data", "field") }
}

/// Values that come from elsewhere and are waited for, one by one.
struct Inbox<Value: Sendable>: Sendable {
    private let stream: AsyncStream<Value>
    let put: AsyncStream<Value>.Continuation

    init() { (stream, put) = AsyncStream.makeStream() }

    func next() async -> Value {
        for await value in stream { return value }
        fatalError("the inbox was closed")
    }
}

/// As many descriptors as the machine gives: a thousand connections have two thousand ends in this process.
func raiseDescriptorLimit() {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}

