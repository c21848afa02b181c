// The verbs that need no daemon and run no job: policies, images, the doctor, help and completions.

import Foundation
import Testing

@Suite("paddock policy") struct PolicyCommandTests {
    let place: Place
    init() throws { place = try Place() }

    @Test("the shipped policies are right")
    func check() async throws {
        let said = try await place.run("policy", "check", "--json")
        #expect(said.code == 0)
        let findings = try #require(said.json as? [[String: Any]])
        #expect(findings.compactMap { $0["name"] as? String } == ["build", "default", "network", "strict"])
        #expect(findings.allSatisfy { $0["ok"] as? Bool == true && ($0["instructions"] as? Int ?? 0) > 100 })
    }

    @Test("a file is checked with what it extends, and its mistakes are told with their lines")
    func file() async throws {
        try place.write("mine.yaml", "version: 1\nname: mine\ndescription: Mine.\nextends: default\nlimits:\n  memory_bytes: 1GiB\n")
        #expect(try await place.run("policy", "check", "mine.yaml").code == 0)
        #expect(try await place.run("policy", "explain", "./mine.yaml").out.hasPrefix("mine: Mine."))
        try place.write("mine.yaml", "version: 1\nname: mine\nextends: default\nlimits:\n  memory_byte: 1GiB\nnetwrk: none\n")
        let said = try await place.run("policy", "check", "mine.yaml")
        #expect(said.code == 1)
        #expect(said.out.contains("mine.yaml:5: limits.memory_byte: unknown key"))
        #expect(said.out.contains("mine.yaml:6: netwrk: unknown key \"netwrk\"; did you mean \"network\"?"))
    }

    @Test("what dump prints is the same policy, whole")
    func dump() async throws {
        let dumped = try await place.run("policy", "dump", "network")
        #expect(dumped.code == 0)
        #expect(!dumped.out.contains("extends"))
        try place.write("network.yaml", dumped.out)
        #expect(try await place.run("policy", "dump", "network.yaml").out == dumped.out)
    }

    @Test("an unknown name is told with the nearest one")
    func unknown() async throws {
        let said = try await place.run("policy", "explain", "defualt")
        #expect(said.code == 2)
        #expect(said.error.contains("did you mean \"default\"?"))
        #expect(try await place.run("policy", "explain", "nosuch.yaml").error.contains("nosuch.yaml: no such file"))
    }
}

@Suite("paddock image") struct ImageCommandTests {
    let place: Place
    init() throws { place = try Place() }

    @Test("an archive is imported, listed, shown, exported and removed")
    func archive() async throws {
        // What `docker save` writes, by hand: one layer with one file.
        let script = """
            set -e; mkdir -p layer/etc save; echo hello > layer/etc/greeting; tar -C layer -cf save/layer.tar .
            sum=$(sha256sum save/layer.tar | cut -d' ' -f1)
            printf '{"architecture":"%s","os":"linux","config":{"Env":["GREETING=hi"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$1" $sum > config.json
            config=$(sha256sum config.json | cut -d' ' -f1); mv config.json save/$config.json
            printf '[{"Config":"'$config'.json","RepoTags":["tiny:latest"],"Layers":["layer.tar"]}]' > save/manifest.json
            tar -C save -cf tiny.tar .
            """
        #if arch(arm64)
            let architecture = "arm64"
        #else
            let architecture = "amd64"
        #endif
        let shell = Process()
        shell.executableURL = URL(fileURLWithPath: "/bin/sh")
        shell.arguments = ["-c", script, "sh", architecture]
        shell.currentDirectoryURL = URL(fileURLWithPath: place.work)
        try shell.run()
        shell.waitUntilExit()
        try #require(shell.terminationStatus == 0)

        let said = try await place.run("image", "import", "tiny.tar", "tiny", "--json")
        #expect(said.code == 0, "\(said.error)")
        #expect(said.object["name"] as? String == "tiny")
        #expect(try await place.run("image", "list").out.contains("tiny   docker"))
        let shown = try await place.run("image", "show", "tiny", "--json").object
        #expect((shown["environment"] as? [String: String])?["GREETING"] == "hi")
        #expect(try await place.run("image", "export", "tiny", "out.tar").code == 0)
        #expect(FileManager.default.fileExists(atPath: "\(place.work)/out.tar"))
        #expect(try await place.run("image", "remove", "tiny").code == 0)
        #expect((try await place.run("image", "list", "--json").object["images"] as? [Any])?.isEmpty == true)
    }

    @Test("host is always there")
    func host() async throws {
        #expect(try await place.run("image", "list").out.contains("host"))
        let binds = try await place.run("image", "show", "host", "--json").object["binds"] as? [[String: String]]
        #expect(binds?.contains { $0["target"] == "/usr" } == true)
    }

