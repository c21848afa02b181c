import Foundation
import SandboxCore
import Testing

@testable import Images

@Suite struct LanguageTests {
    private let table: LanguageTable

    init() throws { table = try LanguageTable.load(imagesFolder + "/languages.yaml") }

    private func problems(_ text: String) -> [Problem] {
        do {
            _ = try LanguageTable.parse(text, file: "languages.yaml")
            return []
        } catch {
            return error.problems
        }
    }

    private let good = "version: 1\nlanguages:\n  - {name: x, extensions: [x], file: main.x, run: [x, '{file}'], check: x}\n"

    @Test("The shipped table has the languages it promises, found by name, alias and file name")
    func shipped() {
        #expect(table.languages.map(\.name) == [
            "python", "bash", "c", "cpp", "java", "javascript", "typescript", "go", "rust", "swift", "perl", "ruby", "php", "lua", "r",
        ])
        #expect(table.find("Python3")?.name == "python" && table.find("c++")?.name == "cpp" && table.find("node")?.name == "javascript")
        #expect(table.find("cobol") == nil && table.nearest(to: "pyton") == "python")
        #expect(table.forFile("a/b.solution.py")?.name == "python" && table.forFile("X.R")?.name == "r" && table.forFile("x.cc")?.name == "cpp")
        #expect(table.forFile("Makefile") == nil && table.forFile(".py.txt") == nil)
        #expect(table.find("java")?.file == "Main.java")
        // Whoever compiles says what is left of it.
        #expect(table.languages.allSatisfy { ($0.compile == nil) == $0.output.isEmpty })
        #expect(table.find("cpp")?.output == ["/tmp/main"] && table.find("java")?.output == ["/tmp/classes/**"])
        #expect(table.find("java")?.limits.memoryBytes == 1 << 30 && table.find("python")?.limits == Limits())
    }

    @Test("Placeholders become the file and the arguments")
    func commands() throws {
        let python = try #require(table.find("python"))
        #expect(python.compileCommand() == nil)
        #expect(python.runCommand(arguments: ["a b", "{file}"]) == ["python3", "main.py", "a b", "{file}"])
        #expect(python.runCommand(file: "solution.py") == ["python3", "solution.py"])
        #expect(table.find("c")?.compileCommand() == ["gcc", "-std=gnu17", "-O2", "-o", "/tmp/main", "main.c", "-lm", "-lpthread"])
        let plain = Language(name: "x", extensions: ["x"], file: "f", run: ["x", "-f={file}"], check: ["x"])
        #expect(plain.runCommand(arguments: ["1"]) == ["x", "-f=f", "1"])
    }

    @Test("What cannot be a table is refused, with the place", arguments: [
        ("name: x", "name: X!", "languages[0].name"), ("name: x", "nam: x", "languages[0].nam"),
        ("extensions: [x]", "extensions: [.x]", "languages[0].extensions[0]"), ("extensions: [x]", "extensions: []", "languages[0].extensions"),
        ("file: main.x", "file: ../main.x", "languages[0].file"), ("file: main.x", "file: 'a/b'", "languages[0].file"), ("file: main.x", "file: 'a\u{7}b'", ""),
        ("run: [x, '{file}']", "run: [x]", "languages[0].run"), ("run: [x, '{file}']", "run: x", "languages[0].run"),
        ("run: [x, '{file}']", "run: ['', '{file}']", "languages[0].run[0]"),
        ("run: [x, '{file}']", "run: [x, '{file}', '{arg}']", "languages[0].run[2]"),
        ("run: [x, '{file}']", "run: [x, '{file}', 'a{args}']", "languages[0].run[2]"),
        ("check: x", "check: 'a b'", "languages[0].check"), ("check: x", "check: []", "languages[0].check"),
        ("check: x", "check: x, compile: [cc, '{args}']", "languages[0].compile[1]"),
        ("check: x", "check: x, output: [a]", "languages[0].output"), ("check: x", "check: x, compile: [x], output: []", "languages[0].output"),
        ("check: x", "check: x, compile: [x], output: [/etc/a]", "languages[0].output[0]"),
        ("check: x", "check: x, compile: [x], output: [a, /tmp/../a]", "languages[0].output[1]"),
        ("check: x", "check: x, limits: {memory: 1}", "languages[0].limits.memory"),
        ("check: x", "check: x, limits: {memory_bytes: 1}", "languages[0].limits.memory_bytes"),
        ("check: x", "check: x, environment: {A-B: c}", "languages[0].environment.A-B"),
        ("check: x", "check: x, aliases: [x]", "languages[0]"),
        ("version: 1", "version: '1'", "version"),
    ])
    func refused(_ old: String, _ new: String, _ field: String) {
        #expect(problems(good) == [])
        let found = problems(good.replacingOccurrences(of: old, with: new))
        #expect(found.contains { $0.field == field && $0.line != nil }, "\(found)")
        if new.hasPrefix("nam:") { #expect(found.contains { $0.nearest == "name" }) }
    }

    @Test("Two languages cannot have the same name, alias or extension")
    func twice() {
        let second = "  - {name: y, aliases: [x], extensions: [x], file: main.y, run: [y, '{file}'], check: y}\n"
        #expect(problems(good + second).map(\.found) == [
            "the name 'x', which languages[0] has", "the extension 'x', which languages[0] has",
        ])
        #expect(problems("version: 1\nlanguages: []\n").map(\.field) == ["languages"])
        #expect(problems("version: 1\n").map(\.field) == ["languages"])
    }
}
