// Many at once: connections, calls on one connection, answers from many threads, and clients that do not read.

import NIOCore
import SandboxCore
import Synchronization
import Testing

@testable import Wire

@Suite("The server under load", .serialized, .timeLimit(.minutes(1)))
struct LoadTests {
    private func echo(_ word: String) -> Call { .jobRun(JobRequest(work: .command([word]))) }

    private func output(_ answer: Answer) -> String? {
        guard case .result(let result) = answer else { return nil }
        return String(decoding: result.stdout.head, as: UTF8.self)
    }

    @Test("1,000 connections are served, and forgotten when they end")
    func connections() async throws {
        raiseDescriptorLimit()
        let handler = TestHandler()
        try await withServer(handler) { path, server in
            let clients = try await withThrowingTaskGroup(of: Client.self) { group in
                for _ in 0..<1_000 { group.addTask { try await Client.connect(path: path) } }
                return try await group.reduce(into: [Client]()) { $0.append($1) }
            }
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for (index, client) in clients.enumerated() {
                    group.addTask { output(try await client.call(echo("n\(index)"))) == "n\(index)" }
                }
                for try await right in group { #expect(right) }
            }
            #expect(server.connectionCount == 1_000)
            for client in clients { await client.close() }
            var ended = handler.ended.makeAsyncIterator()
            for _ in 0..<1_000 { _ = await ended.next() }
            #expect(server.connectionCount == 0)
        }
    }

    @Test("5,000 calls in flight on one connection, answered from other threads in another order, each get their own answer")
    func inFlight() async throws {
        let held = Mutex<[(Call, ClientConnection, Responder)]>([])
        let handler = TestHandler { call, connection, responder in
            let all = held.withLock { held in
                held.append((call, connection, responder))
                return held.count == 5_000 ? held.shuffled() : []
            }
            guard !all.isEmpty else { return }
            // All are there at once; now four tasks answer them.
            for part in 0..<4 {
                Task {
                    for index in stride(from: part, to: all.count, by: 4) {
                        TestHandler.answerAtOnce(all[index].0, all[index].1, all[index].2)
                    }
                }
            }
        }
        try await withServer(handler) { path, _ in
            let client = try await Client.connect(path: path)
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for index in 0..<5_000 { group.addTask { output(try await client.call(echo("n\(index)"))) == "n\(index)" } }
                for try await right in group { #expect(right) }
            }
            await client.close()
        }
    }

