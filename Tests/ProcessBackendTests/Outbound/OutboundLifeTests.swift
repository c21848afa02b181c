// What a way out leaves on the host: nothing. And what it never touches: what is not the farm's.

import Foundation
import LinuxSystem
@testable import ProcessBackend
import SandboxCore
import Testing

extension OutboundTests {
    @Suite("The host's side")
    struct OutboundLifeTests {
        let world: World
        init() throws { world = try World() }

        private func links(_ table: String) throws -> [String] {
            let prefix = OutboundTable.links(ofTable: table)
            return NetworkLinks.names().filter { $0.hasPrefix(prefix) }
        }

        /// The kernel takes a namespace apart when it finds the time.
        private func waitUntilNone(_ table: String) async throws {
            let deadline = ContinuousClock.now + .seconds(20)
            while try !links(table).isEmpty, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(5)) }
            #expect(try links(table).isEmpty)
        }

        @Test("a farm that makes no sandbox with a way out changes nothing")
        func lazy() async throws {
            try await Reach.farm(world) { farm in
                _ = try await Harness.sh("true", on: farm)
                #expect(farm.outboundTable == nil)
                #expect(try !OutboundTable.tables().contains { $0.owner == .current })
                #expect(!world.isForwarding)
            }
        }

        @Test("each sandbox has a line, which goes with it, and its address is given to others")
        func lines() async throws {
            try await Reach.farm(world) { farm in
                let sandboxes = [try await farm.makeSandbox(Reach.spec()), try await farm.makeSandbox(Reach.spec())]
                // A first step waits until its sandbox is there.
                for sandbox in sandboxes { _ = try await sandbox.run(Harness.plan(["true"]), onOutput: nil) }
                let table = try #require(farm.outboundTable)
                #expect(try links(table).count == 2)
                for sandbox in sandboxes { await sandbox.destroy() }
                try await waitUntilNone(table)
                #expect(farm.outboundTaken == 0)
            }
        }

        @Test("shut down, it has left no table, and the host passes on no more than before")
        func shutdown() async throws {
            // Another farm of this machine may have a way out.
            let before = world.isForwarding
            let table = try await Reach.farm(world) { farm in
                _ = try await Reach.run("tcp('tcp', '\(world.address)', 7000)", on: farm)
                #expect(world.isForwarding)
                return try #require(farm.outboundTable)
            }
            #expect(try !NetfilterTables.names().contains(table))
            #expect(world.isForwarding == before)
            try await waitUntilNone(table)
        }

        @Test("a farm killed with SIGKILL is swept by the next one")
        func killed() async throws {
            let before = world.isForwarding
            let child = try ChildProcess(role: "outbound \(world.address)", filter: "OutboundToKill")
            let line = try #require(child.line("table "), "\(child.text)")
            let table = String(line.dropFirst(6))
            #expect(try NetfilterTables.names().contains(table))
            #expect(try !links(table).isEmpty)
            #expect(world.isForwarding)
            child.kill()
            try? FileManager.default.removeItem(atPath: NSTemporaryDirectory() + "paddock-tests-\(child.pid)")
            try await Reach.farm(world) { (_) async throws in
                #expect(try !NetfilterTables.names().contains(table))
                #expect(try links(table).isEmpty)
                #expect(world.isForwarding == before)
            }
        }

        @Test("two farms have networks of their own, and one that ends leaves the other its way")
        func two() async throws {
            let before = world.isForwarding
            try await Reach.farm(world) { first in
                try await Reach.farm(world) { second in
                    let script = "print('own=' + own()); tcp('tcp', '\(world.address)', 7000)"
                    let (one, other) = (try await Reach.run(script, on: first), try await Reach.run(script, on: second))
                    let places = try [one, other].map { try #require(IPv4Address($0["own"])) }
                    #expect(IPv4Network(places[0], prefix: HostRoutes.prefix) != IPv4Network(places[1], prefix: HostRoutes.prefix))
                    #expect(one["tcp"] == "\(world.hostAddress)" && other["tcp"] == "\(world.hostAddress)")
                    await first.shutdown()
                    #expect(try await Reach.run(script, on: second)["tcp"] == "\(world.hostAddress)")
                }
            }
            #expect(world.isForwarding == before)
        }

        @Test("nobody can use the host as a router that was none")
        func router() async throws {
            let second = try World(1)
            let ask = "import socket\ntry: print(socket.create_connection(('\(second.address)', 7000), 0.7).recv(99).decode())\nexcept OSError as e: print(type(e).__name__)"
            try await Reach.farm(world) { farm in
                let result = try await Reach.run("tcp('one', '\(world.address)', 7000); tcp('two', '\(second.address)', 7000)", on: farm)
                #expect(result["one"] == "\(world.hostAddress)" && result["two"] == "\(second.hostAddress)")
                #expect(world.isForwarding && second.isForwarding)
                #expect(try world.python(ask) == "TimeoutError\n")
            }
            // With no rule in the way and the setting left on, it would be one.
            try Forwarding.set(world.link, true)
            try Forwarding.set(second.link, true)
            #expect(try world.python(ask) == "\(world.address)\n")
        }

        @Test("tables whose names are not a farm's stay, and so do those of farms in other pid namespaces")
        func foreign() async throws {
            // As far as a farm can tell, the second is used by a living one, which may need what is switched on now.
            let off = NetworkLinks.names().filter(Forwarding.isOff)
            defer { for interface in off { try? Forwarding.set(interface, false) } }
            let names = ["paddock-mine", "paddock-1-2-3-4", "filter-\(getpid())"]
            for name in names { try World.nft(["add", "table", "inet", name]) }
            defer { for name in names { try? World.nft(["delete", "table", "inet", name]) } }
            try await Reach.farm(world) { farm in _ = try await Reach.run("pass", on: farm) }
            #expect(Set(try NetfilterTables.names()).isSuperset(of: names))
        }
    }
}

/// Is killed by another test while it has a sandbox with a way out.
@Suite("OutboundToKill", .enabled(if: ChildProcess.role?.hasPrefix("outbound ") == true, "another test starts it, as a process of its own"))
struct OutboundToKill {
    @Test("runs until it is killed")
    func run() async throws {
        let resolver = try #require(ChildProcess.role.flatMap { IPv4Address($0.dropFirst("outbound ".count)) })
        let farm = try Harness.backend(outbound: OutboundSettings(resolvers: [resolver]))
        let sandbox = try await farm.makeSandbox(Reach.spec())
        // A first step waits until its sandbox is there, and with it its line.
        _ = try await sandbox.run(Harness.plan(["true"]), onOutput: nil)
        print("table \(farm.outboundTable ?? "none")")
        fflush(nil)
        _ = try await sandbox.run(Harness.plan(["sleep", "60"]) { $0.limits.wallTimeMs = 60_000 }, onOutput: nil)
    }
}
