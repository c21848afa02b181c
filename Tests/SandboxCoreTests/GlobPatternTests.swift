// Patterns of files to bring back.

import SandboxCore
import TestKit
import Testing

@Suite("Patterns")
struct GlobPatternTests {
    @Test("match as their users expect", arguments: [
        ("a", "a", true), ("a", "b", false), ("*.txt", "x.txt", true), ("*.txt", "d/x.txt", false), ("**/*.txt", "d/e/x.txt", true),
        ("**/*.txt", "x.txt", true), ("d/**", "d/e/f", true), ("d/**", "d", true), ("d/**/f", "d/f", true), ("d/**/f", "d/e/f/g", false),
        ("?", "a", true), ("?", "", false), ("?", "ab", false), ("[a-c]x", "bx", true), ("[a-c]x", "dx", false), ("[!a-c]x", "dx", true),
        ("[^a]", "a", false), ("[", "[", true), ("[a", "[a", true), ("[]]", "]", true), ("a*b*c", "aXbYc", true), ("a*b*c", "aXbY", false),
        ("*", ".hidden", true), ("**/**/x", "a/b/x", true), ("**", "any/thing", true), ("./a", "a", false), ("a//b", "a/b", true),
    ])
    func matches(pattern: String, path: String, expected: Bool) {
        #expect(GlobPattern(pattern).matches(path) == expected, "\(pattern) \(path)")
    }

    @Test("directories that cannot hold a match are not walked, those that can are", arguments: [
        ("a/b/*.txt", "a", true), ("a/b/*.txt", "a/b", true), ("a/b/*.txt", "a/c", false), ("a/b/*.txt", "a/b/c", false), ("**/x", "any/where", true),
        ("*.txt", "", true), ("*.txt", "d", false), ("a*/x", "abc", true),
    ])
    func walking(pattern: String, directory: String, expected: Bool) {
        #expect(GlobPattern(pattern).mayMatchBelow(directory) == expected)
    }

    @Test("whatever matches a file lets its directories be walked")
    func consistent() {
        var random = SeededRandom(7)
        let parts = ["a", "*", "**", "?", "[ab]", "a*", "b"]
        let names = ["a", "b", "ab"]
        var matched = 0
        for _ in 0..<5_000 {
            let pattern = GlobPattern((0..<Int.random(in: 1...4, using: &random)).map { _ in parts.randomElement(using: &random)! }.joined(separator: "/"))
            let path = (0..<Int.random(in: 1...4, using: &random)).map { _ in names.randomElement(using: &random)! }
            guard pattern.matches(path.joined(separator: "/")) else { continue }
            matched += 1
            for depth in 0..<path.count { #expect(pattern.mayMatchBelow(path[..<depth].joined(separator: "/"))) }
        }
        #expect(matched > 500)
    }

    @Test("patterns made to take for ever do not")
    func bounded() {
        let deep = Array(repeating: "a", count: 500).joined(separator: "/")
        #expect(!GlobPattern(Array(repeating: "**/a", count: 60).joined(separator: "/") + "/b").matches(deep))
        #expect(GlobPattern(Array(repeating: "**/a", count: 60).joined(separator: "/")).matches(deep))
        let long = String(repeating: "a", count: 255)
        #expect(!GlobPattern(String(repeating: "a*", count: 120) + "b").matches(long))
        #expect(!GlobPattern(String(repeating: "*", count: 2000) + "b").matches(long))
        #expect(!GlobPattern(String(repeating: "[a", count: 500)).matches(long))
    }
}
