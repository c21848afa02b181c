// The client against a real server: what it says when there is none, when it goes away, and when it talks nonsense.

import Glibc
import NIOCore
import NIOPosix
import SandboxCore
import Synchronization
import Testing

@testable import Wire

@Suite("The client", .timeLimit(.minutes(1)))
struct ClientTests {
    @Test("a missing socket and a dead one are named, with what to do about it")
    func unreachable() async throws {
        try await withSocketPath { path in
            let missing = await #expect(throws: ClientError.self) { _ = try await Client.connect(path: path) }
            #expect(missing?.description.contains("there is no socket") == true)
            #expect(missing?.description.contains("paddock serve --socket \(path)") == true)
            let (descriptor, _) = try await SocketFile.listen(path: path, mode: 0o600)
            close(descriptor)
            let dead = await #expect(throws: ClientError.self) { _ = try await Client.connect(path: path) }
            #expect(dead?.description.contains("no daemon answers") == true)
            let long = String(repeating: "x", count: 300)
            let tooLong = await #expect(throws: ClientError.self) { _ = try await Client.connect(path: long) }
            #expect(tooLong?.description.contains("at most 107") == true)
        }
    }

    @Test("every answer arrives as the handler gave it")
    func answers() async throws {
        let next = Mutex<Answer?>(nil)
        let handler = TestHandler { _, _, responder in responder.answer(next.withLock { $0! }) }
        try await withServer(handler) { path, _ in
            let client = try await Client.connect(path: path)
            for (method, answer) in Samples.answers {
                guard let call = Samples.calls.first(where: { $0.method == method }) else { continue }
                next.withLock { $0 = answer }
                #expect(try await client.call(call) == answer)
            }
            await client.close()
        }
    }

    @Test("a refusal and a failure of the farm are different errors")
    func failures() async throws {
        let handler = TestHandler { call, _, responder in
            if call == .farmInfo { responder.fail(FarmError(.sandboxLost, "gone", retryable: true)) }
            else { responder.reject(Rejected(.unknownJob, "none")) }
        }
        try await withServer(handler) { path, _ in
            let client = try await Client.connect(path: path)
            await #expect(throws: ClientError.farm(FarmError(.sandboxLost, "gone", retryable: true))) { try await client.call(.farmInfo) }
            await #expect(throws: ClientError.rejected(Rejected(.unknownJob, "none"))) { try await client.call(.jobGet(JobID("j"))) }
            await client.close()
        }
    }

    @Test("a streamed job's output comes in order and before its result; a submitted one's goes elsewhere")
    func output() async throws {
        let handler = TestHandler { call, connection, responder in
            let run = if case .jobRun = call { true } else { false }
            let stream = connection.outputStream(of: JobID("j"), request: run ? responder.id : nil)
            for number in 0..<100 { stream.send(.stdout, Array("\(number) ".utf8)) }
            stream.send(.stderr, [0xff])
            stream.finish()
            TestHandler.answerAtOnce(call, connection, responder)
        }
        try await withServer(handler) { path, _ in
            let elsewhere = Mutex<[JobOutput]>([])
            let client = try await Client.connect(path: path) { output in elsewhere.withLock { $0.append(output) } }
            let job = JobRequest(work: .command(["x"]), stream: true)
            let seen = Mutex<[JobOutput]>([])
            _ = try await client.call(.jobRun(job)) { output in seen.withLock { $0.append(output) } }
            let pieces = seen.withLock { $0 }
            #expect(pieces.dropLast().map { String(decoding: $0.bytes, as: UTF8.self) } == (0..<100).map { "\($0) " })
            #expect(pieces.last?.stream == .stderr)
            #expect(pieces.last?.bytes == [0xff])
            #expect(elsewhere.withLock { $0.isEmpty })
            _ = try await client.call(.jobSubmit(job))
            #expect(elsewhere.withLock { $0.count } == 101)
            await client.close()
        }
    }

    @Test("calls that wait when the farm goes away are told, and later ones too")
    func disconnected() async throws {
        let handler = TestHandler { _, connection, responder in
            Task {
                connection.close()
                withExtendedLifetime(responder) {}
            }
        }
        try await withServer(handler) { path, _ in
            let client = try await Client.connect(path: path)
            for _ in 0..<2 {
                let error = await #expect(throws: ClientError.self) { try await client.call(.farmInfo) }
                guard case .disconnected = error else { return #expect(Bool(false), "\(String(describing: error))") }
            }
            await client.close()
            await client.close()
        }
    }

    @Test("a task that is cancelled does not wait for its answer")
    func cancelled() async throws {
        let responders = Inbox<Responder>()
        let handler = TestHandler { _, _, responder in responders.put.yield(responder) }
        try await withServer(handler) { path, _ in
            let client = try await Client.connect(path: path)
            let task = Task { try await client.call(.farmInfo) }
            let responder = await responders.next()
            task.cancel()
            await #expect(throws: ClientError.cancelled) { try await task.value }
            responder.answer(.missing([]))
            async let second = client.call(.blobHas([]))
            await responders.next().answer(.missing([]))
            #expect(try await second == .missing([]))
            await client.close()
        }
    }

    @Test("an answer that is not of this protocol ends the connection with the reason", arguments: ["nonsense\n", "{}\n", "{\"id\":5,\"error\":{}}\n", "{\"id\":\"x\",\"result\":{}}\n"])
    func nonsense(_ line: String) async throws {
        try await withSocketPath { path in
            let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .childChannelInitializer { channel in
                    channel.writeAndFlush(ByteBuffer(string: line), promise: nil)
                    return channel.eventLoop.makeSucceededVoidFuture()
                }
                .bind(unixDomainSocketPath: path).get()
            let client = try await Client.connect(path: path)
            let error = await #expect(throws: ClientError.self) { try await client.call(.farmInfo) }
            guard case .badAnswer = error else { return #expect(Bool(false), "\(String(describing: error))") }
            await client.close()
            try await server.close()
        }
    }
}
