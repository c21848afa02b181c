// Files that are not policies at all, or that try to cost the reader more than they are worth.

import TestKit
import Testing

@testable import Policy

@Suite("What makes YAML dangerous is refused before it costs anything")
struct DocumentTests {
    static let cases: [(name: String, text: String, error: String)] = [
        ("empty", "", "p.yaml: found an empty file, expected a mapping"),
        ("only a comment", "# nothing\n", "p.yaml: found an empty file, expected a mapping"),
        ("a NUL byte", "name: a\0b", "p.yaml:1: found a NUL byte, expected text"),
        ("broken YAML", "name: [1, 2", "p.yaml:2: not YAML: did not find expected ',' or ']' at column 1"),
        ("a tab for indentation", "limits:\n\tcpu_time_ms: 1", "p.yaml:2: not YAML: found character that cannot start any token at column 1"),
        ("two documents", "a: 1\n---\nb: 2", "p.yaml:2: not YAML: but found another document at column 1"),
        ("a key twice", "version: 1\nname: a\nname: b", "p.yaml:2: the key \"name\" is there more than once in the mapping of this line"),
        ("a key twice in JSON", "{\"a\": 1, \"a\": 2}", "p.yaml:1: the key \"a\" is there more than once in the mapping of this line"),
        ("an anchor", "name: &a p", "p.yaml:1: name: found a YAML anchor, expected none: write the value out"),
        ("an alias", "description: &a p\nname: *a", "p.yaml:1: description: found a YAML anchor, expected none: write the value out"),
        ("an undefined alias", "name: *a", "p.yaml:1: not YAML: found undefined alias at column 7"),
        ("a list as a key", "[1, 2]: x", "p.yaml:1: found a list or a mapping as a key, expected a name"),
        ("a mapping as a key", "why: {{a: 1}: x}", "p.yaml:1: why: found a list or a mapping as a key, expected a name"),
    ]

    @Test("Refused with a reason", arguments: cases.indices)
    func refused(index: Int) {
        #expect(parseErrors(Self.cases[index].text) == [Self.cases[index].error], "\(Self.cases[index].name)")
    }

    @Test("Bytes that are not UTF-8")
    func notUTF8() {
        #expect(throws: PolicyErrors(PolicyError(file: "p", "found bytes that are not UTF-8, expected UTF-8 text"))) {
            try PolicyFile.parse([0x6E, 0xFF, 0xFE], file: "p")
        }
    }

    @Test("A file of more than a mebibyte")
    func huge() {
        let text = "# " + String(repeating: "x", count: 1 << 20)
        #expect(parseErrors(text) == ["p.yaml: found 1048578 bytes, expected at most 1048576"])
    }

    @Test("A billion laughs is refused without being expanded")
    func bomb() {
        var text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
        for level in 1...30 {
            let references = Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(references)]\n"
        }
        text += "? *a30\n: laugh\n"
        #expect(parseErrors(text) == ["p.yaml: found 271 YAML aliases, expected none: write the values out"])
    }

    @Test("Keys written with question marks are bounded")
    func explicitKeys() {
        let text = String(repeating: "? ", count: 500) + "a"
        #expect(parseErrors(text) == ["p.yaml: found 500 explicit keys (\"? \"), expected plain keys"])
    }

    @Test("Nesting", arguments: ["[", "{a: ", "- "])
    func deep(opening: String) {
        #expect(parseErrors(String(repeating: opening, count: 17) + "x" + closing(opening, 17)) == ["p.yaml:1: nested deeper than 16 levels"])
        // libyaml itself stops at a thousand; a hundred thousand must not reach the stack either.
        for count in [900, 100_000] {
            #expect(parseErrors(String(repeating: opening, count: count) + "x" + closing(opening, count)).count == 1)
        }
    }

    private func closing(_ opening: String, _ count: Int) -> String {
        String(repeating: opening == "[" ? "]" : opening == "- " ? "" : "}", count: count)
    }

    @Test("A megabyte of unknown names is answered with fifty errors")
    func unknownNames() {
        let names = (0..<900).map { "sys_\($0)" }.joined(separator: ", ")
        let rule = "    - {names: [\(names)], action: SCMP_ACT_ALLOW, why: all}\n"
        let rules = String(repeating: rule, count: 1_000_000 / rule.utf8.count)
        let errors = parseErrors("version: 1\nname: p\nseccomp:\n  syscalls:\n" + rules)
        #expect(errors.count == 51)
        #expect(errors.last == "p.yaml: 9950 further errors are not listed")
    }

    @Test("Prose may have asterisks, ampersands and question marks")
    func prose() throws {
        let text = "version: 1\nname: p\ndescription: \"*all* of R&D? yes & no; 2*3\""
        #expect(try PolicyFile.parse(Array(text.utf8), file: "p").description == "*all* of R&D? yes & no; 2*3")
    }

    @Test("Whatever the bytes are, the parser answers with a policy or with errors")
    func noise() {
        var generator = SeededRandom(7)
        let seeds = [wholePolicy(), ociProfile].map { Array($0.utf8) }
        for round in 0..<300 {
            var bytes = seeds[round % 2]
            for _ in 0..<Int.random(in: 1...8, using: &generator) {
                let at = Int.random(in: bytes.indices, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[at] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.insert(contentsOf: Array("[{*&?:-\"'\n ".utf8).shuffled(using: &generator).prefix(3), at: at)
                default: bytes.removeSubrange(at..<min(at + 20, bytes.count - 1))
                }
            }
            do throws(PolicyErrors) {
                _ = try PolicyFile.parse(bytes, file: "p")
            } catch {
                #expect(!error.errors.isEmpty)
            }
            do throws(PolicyErrors) {
                _ = try OCIProfile.parse(bytes, file: "p")
            } catch {
                #expect(!error.errors.isEmpty)
            }
        }
    }
}
