import Foundation
import Synchronization
import Testing

@testable import Images

/// Real builds: what a machine needs for them, or why there are none on this one.
private let missing: String? = {
    if !Files.isRoot { return "building needs root" }
    if !Tools.find("mmdebstrap") { return "mmdebstrap is not installed" }
    return nil
}()

@Suite(.serialized) struct BuilderTests {
    let place: Place
    let store: ImageStore

    init() throws {
        place = try Place()
        store = try ImageStore(root: place.path + "/store")
        // The builder enters it as another user.
        try Files.setMode(Files.openDirectory(place.path), 0o755)
    }

    private let small = ImageDefinition(
        name: "small", suite: "bookworm", packages: ["python3"], pip: ["iniconfig==2.0.0"],
        files: [
            .init(path: "/usr/local/bin/hello", content: Array("#!/bin/sh\necho hello from $0\n".utf8), mode: 0o755),
            .init(path: "/etc/motd", content: Array("welcome\n".utf8)),
        ],
        environment: ["GREETING": "hi"])

    @Test("A definition becomes an image that runs, once, without anything of this machine in it")
    func build() async throws {
        if let missing { return print("skipped: \(missing)") }
        let steps = Mutex<[String]>([])
        let builder = ImageBuilder(store)
        let record = try await builder.build(small, origin: "test") { progress in
            if case .step(let text) = progress { steps.withLock { $0.append(text) } }
            // Nothing is mounted where a killed build could leave it.
            let mounts = String(decoding: (try? Files.read("/proc/self/mountinfo", limit: 1 << 22)) ?? [], as: UTF8.self)
            #expect(!mounts.isEmpty && !mounts.contains(store.root))
        }
        #expect(record.definitionDigest == small.digest && record.source == .built && record.layers.count == 1)
        #expect(steps.withLock { $0 } == ["packages: bookworm with 1 packages", "pip: iniconfig==2.0.0", "files and tidying up"])
        let image = try store.resolve("small")
        #expect(image.environment == ["GREETING": "hi", "PATH": defaultPath])
        let root = image.root.layers[0]
        func run(_ command: String...) throws -> String {
            try shell(["env", "-i", "PATH=" + defaultPath, "unshare", "--mount", "--net", "chroot", "--userspec=1000:1000", root] + command).text
        }
        #expect(try run("hello") == "hello from /usr/local/bin/hello\n")
        #expect(try run("python3", "-c", "import iniconfig; print(iniconfig.__file__)").hasPrefix("/usr/local/lib/python3"))
        #expect(try run("id", "-un") == "sandbox\n")
        #expect(try run("cat", "/etc/hostname", "/etc/motd") == "sandbox\nwelcome\n")
        for absent in ["etc/apt", "etc/resolv.conf", "etc/machine-id", "etc/pip.conf", "root/.cache", "root/.config"] {
            #expect(!Files.exists("\(root)/\(absent)"), "\(absent)")
        }
        for empty in ["dev", "tmp", "proc", "run/lock", "var/log", "root"] { #expect(try Place.tree("\(root)/\(empty)") == [], "\(empty)") }
        #expect(try shell(["find", root, "-perm", "/6022", "!", "-type", "l", "!", "-perm", "1777"]).text == "")
        #expect(try shell(["find", root, "!", "-type", "f", "!", "-type", "d", "!", "-type", "l"]).text == "")

        // Again: nothing to do, and no step is taken. The same root filesystem under another name: no build either.
        let again = try await builder.build(small) { _ in Issue.record("built twice") }
        #expect(again == record)
        var renamed = small
        renamed.name = "other"
        renamed.environment = ["GREETING": "ho"]
        #expect(try await builder.build(renamed) { _ in Issue.record("built twice") }.layers == record.layers)
        #expect(try store.resolve("other").environment["GREETING"] == "ho")

        try await store.exportTar("small", to: place.path + "/small.tar")
        let names = Set(try shell(["tar", "-tf", place.path + "/small.tar"]).text.split(separator: "\n"))
        #expect(names.isSuperset(of: ["./usr/bin/python3.11", "./usr/local/bin/hello", "./etc/passwd", "./tmp/"]))
        #expect(names.allSatisfy { $0.hasPrefix("./") })
        #expect(try Files.names(in: store.temporary) == [])
    }

    @Test("A build that fails says what the tool said, and leaves nothing")
    func failure() async throws {
        if let missing { return print("skipped: \(missing)") }
        // Nobody listens there.
        let wrong = ImageDefinition(name: "wrong", suite: "bookworm", mirror: "http://127.0.0.1:9/debian")
        let error = await #expect(throws: ImageError.self) { try await ImageBuilder(store).build(wrong) }
        #expect(error?.description.hasPrefix("mmdebstrap exited with") == true, "\(String(describing: error))")
        #expect(error?.description.contains("127.0.0.1:9") == true, "\(String(describing: error))")
        #expect(try store.list() == [] && Files.names(in: store.temporary) == [] && Files.names(in: store.root + "/layers") == [])
    }

    @Test("A definition's file does not follow the image's links")
    func filesAndLinks() throws {
        try place.write("root/usr/bin/x", "x")
        try place.write("outside/y", "untouched")
        let root = try Files.openDirectory(place.path + "/root")
        try Files.makeLink(at: root, "bin", to: "usr/bin")
        try Files.makeLink(at: root, "out", to: place.path + "/outside")
        try Files.makeLink(at: root, "file", to: place.path + "/outside/y")
        for path in ["/bin/x", "/out/y", "/usr/bin/x/z", "/../x", "/usr"] {
            #expect(throws: ImageError.self, "\(path)") { try BuiltRoot.place(.init(path: path, content: []), in: root) }
        }
        try BuiltRoot.place(.init(path: "/file", content: [65], mode: 0o600), in: root)
        try BuiltRoot.place(.init(path: "/new/deep/file", content: [65]), in: root)
        #expect(try place.text("outside/y") == "untouched" && place.text("root/file") == "A" && place.text("root/new/deep/file") == "A")
    }

    @Test("A tree that packages wrote is made safe to keep")
    func safe() throws {
        try place.write("root/bin/su", "x", mode: 0o4755)
        try place.write("root/etc/gshadow", "x", mode: 0o640)
        try place.write("root/var/mail/x", "x", mode: 0o666)
        let root = try Files.openDirectory(place.path + "/root")
        try Files.setMode(Files.openDirectory(place.path + "/root/var/mail"), 0o2775)
        #expect(try shell(["mkfifo", place.path + "/root/fifo"]).status == 0)
        let size = try LayerTree.makeSafe(root)
        #expect(size.entries == 8 && size.bytes == 3)
        #expect(Files.status(place.path + "/root/bin/su")?.mode == 0o755)
        #expect(Files.status(place.path + "/root/etc/gshadow")?.mode == 0o644)
        #expect(Files.status(place.path + "/root/var/mail/x")?.mode == 0o644)
        #expect(Files.status(place.path + "/root/var/mail")?.mode == 0o755)
        #expect(!place.exists("root/fifo"))
    }

    @Test("Package sources are the machine's own of that suite, its mirror for another, Debian's otherwise")
    func sources() throws {
        let apt = place.path + "/apt"
        #expect(AptSources.find(suite: "bookworm", mirror: nil, apt: apt).lines.allSatisfy { $0.hasSuffix("http://deb.debian.org/debian bookworm main") })
        try place.write("apt/sources.list.d/debian.sources", """
            # comment: x
            Types: deb deb-src
            URIs: http://mirror.example/debian
            Suites: bookworm bookworm-updates
            Components: main contrib
            Signed-By: /keys.gpg

            Types: deb
            URIs: http://mirror.example/debian-security
            Suites: bookworm-security
            Components: main

            Enabled: no
            Types: deb
            URIs: http://off.example/debian
            Suites: bookworm
            """)
        try place.write("apt/sources.list.d/cloud.list", "deb https://cloud.example cloud-bookworm main\n")
        try place.write("apt/sources.list", "# deb http://old bookworm main\ndeb [arch=amd64 signed-by=/k] http://own.example/debian trixie main\n")
        #expect(Set(AptSources.find(suite: "bookworm", mirror: nil, apt: apt).lines) == [
            "deb [signed-by=/keys.gpg] http://mirror.example/debian bookworm main contrib",
            "deb [signed-by=/keys.gpg] http://mirror.example/debian bookworm-updates main contrib",
            "deb http://mirror.example/debian-security bookworm-security main",
        ])
        #expect(AptSources.find(suite: "trixie", mirror: nil, apt: apt).lines == ["deb [signed-by=/k] http://own.example/debian trixie main"])
        #expect(AptSources.find(suite: "sid", mirror: nil, apt: apt).lines == ["deb [signed-by=/k] http://own.example/debian sid main"])
        #expect(AptSources.find(suite: "sid", mirror: "http://m/d", apt: apt).lines == ["deb [signed-by=/k] http://m/d sid main"])
    }

    @Test("pip's configuration is found where pip finds it")
    func pipConfiguration() throws {
        let machine = place.path + "/machine"
        try place.write("machine/etc/pip.conf", "[global]\ncert = /ca.pem\nfind-links =\n    \(place.path)\n    https://wheels.example\n[list]\ncert = /no\n")
        try place.write("machine/home/.config/pip/pip.conf", "; mine\n[install]\nindex-url: https://index.example\n")
        try place.write("ca.pem", "x")
        var found = PipInstall.configuration(of: ["HOME": "/home"], machine: machine)
        #expect(found.files == ["\(machine)/etc/pip.conf", "\(machine)/home/.config/pip/pip.conf"])
        #expect(found.links == [place.path, "https://wheels.example"] && found.certificate == nil)
        found = PipInstall.configuration(
            of: ["HOME": "/x", "PIP_CERT": place.path + "/ca.pem", "PIP_FIND_LINKS": "file://\(place.path) /missing"], machine: machine)
        #expect(found == .init(files: ["\(machine)/etc/pip.conf"], certificate: place.path + "/ca.pem", links: [place.path]))
        #expect(PipInstall.configuration(of: ["PIP_CONFIG_FILE": "/dev/null"], machine: machine).files == [])
    }
}
