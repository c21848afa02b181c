import Foundation
import Testing

@testable import Images

@Suite struct DefinitionTests {
    private func problems(_ text: String, folder: String = "/nonexistent") -> [Problem] {
        do {
            _ = try ImageDefinition.parse(text, file: "image.yaml", folder: folder)
            return []
        } catch {
            return error.problems
        }
    }

    private let base = "version: 1\nname: thing\ndescription: a thing\nsuite: bookworm\n"

    @Test("Every definition that is shipped is read, under the name of its folder")
    func shipped() throws {
        let definitions = try ImageDefinition.loadAll(in: imagesFolder)
        #expect(definitions.map(\.name) == ["cpp", "java", "minimal", "node", "polyglot", "python"])
        for definition in definitions {
            #expect(try ImageDefinition.load("\(imagesFolder)/\(definition.name)").name == definition.name)
            #expect(!definition.description.isEmpty)
        }
        let python = try #require(definitions.first { $0.name == "python" })
        #expect(python.templates.map(\.name) == ["python", "pytest", "science"])
        #expect(python.templates[2].recycleMs == 3_600_000)
        #expect(python.templates[2].preload == ["pytest", "unittest", "numpy", "numpy.linalg", "numpy.random", "sympy"])
        #expect(try ImageDefinition.hostTemplates(in: imagesFolder).map(\.name) == ["python", "pytest", "science"])
    }

