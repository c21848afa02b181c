// `paddock serve --config`: every mistake of the file at once, each with its place.

import Foundation
import Testing

@Suite("The daemon's configuration file") struct ConfigurationTests {
    let place: Place
    init() throws { place = try Place() }

    @Test("a right file is said to be right")
    func right() async throws {
        try place.write("farm.yaml", """
            version: 1
            socket: own.sock
            socket_mode: "0660"
            grace: 5s
            retention: 1h
            retained_bytes: 64MiB
            blob_bytes: 1GiB
            compile_cache: {bytes: 64MiB, entries: 500}
            log_level: warning
            ready: 16
            outbound: {allow: [10.1.0.0/16, 192.168.7.3], resolvers: [10.1.0.53, 192.0.2.53]}
            server: {max_connections: 100, max_line_bytes: 1MiB, partial_line_timeout: 10s}
            pools:
              - {name: default, size: 4, queue: 100, image: host, policy: default}
              - name: heavy
                policy: build
            """)
        let said = try await place.run("serve", "--config", "farm.yaml", "--check")
        #expect(said.code == 0, "\(said.error)")
        #expect(said.out == "farm.yaml: ok, 2 pools\n")
    }

    @Test("what the file says holds: socket and its mode, pools")
    func holds() async throws {
        try place.write("farm.yaml", "version: 1\nsocket: own.sock\nsocket_mode: \"0660\"\npools:\n  - {name: only, size: 7, queue: 9, policy: strict}\n")
        let running = try place.start(["serve", "--config", "farm.yaml"])
        #expect(await running.says("serving", onError: true))
        let socket = "\(place.work)/own.sock"
        #expect((try FileManager.default.attributesOfItem(atPath: socket)[.posixPermissions] as? Int) == 0o660)
        let pools = try #require(try await place.run("pool", "list", "--socket", socket, "--json").object["pools"] as? [[String: Any]])
        #expect(pools.count == 1)
        #expect(pools.first?["name"] as? String == "only")
        #expect(pools.first?["size"] as? Int == 7)
        #expect(pools.first?["queue"] as? Int == 9)
        #expect(pools.first?["policy"] as? String == "strict")
        running.send(SIGTERM)
        #expect(await running.end().code == 0)
    }

