// The socket's place in the file system: its mode, what stands in its way, and whose it is.

import Glibc
import SandboxCore
import Testing

@testable import Wire

@Suite("The socket file", .timeLimit(.minutes(1)))
struct SocketFileTests {
    private func mode(_ path: String) -> Int {
        var status = stat()
        return lstat(path, &status) == 0 ? Int(status.st_mode & 0o777) : -1
    }

    private func start(_ path: String, mode: Int = 0o600) async throws(ServerError) -> Server {
        try await Server.start(path: path, mode: mode, handler: TestHandler())
    }

    @Test("it has the mode it was asked for, whatever the umask", arguments: [0o600, 0o660, 0o666])
    func modes(_ asked: Int) async throws {
        try await withSocketPath { path in
            let server = try await start(path, mode: asked)
            #expect(mode(path) == asked)
            await server.shutdown()
            #expect(mode(path) == -1)
        }
    }

    @Test("a daemon that answers is not pushed aside")
    func answered() async throws {
        try await withSocketPath { path in
            let server = try await start(path)
            await #expect(throws: ServerError.alreadyServed(path)) { _ = try await start(path) }
            let client = try await Client.connect(path: path)
            #expect(try await client.call(.blobHas([])) == .missing([]))
            await client.close()
            await server.shutdown()
        }
    }

    @Test("a socket that nobody listens on any more is replaced")
    func stale() async throws {
        try await withSocketPath { path in
            let (descriptor, _) = try await SocketFile.listen(path: path, mode: 0o600)
            close(descriptor)
            #expect(mode(path) == 0o600)
            let server = try await start(path)
            let client = try await Client.connect(path: path)
            await client.close()
            await server.shutdown()
        }
    }

    @Test("of many that start at once over a dead socket, one serves")
    func race() async throws {
        try await withSocketPath { path in
            let (descriptor, _) = try await SocketFile.listen(path: path, mode: 0o600)
            close(descriptor)
            let servers = await withTaskGroup(of: Server?.self) { group in
                for _ in 0..<8 { group.addTask { try? await start(path) } }
                return await group.reduce(into: [Server]()) { if let server = $1 { $0.append(server) } }
            }
            #expect(servers.count == 1)
            let client = try await Client.connect(path: path)
            await client.close()
            for server in servers { await server.shutdown() }
        }
    }

    @Test("a server ends although clients came and went at that moment")
    func endsAmongProbes() async throws {
        // A connection that is closed between being accepted and becoming active: some of these are, in every run.
        try await withSocketPath { path in
            let address = try SocketAddressBytes(path: path)
            for _ in 0..<200 {
                let server = try await start(path)
                for _ in 0..<16 {
                    let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
                    #expect(address.call { connect(probe, $0, $1) } == 0)
                    close(probe)
                }
                await server.shutdown()
                #expect(server.connectionCount == 0)
            }
        }
    }

    @Test("a file that is no socket is left alone")
    func inTheWay() async throws {
        try await withSocketPath { path in
            close(creat(path, 0o644))
            await #expect(throws: ServerError.inTheWay(path)) { _ = try await start(path) }
            #expect(mode(path) == 0o644)
        }
    }

    @Test("a daemon that ends leaves the socket of its successor")
    func successor() async throws {
        try await withSocketPath { path in
            let first = try await start(path)
            unlink(path)
            let second = try await start(path)
            await first.shutdown()
            let client = try await Client.connect(path: path)
            await client.close()
            await second.shutdown()
        }
    }

    @Test("a path the kernel does not take is refused with the reason")
    func badPaths() async throws {
        for path in ["", "/tmp/" + String(repeating: "x", count: 200), "/tmp/a\0b", "/nowhere/at/all/s"] {
            let error = await #expect(throws: ServerError.self) { _ = try await start(path) }
            #expect(error?.description.isEmpty == false)
        }
    }
}