    @Test("Every key of a definition arrives")
    func whole() throws {
        let place = try Place()
        try place.write("data/motd.txt", "hello\n")
        try place.write("image.yaml", base + """
            mirror: https://mirror.example:8080/debian
            packages: [python3, "libc6:i386", "gcc=4:12.2.0-3"]
            pip: ["numpy==2.*", "requests[socks]>=2,<3", attrs]
            environment: {A: "1", _b2: yes}
            files:
              - {path: /etc/motd, source: data/motd.txt, mode: "0600"}
              - path: /opt/run.sh
                content: |
                  #!/bin/sh
                mode: 0755
            templates:
              - {name: t, command: [python3, -X, dev], warm_up: pass, memory_bytes: 1048576, recycle: {forks: 5}}
            """)
        let definition = try ImageDefinition.load(place.path)
        #expect(definition.mirror == "https://mirror.example:8080/debian")
        #expect(definition.packages == ["python3", "libc6:i386", "gcc=4:12.2.0-3"])
        #expect(definition.pip == ["numpy==2.*", "requests[socks]>=2,<3", "attrs"])
        #expect(definition.environment == ["A": "1", "_b2": "yes"])
        #expect(definition.files == [
            .init(path: "/etc/motd", content: Array("hello\n".utf8), mode: 0o600),
            .init(path: "/opt/run.sh", content: Array("#!/bin/sh\n".utf8), mode: 0o755),
        ])
        #expect(definition.templates == [
            .init(name: "t", command: ["python3", "-X", "dev"], warmUp: "pass", memoryBytes: 1 << 20, recycleForks: 5)
        ])
    }

    @Test("All mistakes of a file come at once, each with its line, what was found and what was expected")
    func allAtOnce() throws {
        let found = problems("""
            version: 2
            name: Thing!
            suite: [bookworm]
            pakages: [gcc]
            packages: [gcc, "rm -rf", -o]
            """)
        #expect(found.count == 7)
        let unknown = try #require(found.first { $0.field == "pakages" })
        #expect(unknown == Problem(
            line: 4, column: 1, field: "pakages", found: "an unknown key",
            expected: "one of version, name, description, suite, mirror, packages, pip, files, environment, templates",
            nearest: "packages"))
        #expect(found.contains { $0.line == 1 && $0.field == "version" && $0.found == "'2'" && $0.expected == "1" })
        #expect(found.contains { $0.line == 2 && $0.field == "name" && $0.found == "'Thing!'" })
        #expect(found.contains { $0.line == 3 && $0.field == "suite" && $0.found == "a list" && $0.expected == "text" })
        #expect(found.contains { $0.field == "description" && $0.found == "nothing" })
        #expect(found.contains { $0.line == 5 && $0.field == "packages[1]" && $0.found == "'rm -rf'" })
        #expect(found.contains { $0.line == 5 && $0.field == "packages[2]" && $0.found == "'-o'" })
        let error = #expect(throws: DefinitionError.self) {
            try ImageDefinition.parse("version: 1\nnmae: x\n", file: "a/image.yaml", folder: "a")
        }
        #expect(error?.description.contains("a/image.yaml:2:1: nmae: found an unknown key") == true)
        #expect(error?.description.contains("did you mean 'name'?") == true)
    }

    @Test("What cannot be a value is refused", arguments: [
        ("mirror: ftp://x/", "mirror"), ("mirror: http://user:secret@host/debian", "mirror"), ("mirror: 'http://a b/'", "mirror"),
        ("packages: gcc", "packages"), ("packages: [{a: b}]", "packages[0]"), ("packages: ['gcc,g++']", "packages[0]"),
        ("packages: [python3]\npip: ['--index-url=http://x']", "pip[0]"), ("packages: [python3]\npip: ['git+https://x']", "pip[0]"),
        ("packages: [python3]\npip: ['a @ file:///x']", "pip[0]"), ("pip: [numpy]", "pip"), ("packages: [python3-minimal]\npip: [numpy]", "pip"),
        ("environment: {1A: x}", "environment.1A"), ("environment: {A: [x]}", "environment.A"), ("environment: [A]", "environment"),
        ("environment: {A: \"a\\0b\"}", "environment.A"), ("environment: {A: }", "environment.A"),
        ("files: [{path: etc/x, content: a}]", "files[0].path"), ("files: [{path: /etc/../x, content: a}]", "files[0].path"),
        ("files: [{path: /etc//x, content: a}]", "files[0].path"), ("files: [{path: /proc/x, content: a}]", "files[0].path"),
        ("files: [{path: \"/a\\0b\", content: a}]", "files[0].path"), ("files: [{path: /, content: a}]", "files[0].path"),
        ("files: [{path: /a, content: a, source: b}]", "files[0]"), ("files: [{path: /a}]", "files[0]"),
        ("files: [{path: /a, content: a, mode: '4755'}]", "files[0].mode"), ("files: [{path: /a, content: a, mode: 999}]", "files[0].mode"),
        ("files: [{path: /a, content: a}, {path: /a, content: b}]", "files[1].path"),
        ("templates: [{name: a}]", "templates[0].command"), ("templates: [{name: a, command: []}]", "templates[0].command"),
        ("templates: [{name: a, command: [x], preload: [os.system()]}]", "templates[0].preload[0]"),
        ("templates: [{name: a, command: [x], memory_bytes: 12k}]", "templates[0].memory_bytes"),
        ("templates: [{name: a, command: [x], recycle: {forks: 0}}]", "templates[0].recycle.forks"),
        ("templates: [{name: a, command: [x], recycle: {fork: 1}}]", "templates[0].recycle.fork"),
        ("templates: [{name: a, command: [x]}, {name: a, command: [x]}]", "templates[1].name"),
        ("name: twice", ""), ("x: [", ""), ("? [a]\n: b", ""), ("commands: [ls]", "commands"),
    ])
    func refused(_ text: String, _ field: String) {
        let found = problems(base + text)
        #expect(found.map(\.field) == [field])
        #expect(found.allSatisfy { $0.line.map { $0 >= 1 } ?? false }, "\(found)")
    }

    @Test("A document that is no mapping, empty or too large is refused as a whole", arguments: ["", "- a", "text", "# only\n"])
    func noDocument(_ text: String) {
        #expect(problems(text).count == 1)
        #expect(problems(base + "#" + String(repeating: "x", count: 2 << 20)).first?.expected.hasPrefix("at most") == true)
    }

    @Test("The name 'host' is taken, and so is nothing else that looks like a name")
    func names() {
        #expect(problems(base.replacingOccurrences(of: "thing\n", with: "host\n")).first?.field == "name")
        for good in ["a", "py3.11", "a-b_c.d", String(repeating: "a", count: 64)] { #expect(isImageName(good)) }
        for bad in ["", ".", "..", "-a", "a-", "A", "a/b", "a b", "ä", String(repeating: "a", count: 65)] { #expect(!isImageName(bad)) }
    }

    @Test("A source file is taken from the definition's folder and nowhere else")
    func sources() throws {
        let place = try Place()
        try place.write("secret", "x")
        try place.write("inner/real", "x")
        let folder = place.path + "/inner"
        try Files.makeLink(at: Files.openDirectory(folder), "link", to: "../secret")
        try Files.makeLink(at: Files.openDirectory(folder), "up", to: "..")
        func found(_ source: String) -> [String] {
            problems(base + "files: [{path: /a, source: '\(source)'}]", folder: folder).map(\.field)
        }
        #expect(found("real") == [])
        for bad in ["../secret", "/etc/passwd", "link", "up/secret", "missing", ".", "a/../real"] {
            #expect(found(bad) == ["files[0].source"], "\(bad)")
        }
    }

    @Test("The digest follows what the root file system is made from, and only that")
    func digest() throws {
        let one = ImageDefinition(name: "a", suite: "bookworm", packages: ["gcc", "make"], pip: ["x"])
        var other = one
        other.name = "b"
        other.description = "else"
        other.environment = ["A": "b"]
        other.packages = ["make", "gcc"]
        #expect(one.digest == other.digest)
        var seen: Set<String> = [one.digest]
        func different(_ change: (inout ImageDefinition) -> Void) {
            var copy = one
            change(&copy)
            #expect(seen.insert(copy.digest).inserted)
        }
        different { $0.suite = "trixie" }
        different { $0.mirror = "http://x" }
        different { $0.packages = ["gcc"] }
        different { $0.packages = ["gcc", "make", "x"]; $0.pip = [] }
        different { $0.files = [.init(path: "/a", content: [1])] }
        different { $0.files = [.init(path: "/a", content: [1], mode: 0o600)] }
        different { $0.files = [.init(path: "/a", content: [2])] }
    }

    @Test("Definitions that are wrong are reported together, each with its file")
    func several() throws {
        let place = try Place()
        try place.write("a/image.yaml", "version: 1\n")
        try place.write("b/image.yaml", "version: 1\nname: b\n")
        try place.write("thing/image.yaml", base)
        try place.write("d/image.yaml", base)
        try place.write("languages.yaml", "version: 1\n")
        let error = #expect(throws: DefinitionError.self) { try ImageDefinition.loadAll(in: place.path) }
        #expect(error?.problems.count == 6)
        #expect(error?.problems.filter { $0.field.contains("/a/image.yaml") }.count == 3)
        #expect(error?.problems.last?.expected == "'d', its folder's name")
    }
}
