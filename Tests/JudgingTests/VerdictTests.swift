// The verdict over a report, where report and process may disagree.

import SandboxCore
import Testing

@testable import Judging

@Suite("a report and the end of its process")
struct VerdictTests {
    static let good = "1..2\nok 1 - a\nok 2 - b\n"

    func verdict(
        _ text: String, _ outcome: Outcome = .exited(code: 0), failToPass: [String]? = nil, passToPass: [String]? = nil
    ) throws -> TestReport {
        let request = TestRequest(framework: .tap, failToPass: failToPass, passToPass: passToPass)
        let plan = try Judge.plan(for: request, command: ["x"])
        return Judge.judge(request, plan: plan, outcome: outcome, stdout: Output(head: Array(text.utf8)), files: [])
    }

    @Test("a report in which all passed is a pass only when the process exited with 0")
    func agreement() throws {
        #expect(try verdict(Self.good).passed)
        let others: [(Outcome, String)] = [
            (.exited(code: 1), "no test failed, but the process exited with code 1"), (.signaled(signal: 9), "signal 9"),
            (.limitExceeded(limit: .memory, asked: 10, used: 11), "memory"), (.syscallDenied(syscall: "mount"), "mount"),
            (.cancelled(by: .deadline), "deadline"),
        ]
        for (outcome, word) in others {
            let report = try verdict(Self.good, outcome)
            #expect(!report.passed)
            #expect(report.reason.contains(word))
            #expect(report.tests.count == 2)
        }
    }

    @Test("failures are a whole suite whatever the command's exit code, and never a pass")
    func failures() throws {
        for code in [0, 1] {
            let report = try verdict("1..2\nok 1\nnot ok 2\n", .exited(code: code))
            #expect(report.completion == .complete)
            #expect(!report.passed)
        }
    }

    @Test("resolved asks for every listed test, in a complete suite, and an expected failure counts")
    func resolved() throws {
        let text = "1..4\nok 1 - a\nnot ok 2 - b # TODO later\nnot ok 3 - c\nok 4 - d # SKIP\n"
        #expect(try verdict(text).resolved == nil)
        #expect(try verdict(text, failToPass: ["a"]).resolved == true)
        #expect(try verdict(text, failToPass: ["a"], passToPass: ["b"]).resolved == true)
        #expect(try verdict(text, failToPass: ["a"], passToPass: ["c"]).resolved == false)
        #expect(try verdict(text, failToPass: ["d"]).resolved == false)
        #expect(try verdict(text, failToPass: ["missing"]).resolved == false)
        #expect(try verdict(text, .signaled(signal: 9), failToPass: ["a"]).resolved == false)
        #expect(try verdict("1..2\nok 1 - a\n", failToPass: ["a"]).resolved == false)
    }

    @Test("standard output of which a part was dropped is no report")
    func truncated() throws {
        let request = TestRequest(framework: .tap)
        let plan = try Judge.plan(for: request, command: ["x"])
        let output = Output(head: Array(Self.good.utf8), tail: [], totalBytes: 1000)
        let report = Judge.judge(request, plan: plan, outcome: .exited(code: 0), stdout: output, files: [])
        #expect(report.reason.contains("only part of its 1000 bytes"))
        #expect(!report.passed)
    }

    @Test("several report files are one suite; a cut one, or none, is no suite")
    func files() throws {
        let request = TestRequest(framework: .junit, report: "out/*.xml")
        let plan = try Judge.plan(for: request, command: ["x"])
        let text = Array("<testsuite tests='1'><testcase classname='A' name='a'/></testsuite>".utf8)
        func verdict(_ files: [CollectedFile]) -> TestReport {
            Judge.judge(request, plan: plan, outcome: .exited(code: 0), stdout: Output(), files: files)
        }
        let one = CollectedFile(path: "out/1.xml", bytes: text, size: text.count, mode: 0o644)
        let two = CollectedFile(path: "out/2.xml", bytes: text, size: text.count, mode: 0o644)
        let other = CollectedFile(path: "other.xml", bytes: [], size: 0, mode: 0o644)
        let whole = verdict([two, other, one])
        #expect(whole.passed)
        #expect(whole.expected == 2)
        #expect(whole.tests.map(\.id) == ["A.a", "A.a#2"])
        var cut = two
        cut.size += 1
        #expect(!verdict([one, cut]).passed)
        #expect(verdict([other]).reason.contains("no report was left at 'out/*.xml'"))
        #expect(!verdict([]).passed)
    }
}