    @Test("a wrong name or file is told with what there is", arguments: [
        (["show", "nosuch"], "unknown image 'nosuch'"), (["remove", "host"], "host"), (["export", "nosuch", "x.tar"], "unknown image 'nosuch'"),
        (["import", "nosuch.tar", "x"], "nosuch.tar: no such file or directory"), (["import", "junk.tar", "x"], "junk.tar"), (["import", "junk.tar", "Bad Name"], "Bad Name"),
        (["build", "pyton"], "no definition is named 'pyton'"), (["build", "./wrong"], "image.yaml:2"),
    ])
    func wrong(_ arguments: [String], _ message: String) async throws {
        try place.write("junk.tar", "this is no archive")
        try place.write("wrong/image.yaml", "version: 1\nsuit: bookworm\n")
        let said = try await place.start(["image"] + arguments).end()
        #expect(said.code >= 2)
        #expect(said.error.contains("error: "))
        #expect(said.error.contains(message), "\(said.error)")
    }

    @Test("a definition that would unfold without end is refused at once, and code in one is not taken for that")
    func bomb() async throws {
        var bomb = "version: 1\na0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        for level in 1...12 { bomb += "a\(level): &a\(level) [\(Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", "))]\n" }
        try place.write("bomb/image.yaml", bomb + "? *a12\n: x\n")
        let said = try await place.run("image", "build", "./bomb")
        #expect(said.code == 2)
        #expect(said.error.contains("YAML aliases, expected none"), "\(said.error)")
        let code = String(repeating: "      f(&x, *y); z = a && b ** c;\n", count: 40)
        try place.write("code/image.yaml", "version: 1\nname: code\nsuit: bookworm\nfiles:\n  - path: /x.c\n    content: |\n\(code)")
        let other = try await place.run("image", "build", "./code")
        #expect(other.error.contains("suit: found an unknown key") && !other.error.contains("alias"), "\(other.error)")
    }
}

@Suite("paddock doctor, help and completions") struct HelpTests {
    let place: Place
    init() throws { place = try Place() }

    @Test("the doctor ends with real sandboxes and the exit code that goes with them")
    func doctor() async throws {
        let said = try await place.run("doctor", "--json")
        let object = said.object
        let healthy = try #require(object["healthy"] as? Bool)
        #expect(said.code == (healthy ? 0 : 1))
        let findings = try #require(object["findings"] as? [[String: Any]])
        for name in ["version", "user namespace", "network namespace", "overlay (userxattr)", "seccomp", "hierarchy", "id ranges", "mmdebstrap", "runs a program"] {
            #expect(findings.contains { $0["name"] as? String == name }, "\(name)")
        }
        // Where jobs run, the proof must be there.
        if healthy { #expect(findings.contains { $0["name"] as? String == "blocks a syscall" && $0["state"] as? String == "ok" }) }
    }

    @Test("a doctor who finds no warden says so, how to mend it, and exits 1")
    func ill() async throws {
        let said = try await place.run("doctor", environment: ["PADDOCK_WARDEN": "/nowhere/paddock-warden"])
        #expect(said.code == 1)
        #expect(said.out.contains("/nowhere/paddock-warden"))
        #expect(said.out.contains("This host cannot run jobs yet"))
    }

    @Test("every verb explains itself with an example", arguments: [
        [], ["run"], ["serve"], ["submit"], ["status"], ["top"], ["pool"], ["pool", "list"], ["pool", "set"], ["pool", "drain"], ["pool", "resume"], ["jobs"],
        ["jobs", "list"], ["jobs", "show"], ["jobs", "cancel"], ["policy"], ["policy", "check"], ["policy", "explain"], ["policy", "dump"], ["image"],
        ["image", "list"], ["image", "show"], ["image", "build"], ["image", "import"], ["image", "export"], ["image", "remove"], ["doctor"],
    ])
    func help(_ words: [String]) async throws {
        let said = try await place.start(words + ["--help"]).end()
        #expect(said.code == 0)
        #expect(said.error.isEmpty)
        #expect(said.out.contains("USAGE: paddock"))
        #expect(said.out.contains("Example"))
        #expect(said.out.contains("\n  paddock \(words.joined(separator: " "))"), "\(said.out)")
    }

    @Test("completions are there for three shells", arguments: ["bash", "zsh", "fish"])
    func completions(_ shell: String) async throws {
        let said = try await place.run("--generate-completion-script", shell)
        #expect(said.code == 0)
        #expect(said.out.contains("dry-run"))
    }

    @Test("an unknown verb is answered with the nearest one")
    func verb() async throws {
        let said = try await place.run("sumbit", "x")
        #expect(said.code == 2)
        #expect(said.error.contains("unknown verb 'sumbit'"))
        #expect(said.error.contains("did you mean 'paddock submit'?"))
    }

    @Test("output that is no terminal has no colour, and neither has one that asks for none")
    func colour() async throws {
        #expect(!(try await place.run("policy", "check").out.contains("\u{1B}")))
        #expect(!(try await place.run("run", "--dry-run", "--", "true", environment: ["NO_COLOR": "1"]).out.contains("\u{1B}")))
    }
}