    @Test("all mistakes are told at once, with file, line, found, expected and the nearest key")
    func mistakes() async throws {
        try place.write("bad.yaml", """
            version: 1
            sokcet: x
            socket_mode: 660
            grace: soon
            log_level: loud
            retained_bytes: -1
            pools:
              - {name: A, size: 0}
              - {nme: b}
              - {name: c, image: [x]}
              - {name: c}
            server: {max_conections: 3}
            """)
        let said = try await place.run("serve", "--config", "bad.yaml")
        #expect(said.code == 2)
        for message in [
            "bad.yaml:2: sokcet: unknown key \"sokcet\"; did you mean \"socket\"?", "bad.yaml:3: socket_mode: found \"660\", expected an octal mode",
            "bad.yaml:4: grace: found \"soon\", expected milliseconds", "bad.yaml:5: log_level: found \"loud\", expected one of trace",
            "bad.yaml:6: retained_bytes: found \"-1\"", "bad.yaml:8: pools[0].name: found \"A\"", "bad.yaml:8: pools[0].size: found \"0\", expected 1 to 100000",
            "bad.yaml:9: pools[1].nme: unknown key \"nme\"", "bad.yaml:9: pools[1]: the key \"name\" is missing", "bad.yaml:10: pools[2].image: found a list",
            "bad.yaml:11: pools[3].name: found \"c\", which another pool is called", "bad.yaml:12: server.max_conections: unknown key",
        ] { #expect(said.error.contains(message), "\(said.error)") }
    }

    @Test("a socket that cannot be made is found before anything starts, beside what else is wrong")
    func socket() async throws {
        let long = String(repeating: "s", count: 120)
        try place.write("farm.yaml", "version: 1\nsocket: \(long)\npools:\n  - {name: default, policy: bild}\n")
        let both = try await place.run("serve", "--config", "farm.yaml", "--check")
        let length = "\(place.work)/\(long)".utf8.count
        #expect(both.code == 2 && both.error.contains("farm.yaml:2: socket: the path is \(length) bytes long, expected at most 107"), "\(both.error)")
        #expect(both.error.contains("farm.yaml:4: pools[0].policy"), "\(both.error)")
        for check in [["--check"], []] {
            let option = try await place.start(["serve", "--socket", long] + check).end()
            #expect(option.code == 2 && option.error.hasPrefix("error: --socket: the path is 120 bytes long, expected at most 107"), "\(option.error)")
        }
        let nowhere = try await place.run("serve", "--socket", "nowhere/farm.sock", "--check")
        #expect(nowhere.code == 2 && nowhere.error.contains("--socket: the directory nowhere: No such file or directory"), "\(nowhere.error)")
    }

    @Test("what is no network to allow and no resolver is refused", arguments: [
        ("{allow: 10.0.0.0/8}", "outbound.allow: found \"10.0.0.0/8\", expected a list of networks"),
        ("{allow: [10.0.0.1/8]}", "outbound.allow[0]: found \"10.0.0.1/8\", expected an IPv4 network with no bit set beyond its prefix"),
        ("{allow: [10.0.0.0/8, fd00::/8]}", "outbound.allow[1]: found \"fd00::/8\", expected an IPv4 network"),
        ("{allow: [0.0.0.0/0]}", "outbound.allow[0]: found \"0.0.0.0/0\", expected a network of at least 8 bits"),
        ("{allow: [127.0.0.1]}", "outbound.allow[0]: found \"127.0.0.1\", expected a network of other machines"),
        ("{allow: [224.0.0.0/8]}", "expected a network of other machines"),
        ("{allow: [010.0.0.0/8]}", "expected an IPv4 network"),
        ("{resolvers: [127.0.0.53]}", "outbound.resolvers[0]: found \"127.0.0.53\", expected the IPv4 address of a name server that is not on the loopback"),
        ("{resolvers: [dns.example]}", "outbound.resolvers[0]: found \"dns.example\", expected the IPv4 address"),
        ("{resolvers: [10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4]}", "outbound.resolvers: found 4 elements, expected at most 3"),
        ("{resolvers: []}", "outbound.resolvers: found a list, expected at least one address"),
        ("{alow: []}", "outbound.alow: unknown key \"alow\"; did you mean \"allow\"?"),
        ("[]", "outbound: found a list"),
    ])
    func outbound(_ value: String, _ message: String) async throws {
        try place.write("bad.yaml", "version: 1\noutbound: \(value)\n")
        let said = try await place.run("serve", "--config", "bad.yaml", "--check")
        #expect(said.code == 2)
        #expect(said.error.contains("bad.yaml:2: ") && said.error.contains(message), "\(said.error)")
    }

    @Test("a file that is not one is refused", arguments: [
        ("", "found an empty file"), ("version: 2\n", "expected 1"), ("socket: x\n", "the key \"version\" is missing"), ("- a\n", "found a list"),
        ("version: 1\na: &x [*x]\n", "bad.yaml:2"), ("version: 1\nversion: 1\n", "more than once"), ("version: 1\npools: []\n", "at least one pool"),
        ("version: 1\ncompile_cache: {size: 1}\n", "bad.yaml:2: compile_cache.size: unknown key"),
        ("version: 1\ncompile_cache: {bytes: -1}\n", "compile_cache.bytes: found \"-1\""), ("version: 1\ncompile_cache: 0\n", "compile_cache: found"),
        ("version: 1\n\tx: y\n", "not YAML"), ("version: 1\nsocket: \"a\\0b\"\n", "control characters"),
    ])
    func notOne(_ text: String, _ message: String) async throws {
        try place.write("bad.yaml", text)
        let said = try await place.run("serve", "--config", "bad.yaml", "--check")
        #expect(said.code == 2)
        #expect(said.error.contains(message), "\(said.error)")
    }

    @Test("a pool's unknown policy or image is found before anything starts")
    func names() async throws {
        try place.write("farm.yaml", "version: 1\npools:\n  - {name: default}\n  - {name: b, policy: bild}\n  - {name: c, policy: strikt, image: moon}\n")
        let said = try await place.run("serve", "--config", "farm.yaml", "--check")
        #expect(said.code == 2)
        for message in [
            "farm.yaml:4: pools[1].policy: found \"bild\"", "farm.yaml:5: pools[2].policy: found \"strikt\"", "farm.yaml:5: pools[2].image: ",
        ] { #expect(said.error.contains(message), "\(said.error)") }
        try place.write("farm.yaml", "version: 1\npools:\n  - {name: default, image: nosuch}\n")
        #expect(try await place.run("serve", "--config", "farm.yaml").error.contains("pools[0].image"))
        #expect(try await place.run("serve", "--config", "nosuch.yaml").error.contains("--config: nosuch.yaml: No such file"))
    }
}
