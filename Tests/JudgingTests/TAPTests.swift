import Foundation
import SandboxCore
import Testing

@testable import Judging

@Suite("TAP")
struct TAPTests {
    func read(_ text: String) -> Judging.Suite { TAP.read(Array(text.utf8)) }

    func outcomes(_ suite: Judging.Suite) -> [String] { suite.tests.map { "\($0.id): \($0.outcome.rawValue)" } }

    @Test("plans first and last, numbers left out, directives and comments")
    func forms() {
        for text in ["1..5\n@", "@1..5\n", "TAP version 14\r\n1..5\r\n@"] {
            let points = "ok 1 - first\n# a comment\nnot ok 2 test\nok # SKIP no net\nnot ok 4 - later # TODO soon\nok 5 - a \\# b # todo\nnoise\n"
            let suite = read(text.replacing("@", with: points))
            #expect(suite.fault == nil)
            #expect(suite.expected == 5)
            #expect(outcomes(suite) == ["first: passed", "test: failed", "test 3: skipped", "later: xfailed", "a # b: xpassed"])
            #expect(suite.tests[2].message == "no net")
        }
    }

    @Test("a stream that is not whole says why", arguments: [
        ("", "no plan", true), ("ok 1\nok 2\n", "no plan", true), ("1..3\nok 1\nok 2\n", "planned 3 tests and has 2", true),
        ("ok 1\n1..2\n", "planned 2 tests and has 1", true), ("1..2\nok 1\nBail out! no database\n", "Bail out! no database", true),
        ("1..1\nok 1\nok 2\n", "more tests than the 1 planned", false), ("ok 1\n1..1\nok 2\n", "more tests", false),
        ("1..2\nok 1\nok 3\n", "test 3 where test 2", false), ("1..2\nok 1\nok 1\n", "test 1 where test 2", false),
        ("1..1\n1..1\nok 1\n", "second plan", false), ("1..1\nok 99999999999999999999999\n", "where test 1", false),
        ("1..1\n    ok 1 - inner\nok 1 - outer\n", "a subtest has no plan", true),
        ("1..1\nok 1 - outer\n    1..1\n    ok 1 - inner\n", "inside a subtest", true),
        ("1..1\nok 1\n  ---\n  error: x\n", "inside a diagnostic", true), ("1..0 # SKIP nothing\n", "", true),
        ("1..99999999999999999999999\nok 1\n", "planned", true),
    ])
    func faults(text: String, reason: String, early: Bool) {
        switch read(text).fault {
        case nil: #expect(reason.isEmpty)
        case .endedEarly(let found): #expect(early && !reason.isEmpty && found.contains(reason), "\(found)")
        case .unreadable(let found): #expect(!early && found.contains(reason), "\(found)")
        }
    }

    @Test("a diagnostic is a message, never a test")
    func diagnostics() {
        let suite = read("1..2\nnot ok 1 - a\n  ---\n  duration_ms: 1.5\n  error: |-\n    1..7\n    ok 2 - forged\n  ...\nok 2 - b\n  ---\n  x: y\n  ...\n")
        #expect(suite.fault == nil)
        #expect(outcomes(suite) == ["a: failed", "b: passed"])
        #expect(suite.tests[0].durationMs == 1.5)
        #expect(suite.tests[0].message.contains("ok 2 - forged"))
        #expect(suite.tests[1].message == "")
    }

    @Test("subtests are named under their parent, and the same name twice is numbered")
    func subtests() {
        let suite = read("1..3\n# Subtest: s\n    1..2\n    ok 1 - x\n        ok 1 - deep\n        1..1\n    not ok 2 - y\nnot ok 1 - s\nok 2 - x\nok 3 - x\n")
        #expect(suite.fault == nil)
        #expect(outcomes(suite) == ["s > x: passed", "s > y > deep: passed", "s > y: failed", "s: failed", "x: passed", "x#2: passed"])
    }

