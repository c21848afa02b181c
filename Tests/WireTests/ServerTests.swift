// The server over real sockets, one client at a time: bad input, ends of connections, who may do what.

import Glibc
import NIOCore
import SandboxCore
import Testing

@testable import Wire

@Suite("The server", .timeLimit(.minutes(1)))
struct ServerTests {
    private let run = #"{"jsonrpc":"2.0","id":1,"method":"job.run","params":{"command":["echo","hi"]}}"# + "\n"

    @Test("a job is run and answered")
    func answers() async throws {
        try await withServer { path, _ in
            let client = try await RawClient(path: path)
            try await client.send(run)
            let message = try await client.message()
            #expect(message.int("id") == 1)
            #expect(message.string("result", "stdout", "text") == "echo hi")
            await client.close()
        }
    }

    @Test("a bad line is answered and the connection goes on", arguments: [
        ("{\"jsonrpc\":\n", -32700), ("\n", -32700), ("nonsense\n", -32700), ("[]\n", -32600), ("{\"id\":1}\n", -32600),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"job.fly\"}\n", -32601), ("\"\u{0}\"\n", -32700),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"job.run\",\"params\":{\"command\":3}}\n", -32602),
    ])
    func badLines(_ line: String, _ code: Int) async throws {
        try await withServer { path, _ in
            let client = try await RawClient(path: path)
            try await client.send(line + run)
            let error = try await client.message()
            #expect(error.code == code)
            #expect(error.string("error", "data", "kind") == "rejected")
            #expect(code != -32700 || error.isNull("id"))
            #expect(try await client.message().string("result", "outcome") == "exited")
            await client.close()
        }
    }

    @Test("deep nesting and bytes that are not UTF-8 are parse errors with their offset")
    func hostileBytes() async throws {
        try await withServer { path, _ in
            let client = try await RawClient(path: path)
            try await client.send(String(repeating: "[", count: 100_000) + "\n")
            #expect(try await client.message().string("error", "message")?.contains("byte 64") == true)
            try await client.send([UInt8(ascii: "\""), 0xff, 0x0a])
            #expect(try await client.message().string("error", "message")?.contains("byte 1") == true)
            try await client.send(run)
            #expect(try await client.message().int("id") == 1)
            await client.close()
        }
    }

    @Test("a line that is too long is answered, then the connection is closed", arguments: [false, true])
    func tooLong(_ finished: Bool) async throws {
        var limits = ServerLimits()
        limits.json.maxBytes = 100_000
        try await withServer(limits: limits) { path, _ in
            let client = try await RawClient(path: path)
            let bystander = try await RawClient(path: path)
            // Everything is sent before the answer is read, as a simple client would.
            try await client.send(run + String(repeating: "x", count: 3_000_000) + (finished ? "\n" : ""))
            #expect(try await client.message().int("id") == 1)
            let error = try await client.message()
            #expect(error.code == -32700)
            #expect(error.string("error", "message")?.contains("100000 bytes") == true)
            if !finished { try await client.endInput() }
            #expect(await client.line() == nil)
            try await bystander.send(run)
            #expect(try await bystander.message().int("id") == 1)
            await bystander.close()
        }
    }

    @Test("half a message and then silence ends at the time limit, and harms nobody")
    func silence() async throws {
        var limits = ServerLimits()
        limits.partialLineTimeout = .milliseconds(50)
        try await withServer(limits: limits) { path, _ in
            let idle = try await RawClient(path: path)
            let client = try await RawClient(path: path)
            try await client.send(#"{"jsonrpc":"2.0","id":"#)
            let error = try await client.message()
            #expect(error.string("error", "message")?.contains("did not come in time") == true)
            #expect(await client.line() == nil)
            // A connection without an unfinished line may be silent as long as it likes.
            try await idle.send(run)
            #expect(try await idle.message().int("id") == 1)
            await idle.close()
        }
    }

    @Test("a message may come in any pieces")
    func pieces() async throws {
        try await withServer { path, _ in
            let client = try await RawClient(path: path)
            let bytes = Array((run + run).utf8)
            for start in stride(from: 0, to: bytes.count, by: 7) {
                try await client.send(Array(bytes[start..<min(start + 7, bytes.count)]))
            }
            for _ in 0..<2 { #expect(try await client.message().int("id") == 1) }
            await client.close()
        }
    }

    @Test("unfinished lines of all connections together are bounded")
    func unfinishedBudget() async throws {
        var limits = ServerLimits()
        limits.maxUnfinishedBytes = 150_000
        try await withServer(limits: limits) { path, _ in
            let first = try await RawClient(path: path)
            try await first.send(run + "\"" + String(repeating: "x", count: 99_999))
            #expect(try await first.message().int("id") == 1)
            let second = try await RawClient(path: path)
            try await second.send("\"" + String(repeating: "x", count: 149_999))
            #expect(try await second.message().string("error", "message")?.contains("unfinished lines") == true)
            try await second.endInput()
            #expect(await second.line() == nil)
            try await first.send("\"\n" + run)
            #expect(try await first.message().code == -32600)
            #expect(try await first.message().int("id") == 1)
            await first.close()
        }
    }

    @Test("a client that has said its last word still gets every answer")
    func halfClosed() async throws {
        let responders = Inbox<Responder>()
        let handler = TestHandler { _, _, responder in responders.put.yield(responder) }
        try await withServer(handler) { path, _ in
            let client = try await RawClient(path: path)
            try await client.send(run + run + "{")
            try await client.endInput()
            let error = try await client.message()
            #expect(error.string("error", "message")?.contains("newline") == true)
            for job in ["j-1", "j-2"] { await responders.next().answer(.submitted(JobID(job))) }
            #expect(try await client.message().string("result", "job") == "j-1")
            #expect(try await client.message().string("result", "job") == "j-2")
            #expect(await client.line() == nil)
        }
    }

    @Test("the handler is told once of a client that leaves in the middle of a request")
    func disconnect() async throws {
        let responders = Inbox<(Responder, ClientConnection)>()
        let handler = TestHandler { _, connection, responder in responders.put.yield((responder, connection)) }
        try await withServer(handler) { path, server in
            let client = try await RawClient(path: path)
            try await client.send(run + #"{"jsonrpc""#)
            let (responder, connection) = await responders.next()
            await client.close()
            var ended = handler.ended.makeAsyncIterator()
            #expect(await ended.next() == connection)
            // An answer that comes too late goes nowhere, and nothing breaks.
            responder.answer(.submitted(JobID("j-1")))
            connection.outputStream(of: JobID("j-1"), request: nil).send(.stdout, [1])
            connection.close()
            connection.close()
            let other = try await RawClient(path: path)
            try await other.send(run)
            await responders.next().0.answer(.submitted(JobID("j-2")))
            #expect(try await other.message().string("result", "job") == "j-2")
            await other.close()
            #expect(await ended.next()?.id == connection.id + 1)
        }
    }

    @Test("a handler that loses a request does not lose the answer, and the first answer counts")
    func responder() async throws {
        let handler = TestHandler { call, _, responder in
            guard call == .farmInfo else { return }
            responder.reject(Rejected(.draining, "first", retryAfterMs: 9))
            responder.fail(FarmError(.internal, "second"))
        }
        try await withServer(handler) { path, _ in
            let client = try await RawClient(path: path)
            try await client.send(run + Request(id: .string("i"), call: .farmInfo).encodeText())
            let lost = try await client.message()
            #expect(lost.code == -32002)
            #expect(lost.string("error", "data", "kind") == "farm_error")
            let first = try await client.message()
            #expect(first.string("id") == "i")
            #expect(first.int("error", "data", "retry_after_ms") == 9)
            await client.close()
        }
    }

    @Test("the peer's credentials are the kernel's, and decide who is an operator")
    func peer() async throws {
        let events = Inbox<ServerEvent>()
        try await withServer(onEvent: { events.put.yield($0) }) { path, _ in
            let client = try await RawClient(path: path)
            let mine = Peer(pid: Int(getpid()), uid: Int(getuid()), gid: Int(getgid()))
            #expect(await events.next() == .connected(connection: 1, mine))
            await client.close()
            #expect(await events.next() == .disconnected(connection: 1))
        }
        #expect(Peer(pid: 1, uid: 0, gid: 0).isOperator(ofDaemonWithUID: 1_000))
        #expect(Peer(pid: 1, uid: 1_000, gid: 5).isOperator(ofDaemonWithUID: 1_000))
        #expect(!Peer(pid: 1, uid: 1_001, gid: 0).isOperator(ofDaemonWithUID: 1_000))
        #expect(Method.allCases.filter(\.needsOperator) == [.jobList, .farmStats, .poolList, .poolSet, .poolDrain, .poolResume])
    }

    /// More than the kernel takes for a client that does not read.
    private static let answerMuch: @Sendable (Call, ClientConnection, Responder) -> Void = { _, _, responder in
        responder.answer(.result(JobResult(job: JobID("j"), outcome: .exited(code: 0), stdout: Output(head: [UInt8](repeating: 0x78, count: 3_000_000)))))
    }

    @Test("who connects while the answers of others are written out is told that the farm ends")
    func newcomer() async throws {
        let called = Inbox<Void>()
        let handler = TestHandler { call, connection, responder in
            Self.answerMuch(call, connection, responder)
            called.put.yield()
        }
        try await withSocketPath { path in
            let server = try await Server.start(path: path, handler: handler)
            let slow = try await RawClient(path: path, reading: false)
            try await slow.send(run)
            await called.next()
            async let down: Void = server.shutdown(patience: .seconds(60))
            // One that was taken before the end began is closed without a word: it had asked nothing.
            var told: String?
            while told == nil { told = await (try RawClient(path: path)).line() }
            let message = try Message(try #require(told))
            #expect(message.isNull("id") && message.string("error", "data", "code") == "draining")
            #expect(message.int("error", "data", "retry_after_ms") == 1_000)
            try await slow.startReading()
            await down
            #expect(access(path, F_OK) != 0)
        }
    }

    @Test("shutting down twice, at once and again, closes everything once and writes out what was answered")
    func shutdown() async throws {
        let handler = TestHandler(Self.answerMuch)
        try await withSocketPath { path in
            let server = try await Server.start(path: path, handler: handler)
            let client = try await RawClient(path: path)
            try await client.send(run)
            var ended = handler.ended.makeAsyncIterator()
            async let line = client.line()
            // Only when the answer has arrived whole is the connection known to have been served.
            #expect(await line?.utf8.count ?? 0 > 3_000_000)
            async let first: Void = server.shutdown()
            async let second: Void = server.shutdown()
            _ = await (first, second)
            await server.shutdown()
            #expect(access(path, F_OK) != 0)
            #expect(await ended.next() != nil)
            #expect(await client.line() == nil)
            #expect(server.connectionCount == 0)
        }
    }
}

extension Request {
    func encodeText() -> String { String(decoding: encode(), as: UTF8.self) }
}
