// Readers get bytes a program under test may have written: whatever they are, a reader returns, and within its bounds.

import SandboxCore
import TestKit
import Testing

@testable import Judging

@Suite("readers on bytes nobody should write")
struct RobustnessTests {
    static let seeds: [String] = [
        "<?xml version='1.0'?><testsuites tests='2'><testsuite name='a' tests='2' failures='1'><testcase name='x' classname='C' time='1'/><testcase name='y'><failure message='&lt;'><![CDATA[z]]></failure></testcase></testsuite></testsuites>",
        "TAP version 14\n1..3\nok 1 - a\n    1..1\n    ok 1 - in\nnot ok 2 - b # TODO x\n  ---\n  duration_ms: 1\n  ...\nok 3 # SKIP y\n",
        "t/a.t ..\n1..1\nok 1\nok\nt/b.t ..\nok 1 - \\# x\n1..1\nok\n",
        "{\"Action\":\"run\",\"Package\":\"a\",\"Test\":\"T\"}\n{\"Action\":\"output\",\"Package\":\"a\",\"Test\":\"T\",\"Output\":\"\\ud83d\\ude00\"}\n{\"Action\":\"fail\",\"Package\":\"a\",\"Test\":\"T\",\"Elapsed\":1e1}\n{\"Action\":\"fail\",\"Package\":\"a\"}\n",
    ]

    func readAll(_ bytes: [UInt8]) -> [Judging.Suite] {
        [JUnit.read(bytes), TAP.read(bytes), GoTest.read(bytes), HarnessReport.read(bytes, cut: false, key: Array(repeating: 7, count: 32))]
    }