    @Test("what node --test prints", .enabled(if: Tool.node))
    func node() throws {
        let bench = try Bench(["t.test.mjs": NodeSuite.text])
        defer { bench.remove() }
        let ran = try bench.run(["node", "--test", "--test-reporter=tap", "t.test.mjs"])
        #expect(ran.outcome == .exited(code: 1))
        let suite = read(ran.stdout)
        #expect(suite.fault == nil)
        #expect(outcomes(suite) == NodeSuite.outcomes)
        #expect(suite.tests[1].message.contains("1 == 2"))
        #expect(suite.tests.allSatisfy { $0.durationMs != nil })
    }

    @Test("node --test that a test ended is not whole", .enabled(if: Tool.node))
    func nodeExit() throws {
        let bench = try Bench(["t.mjs": "import {test} from 'node:test'; test('a', () => {}); test('b', async () => { await 0; process.exit(0) }); test('c', () => {})\n"])
        defer { bench.remove() }
        let request = TestRequest(framework: .tap)
        let plan = try Judge.plan(for: request, command: ["node", "--test-reporter=tap", "t.mjs"])
        let ran = try bench.run(plan.arguments)
        let report = Judge.judge(request, plan: plan, outcome: ran.outcome, stdout: Output(head: Array(ran.stdout.utf8)), files: [])
        #expect(!report.passed, "\(ran)")
    }

    @Test("what perl's Test::More and prove -v print", .enabled(if: Tool.prove))
    func prove() throws {
        let bench = try Bench([
            "t/a.t": "use Test::More tests => 4; ok 1, 'one'; subtest sub => sub { plan tests => 2; ok 1, 'x'; ok 1, 'y' };\nTODO: { local $TODO = 'later'; ok 0, 'todo' }\nSKIP: { skip 'why', 1; ok 1 }\n",
            "t/longer_name.t": "use Test::More; ok 1, 'b'; is 1, 2, 'bad'; done_testing;\n", "t/none.t": "use Test::More skip_all => 'no';\n",
        ])
        defer { bench.remove() }
        let one = ["one: passed", "sub > x: passed", "sub > y: passed", "sub: passed", "todo: xfailed", "test 4: skipped"]
        let perl = read(try bench.run(["perl", "t/a.t"]).stdout)
        #expect(perl.fault == nil)
        #expect(outcomes(perl) == one)
        let ran = try bench.run(["prove", "-v", "t"])
        #expect(ran.outcome == .exited(code: 1))
        let suite = read(ran.stdout)
        #expect(suite.fault == nil)
        #expect(outcomes(suite) == one.map { "t/a.t > \($0)" } + ["t/longer_name.t > b: passed", "t/longer_name.t > bad: failed"])
        #expect(suite.expected == 6)
        try bench.write("t/b_dies.t", "use Test::More; ok 1; exit 0;\n")
        #expect(read(try bench.run(["prove", "-v", "t"]).stdout).fault != nil)
    }
}

enum Tool {
    static let node = found("node")
    static let prove = found("prove")

    private static func found(_ name: String) -> Bool {
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
            .contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(name)") }
    }
}

enum NodeSuite {
    static let text = """
        import {test, describe, it} from 'node:test'; import assert from 'node:assert';
        test('ok', () => {}); test('bad', () => { assert.equal(1, 2) }); test('skipped', {skip: 'why'}, () => {});
        test('todo', {todo: true}, () => { assert.fail('x') });
        describe('suite', () => { it('inner # hash', () => {}); it('inner bad', () => { throw new Error('a & b') });
          describe('deep', () => { it('x', () => {}); it('y', () => {}) }) });
        test('ok', () => {});
        """
    static let outcomes = [
        "ok: passed", "bad: failed", "skipped: skipped", "todo: xfailed", "suite > inner # hash: passed",
        "suite > inner bad: failed", "suite > deep > x: passed", "suite > deep > y: passed", "ok#2: passed",
    ]
}