    @Test("more calls than one connection may have are turned away, and it goes on")
    func tooManyCalls() async throws {
        var limits = ServerLimits()
        limits.maxCallsInFlight = 10
        let responders = Inbox<Responder>()
        let handler = TestHandler { _, _, responder in responders.put.yield(responder) }
        try await withServer(handler, limits: limits) { path, _ in
            let client = try await RawClient(path: path)
            for id in 1...12 { try await client.send(Request(id: .number(id), call: echo("x")).encode()) }
            for id in 11...12 {
                let message = try await client.message()
                #expect(message.int("id") == id)
                #expect(message.string("error", "data", "code") == "queue_full")
                #expect(message.int("error", "data", "retry_after_ms") == 1_000)
            }
            // What does not wait for a job, like a cancel, still gets through.
            try await client.send(Request(id: .number(13), call: .jobCancel(JobID("j"))).encode())
            for _ in 1...10 { await responders.next().answer(.submitted(JobID("j"))) }
            await responders.next().answer(.state(JobID("j"), .done))
            for _ in 1...11 { #expect(try await client.message().string("result", "job") == "j") }
            try await client.send(Request(id: .number(14), call: echo("x")).encode())
            await responders.next().answer(.submitted(JobID("last")))
            #expect(try await client.message().int("id") == 14)
            await client.close()
        }
    }

    @Test("one connection too many is told so")
    func tooManyConnections() async throws {
        var limits = ServerLimits()
        limits.maxConnections = 2
        try await withServer(limits: limits) { path, _ in
            let first = try await Client.connect(path: path)
            let second = try await Client.connect(path: path)
            for client in [first, second] { #expect(try await client.call(.blobHas([])) == .missing([])) }
            let third = try await RawClient(path: path)
            #expect(try await third.message().string("error", "data", "code") == "queue_full")
            #expect(await third.line() == nil)
            #expect(try await second.call(.blobHas([])) == .missing([]))
            await first.close()
            await second.close()
        }
    }

    @Test("a slow reader is not read any more, and loses no answer when it reads again")
    func slowReader() async throws {
        var limits = ServerLimits()
        limits.pauseAtUnreadBytes = 100_000
        let taken = Atomic<Int>(0)
        let blob = [UInt8](repeating: 0x78, count: 10_000)
        let handler = TestHandler { _, _, responder in
            taken.add(1, ordering: .relaxed)
            responder.answer(.result(JobResult(job: JobID("j"), outcome: .exited(code: 0), stdout: Output(head: blob))))
        }
        try await withServer(handler, limits: limits) { path, _ in
            let slow = try await RawClient(path: path, reading: false)
            let calls = 600
            var lines: [UInt8] = []
            for id in 1...calls { lines += Request(id: .number(id), call: echo("x")).encode() }
            let sending = Task { [lines] in try await slow.send(lines) }
            // Another client is served as if nothing were.
            let other = try await Client.connect(path: path)
            for _ in 0..<50 { _ = try await other.call(echo("y")) }
            // 6 MB are owed to the slow one; far fewer calls than it made were taken.
            #expect(taken.load(ordering: .relaxed) < 250 + 50)
            try await slow.startReading()
            for id in 1...calls { #expect(try await slow.message().int("id") == id) }
            try await sending.value
            await other.close()
            await slow.close()
        }
    }

    @Test("a server that ends goes on writing to a client that goes on reading, however slowly; not to one that does not", arguments: [true, false])
    func endWhileReading(reads: Bool) async throws {
        let blob = [UInt8](repeating: 0x78, count: 8_000_000)
        let answered = Inbox<Bool>()
        let handler = TestHandler { _, _, responder in
            responder.answer(.result(JobResult(job: JobID("j"), outcome: .exited(code: 0), stdout: Output(head: blob))))
            answered.put.yield(true)
        }
        try await withServer(handler) { path, server in
            let slow = try await RawClient(path: path, reading: false)
            try await slow.send(Request(id: .number(1), call: echo("x")).encode())
            _ = await answered.next()
            async let end: Void = server.shutdown(patience: .milliseconds(500))
            if reads {
                // A read takes 256 kB at most: two seconds for all, several times the patience.
                let reading = Task {
                    while !Task.isCancelled {
                        slow.channel.read()
                        try await Task.sleep(for: .milliseconds(60))
                    }
                }
                #expect(await slow.line()?.count ?? 0 > blob.count)
                reading.cancel()
            }
            await end
            if !reads { #expect(await slow.line() == nil) }
            await slow.close()
        }
    }

    @Test("a client that never reads is closed past the hard bound")
    func hopelessReader() async throws {
        var limits = ServerLimits()
        limits.pauseAtUnreadBytes = 1 << 40
        limits.closeAtUnreadBytes = 2_000_000
        let blob = [UInt8](repeating: 0x78, count: 100_000)
        let events = Inbox<ServerEvent>()
        let handler = TestHandler { _, _, responder in
            responder.answer(.result(JobResult(job: JobID("j"), outcome: .exited(code: 0), stdout: Output(head: blob))))
        }
        try await withServer(handler, limits: limits, onEvent: { events.put.yield($0) }) { path, server in
            let hopeless = try await RawClient(path: path, reading: false)
            for id in 1...100 { try? await hopeless.send(Request(id: .number(id), call: echo("x")).encode()) }
            _ = await events.next()
            guard case .closedByServer(1, let reason) = await events.next() else { return #expect(Bool(false), "not closed") }
            #expect(reason.contains("are not read"))
            #expect(await events.next() == .disconnected(connection: 1))
            let other = try await Client.connect(path: path)
            _ = try await other.call(echo("y"))
            await other.close()
        }
    }

    @Test("output that a slow reader misses is counted, and the result still comes")
    func droppedOutput() async throws {
        var limits = ServerLimits()
        limits.pauseAtUnreadBytes = 50_000
        let piece = [UInt8](repeating: 0x78, count: 10_000)
        let handler = TestHandler { _, connection, responder in
            let stream = connection.outputStream(of: JobID("j"), request: responder.id)
            for _ in 0..<100 { stream.send(.stdout, piece) }
            stream.finish()
            responder.answer(.result(JobResult(job: JobID("j"), outcome: .exited(code: 0))))
        }
        try await withServer(handler, limits: limits) { path, _ in
            let client = try await Client.connect(path: path)
            let seen = Mutex((received: 0, dropped: 0, last: 0))
            _ = try await client.call(echo("x")) { output in
                seen.withLock {
                    $0.received += output.bytes.count
                    $0.dropped += output.droppedBytes
                    $0.last = output.bytes.count
                }
            }
            let total = seen.withLock { $0 }
            #expect(total.received + total.dropped == 100 * piece.count)
            #expect(total.dropped > 0)
            #expect(total.last == 0)
            await client.close()
        }
    }
}