    @Test("twenty thousand mutations of good reports never stop a reader, and ids stay unique", arguments: seeds.indices)
    func mutations(seed: Int) {
        var random = SeededRandom(UInt64(seed) &+ 1)
        let pieces = Self.seeds.map { Array($0.utf8) }
        for _ in 0..<5000 {
            var bytes = pieces[seed]
            for _ in 0...Int.random(in: 0..<4, using: &random) {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[at] = UInt8.random(in: .min ... .max, using: &random)
                case 1: bytes.remove(at: at)
                case 2: bytes.insert(contentsOf: bytes[at..<min(at + 20, bytes.count)], at: Int.random(in: 0...bytes.count, using: &random))
                default: bytes.removeSubrange(at..<min(at + 10, bytes.count))
                }
                if bytes.isEmpty { bytes = [0x0A] }
            }
            for suite in readAll(bytes) {
                let ids = suite.tests.map(\.id)
                #expect(Set(ids).count == ids.count)
            }
            #expect(HarnessReport.read(bytes, cut: false, key: Array(repeating: 7, count: 32)).fault != nil)
        }
    }

    @Test("no prefix of a good report is taken for a whole one with more tests than it has")
    func prefixes() {
        for text in Self.seeds {
            let bytes = Array(text.utf8)
            for length in 0..<bytes.count { _ = readAll(Array(bytes[..<length])) }
        }
        let junit = Array(Self.seeds[0].utf8)
        for length in 0..<junit.count { #expect(JUnit.read(Array(junit[..<length])).fault != nil) }
    }

    @Test("more tests than the bound are not read")
    func many() {
        let count = Judge.maxTests + 1
        let tap = TAP.read(Array(String(repeating: "ok\n", count: count).utf8))
        #expect(tap.tests.count <= count && tap.fault == .unreadable("more than \(Judge.maxTests) tests"))
        let xml = JUnit.read(Array(("<testsuite>" + String(repeating: "<testcase name='a'/>", count: count) + "</testsuite>").utf8))
        #expect(xml.tests.count == Judge.maxTests && xml.fault != nil)
        let go = GoTest.read(Array(String(repeating: "{\"Action\":\"pass\",\"Package\":\"p\",\"Test\":\"T\"}\n", count: count).utf8))
        #expect(go.tests.count == Judge.maxTests && go.fault != nil)
        let failed = GoTest.read(Array(String(repeating: "FAIL\tp [build failed]\n", count: 10_001).utf8))
        #expect(failed.fault == .unreadable("more than 10000 packages that were not built"))
    }

    @Test("a long name that many tests repeat does not grow beyond the bounds")
    func names() {
        let long = String(repeating: "n", count: 1 << 20)
        let xml = "<testsuite name='\(long)'>" + String(repeating: "<testcase name='a'/>", count: 1000) + "</testsuite>"
        #expect(JUnit.read(Array(xml.utf8)).tests.count == 31)
        let leaves = (1...2000).map { "    ok \($0)\n" }.joined() + "    1..2000\nok 1 - \(long)\n1..1\n"
        let tap = TAP.read(Array(leaves.utf8))
        #expect(tap.tests.count == 2001)
        #expect(tap.tests.allSatisfy { $0.id.utf8.count < 1200 })
    }

    @Test("a suite is cut to what a result can carry, and says so")
    func fitted() {
        let message = String(repeating: "m", count: 4000)
        let id = String(repeating: "i", count: 1000)
        let suite = Judge.fitted(Judging.Suite(tests: (0..<9000).map { TestCase(id: "\($0)\(id)", outcome: .failed, message: message) }))
        #expect(suite.tests.reduce(0) { $0 + $1.id.utf8.count } <= Judge.maxAnswerBytes)
        #expect(suite.tests.reduce(0) { $0 + $1.message.utf8.count } <= 2 * Judge.maxAnswerBytes)
        #expect(suite.tests.last?.message.utf8.count ?? 200 < 200)
        #expect(suite.fault == .unreadable("the ids of its tests are longer than \(Judge.maxAnswerBytes) bytes"))
        let small = Judging.Suite(tests: [TestCase(id: "a", outcome: .failed, message: message)])
        #expect(Judge.fitted(small) == small)
    }

    @Test("lines that look like TAP are counted, diagnostics among them; others are not")
    func lines() {
        for text in ["okx\n", "1..1x\n", "a ..\n", "ok 1\n  ---\n\n\n\n\n\n\n\n\n\n\n"] {
            let bytes = Array(String(repeating: text, count: 20).utf8)
            #expect(TAP.read(bytes, maxLines: 10).fault != nil)
        }
        #expect(TAP.read(Array(String(repeating: "okx\n", count: 20).utf8), maxLines: 10).fault == .unreadable("more than 10 lines that look like TAP"))
        #expect(TAP.read(Array((String(repeating: "noise\n", count: 20) + "1..1\nok\n").utf8), maxLines: 10).fault == nil)
    }

    @Test("text is trimmed at its ends, whatever it ends with", arguments: [(" a é\n", "a é"), ("", ""), ("\t \r", ""), ("é", "é"), ("e\u{301} ", "e\u{301}")])
    func trimming(text: String, trimmed: String) {
        #expect(text.trimmed == trimmed)
    }

    @Test("JSON is read strictly", arguments: [
        ("{}", true), (" [1, -0.5e+3, \"\\u0041\\n\", null, true] ", true), ("\"\\ud83d\\ude00\"", true), ("\"\\ud83d x\"", true), ("", false), ("{", false),
        ("[1,]", false), ("{\"a\":1,}", false), ("{\"a\":1,\"a\":2}", false), ("01", false), ("1.", false), ("+1", false), ("NaN", false), ("\"\n\"", false),
        ("\"\\x\"", false), ("\"\\u12\"", false), ("{} {}", false), ("tru", false), ("'a'", false), ("\"\\u00é9\"", false),
    ])
    func json(text: String, good: Bool) {
        #expect((JSON.read(Array(text.utf8)[...]) != nil) == good)
    }

    @Test("JSON's values are what was written, and depth is bounded")
    func values() {
        let value = JSON.read(Array("{\"a\":[1,2.5,\"\\u00e9\\ud83d\\ude00\\ud800!\"]}".utf8)[...])
        #expect(value?["a"]?.array?[0].integer == 1)
        #expect(value?["a"]?.array?[1].double == 2.5)
        #expect(value?["a"]?.array?[2].string == "é😀\u{FFFD}!")
        #expect(JSON.read(Array(String(repeating: "[", count: 100_000).utf8)[...]) == nil)
        #expect(JSON.read([UInt8(ascii: "\""), 0xFF, UInt8(ascii: "\"")][...]) == nil)
    }
}
