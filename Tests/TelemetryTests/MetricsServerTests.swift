// The HTTP face: what it answers, and what a stranger can make it hold.

import Foundation
import Synchronization
import Testing

@testable import Telemetry

@Suite("The face to a scraper", .serialized)
struct MetricsServerTests {
    private let ill = Shared<String?>(nil)

    private func start(_ change: (inout MetricsServer.Limits) -> Void = { _ in }) async throws -> MetricsServer {
        var limits = MetricsServer.Limits()
        change(&limits)
        return try await MetricsServer.start(
            host: "127.0.0.1", port: 0, limits: limits,
            answers: .init(metrics: { Array("m 1\n".utf8) }, illness: { [ill] in ill.value }))
    }

    @Test("answers GET /metrics and GET /healthz, and nothing else", arguments: [
        ("GET /metrics", "200 OK", "m 1\n"), ("GET /metrics?x=1", "200 OK", "m 1\n"), ("HEAD /metrics", "200 OK", ""),
        ("GET /healthz", "200 OK", "ok\n"), ("GET /", "404 Not Found", "there is /metrics and /healthz\n"),
        ("GET /metrics/", "404 Not Found", "there is /metrics and /healthz\n"), ("POST /metrics", "405 Method Not Allowed", "only GET\n"),
        ("DELETE /healthz", "405 Method Not Allowed", "only GET\n"), ("GET /../etc/passwd", "404 Not Found", "there is /metrics and /healthz\n"),
    ])
    func answers(_ request: String, _ status: String, _ body: String) async throws {
        let server = try await start()
        let said = try await Wire.ask(server.port, "\(request) HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        #expect(said.hasPrefix("HTTP/1.1 \(status)\r\n") && said.hasSuffix("\r\n\r\n\(body)"), "\(said)")
        if request == "GET /metrics" { #expect(said.contains("text/plain; version=0.0.4; charset=utf-8")) }
        await server.shutdown()
    }

    @Test("says why the farm is ill")
    func illness() async throws {
        let server = try await start()
        ill.value = "draining"
        let said = try await Wire.ask(server.port, "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        #expect(said.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n") && said.hasSuffix("\r\n\r\ndraining\n"))
        await server.shutdown()
    }

    @Test("serves one request after the other on a connection, and several connections at once")
    func keptAlive() async throws {
        let server = try await start()
        try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<8 {
                group.addTask { [port = server.port] in
                    try await Wire.ask(port, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\nGET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                }
            }
            for try await said in group { #expect(said.contains("\r\n\r\nm 1\nHTTP/1.1 200 OK\r\n") && said.hasSuffix("ok\n")) }
        }
        await server.shutdown()
    }

    /// By a name, because a failed test prints its arguments.
    private static let oversized: [String: String] = [
        "no HTTP": "\u{1}\u{2}\r\n\r\n",
        "a large header": "GET /metrics HTTP/1.1\r\nhost: x\r\na: \(String(repeating: "b", count: 10_000))\r\n\r\n",
        "a large path": "GET /\(String(repeating: "b", count: 100_000)) HTTP/1.1\r\nhost: x\r\n\r\n",
        "many headers": "GET /metrics HTTP/1.1\r\nhost: x\r\n\((0..<100).map { "h\($0): x\r\n" }.joined())\r\n",
        "headers too large together": "GET /metrics HTTP/1.1\r\nhost: x\r\n\((0..<60).map { "h\($0): \(String(repeating: "y", count: 500))\r\n" }.joined())\r\n",
    ]

    @Test("turns away what is no HTTP, and headers that are too large or too many", arguments: oversized.keys.sorted())
    func tooLarge(_ name: String) async throws {
        let request = Self.oversized[name]!
        let server = try await start()
        let said = try await Wire.ask(server.port, request)
        #expect(said.hasPrefix("HTTP/1.1 400 Bad Request\r\n") || said.isEmpty, "\(said.prefix(100))")
        await server.shutdown()
    }

    @Test("closes a connection that is silent, before, within and after a request", arguments: [
        "", "GET /metr", "GET /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nab", "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n",
    ])
    func silent(_ request: String) async throws {
        let server = try await start { $0.idle = .milliseconds(200) }
        _ = try await Wire.ask(server.port, request)
        await server.shutdown()
    }

    @Test("closes a connection that sends a byte now and then, by its age")
    func slow() async throws {
        let server = try await start { $0.age = .milliseconds(300) }
        _ = try await Wire.ask(server.port, "GET /metrics HTTP/1.1\r\n", thenDrip: true)
        await server.shutdown()
    }

    @Test("serves as many connections as it may; the next is served when one has ended")
    func bounded() async throws {
        let server = try await start { ($0.connections, $0.idle) = (2, .milliseconds(500)) }
        async let first = Wire.ask(server.port, "")
        async let second = Wire.ask(server.port, "")
        let third = try await Wire.ask(server.port, "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        #expect(third.hasSuffix("ok\n"))
        _ = try await (first, second)
        await server.shutdown()
    }

    @Test("an address that is taken is an error")
    func taken() async throws {
        let server = try await start()
        await #expect(throws: (any Error).self) {
            try await MetricsServer.start(host: "127.0.0.1", port: server.port, answers: .init(metrics: { [] }, illness: { nil }))
        }
        await server.shutdown()
    }

    @Test("ends at once when nobody asks, and lets go of its address")
    func shutdown() async throws {
        let server = try await start()
        async let waiting = try? Wire.ask(server.port, "")
        await server.shutdown()
        _ = await waiting
        let again = try await MetricsServer.start(host: "127.0.0.1", port: server.port, answers: .init(metrics: { [] }, illness: { nil }))
        await again.shutdown()
    }
}

final class Shared<Value: Sendable>: Sendable {
    private let held: Mutex<Value>
    init(_ value: Value) { held = Mutex(value) }
    var value: Value {
        get { held.withLock { $0 } }
        set { held.withLock { $0 = newValue } }
    }
}

/// A socket as a stranger uses it.
enum Wire {
    struct NoConnection: Error {}

    /// All that is said on one connection until the other end closes it, on a thread of its own.
    static func ask(_ port: Int, _ request: String, thenDrip: Bool = false) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
                defer { close(fd) }
                var address = sockaddr_in()
                address.sin_family = sa_family_t(AF_INET)
                address.sin_port = in_port_t(port).bigEndian
                address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
                let connected = withUnsafePointer(to: &address) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(fd, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
                }
                guard connected == 0 else { return continuation.resume(throwing: NoConnection()) }
                let bytes = Array(request.utf8)
                var sent = 0
                while sent < bytes.count {
                    let n = bytes.withUnsafeBytes { send(fd, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL)) }
                    if n <= 0 { break }
                    sent += n
                }
                if thenDrip {
                    // Until it is refused: the other end has closed.
                    while send(fd, "x", 1, Int32(MSG_NOSIGNAL)) == 1 { usleep(20_000) }
                }
                var said: [UInt8] = []
                var buffer = [UInt8](repeating: 0, count: 4096)
                while true {
                    let n = recv(fd, &buffer, buffer.count, 0)
                    if n <= 0 { break }
                    said += buffer[..<n]
                }
                continuation.resume(returning: String(decoding: said, as: UTF8.self))
            }
        }
    }
}
