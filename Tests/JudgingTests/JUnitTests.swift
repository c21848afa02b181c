import Foundation
import SandboxCore
import Testing

@testable import Judging

@Suite("JUnit XML")
struct JUnitTests {
    func read(_ text: String) -> Judging.Suite { JUnit.read(Array(text.utf8)) }

    func outcomes(_ suite: Judging.Suite) -> [String] { suite.tests.map { "\($0.id): \($0.outcome.rawValue)" } }

    @Test("surefire: failures, errors, skips, reruns and flakes, times with commas")
    func surefire() {
        let suite = read("""
            <?xml version="1.0" encoding="UTF-8"?>
            <testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" name="org.example.ATest" time="1,234.5" tests="6" errors="1" skipped="1" failures="2" flakes="1">
              <properties><property name="a" value="&lt;b&gt;"/></properties>
              <testcase name="ok" classname="org.example.ATest" time="1,234.5"/>
              <testcase name="bad" classname="org.example.ATest" time="0.01"><failure message="expected: &lt;1&gt;" type="E"><![CDATA[at <here> & there]]></failure><system-out>x</system-out></testcase>
              <testcase name="err" classname="org.example.ATest"><error type="java.lang.E">trace</error></testcase>
              <testcase name="skip" classname="org.example.ATest"><skipped message="why"/></testcase>
              <testcase name="again" classname="org.example.ATest"><failure/><rerunFailure message="x"><stackTrace>t</stackTrace></rerunFailure></testcase>
              <testcase name="flaky" classname="org.example.ATest"><flakyFailure message="x"><stackTrace>t</stackTrace></flakyFailure></testcase>
            </testsuite>
            """)
        #expect(suite.fault == nil)
        #expect(outcomes(suite) == ["ok: passed", "bad: failed", "err: error", "skip: skipped", "again: failed", "flaky: passed"].map { "org.example.ATest." + $0 })
        #expect(suite.expected == 6)
        #expect(suite.tests[0].durationMs == 1_234_500)
        #expect(suite.tests[1].message == "expected: <1>\nat <here> & there")
        #expect(suite.tests[3].message == "why")
        #expect(suite.tests[2].durationMs == nil)
    }

    @Test("gtest and ctest say in attributes that a test did not run or failed")
    func attributes() {
        let gtest = read("""
            <testsuites tests="3" failures="1" disabled="1" errors="0" name="AllTests"><testsuite name="Math" tests="3" failures="1" disabled="1" skipped="0" errors="0">
            <testcase name="Adds" status="run" result="completed" time="0." classname="Math" />
            <testcase name="Divides" status="run" result="completed" classname="Math"><failure message="a&#x0A;b" type=""><![CDATA[x]]></failure><failure message="c" type=""></failure></testcase>
            <testcase name="DISABLED_Roots" status="notrun" result="suppressed" classname="Math" /></testsuite></testsuites>
            """)
        #expect(gtest.fault == nil)
        #expect(outcomes(gtest) == ["Math.Adds: passed", "Math.Divides: failed", "Math.DISABLED_Roots: skipped"])
        #expect(gtest.tests[1].message == "a\nb\nx")
        let ctest = read("<testsuite name='Linux' tests='2' failures='0' disabled='1' skipped='0'><testcase name='a' classname='a' status='run'/><testcase name='b' classname='b' status='disabled'><skipped message='Disabled'/></testcase></testsuite>")
        #expect(ctest.fault == nil)
        #expect(outcomes(ctest) == ["a.a: passed", "b.b: skipped"])
    }

    @Test("a test without a class is named after its suite, and the same name twice is numbered")
    func names() {
        let suite = read("<testsuites><testsuite name='jest'><testsuite name='inner'><testcase name='a'/><testcase name='a' classname=''/></testsuite><testcase name='b' classname='C'/></testsuite><testcase name='free'/></testsuites>")
        #expect(suite.fault == nil)
        #expect(suite.tests.map(\.id) == ["inner.a", "inner.a#2", "C.b", "free"])
        #expect(suite.expected == nil)
    }

    @Test("a report that is broken, dangerous or contradicts itself is unreadable", arguments: [
        ("", "empty"), ("hello", "text outside"), ("<html/>", "<testsuites> or <testsuite> was expected"), ("<testsuite>", "ends inside <testsuite>"),
        ("<testsuite></testsuites>", "</testsuites> where </testsuite>"), ("<testsuite/><testsuite/>", "second element"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><testsuite/>", "document type"), ("<testsuite name='&b;'/>", "unknown entity 'b'"),
        ("<testsuite name='&#xD800;'/>", "unknown entity"), ("<testsuite name='a&amp'/>", "without an entity"), ("<testsuite a='1' a='2'/>", "twice"),
        ("<testsuite a=1/>", "not quoted"), ("<testsuite a='1'b='2'/>", "white space"), ("<testsuite a='<'/>", "'<' in the value"),
        ("<testsuite><testcase/></testsuite>", "without a name"), ("<testsuite><![CDATA[x</testsuite>", "without an end"),
        ("<testsuite tests='2'><testcase name='a'/></testsuite>", "declares 2 tests and has 1"),
        ("<testsuite tests='0'><testcase name='a'/></testsuite>", "declares 0 tests and has 1"),
        ("<testsuites tests='3'><testsuite tests='1'><testcase name='a'/></testsuite></testsuites>", "declares 3 tests and has 1"),
        ("<testsuite failures='1'><testcase name='a'/></testsuite>", "declares 1 failures and errors and has 0"),
        ("<testsuite failures='0'><testcase name='a'><failure/></testcase></testsuite>", "declares 0 failures"),
        ("<testsuite failures='9223372036854775807' errors='1'><testcase name='a'><failure/></testcase></testsuite>", "failures and errors"),
        (String(repeating: "<testsuite>", count: 100), "nested deeper"),
        ("<testsuite><testcase name='a'><system-out>" + String(repeating: "<b>", count: 100), "nested deeper"),
        ("<testsuite \(String(repeating: "x", count: 300))='1'/>", "expected a name"),
        ("<testsuite " + (0..<100).map { "a\($0)='1' " }.joined() + "/>", "more than 64 attributes"),
    ])
    func unreadable(text: String, reason: String) {
        guard case .unreadable(let found)? = read(text).fault else {
            Issue.record("expected an unreadable report")
            return
        }
        #expect(found.contains(reason), "\(found)")
    }

    @Test("bytes that are not UTF-8 are unreadable, a byte order mark is not")
    func encoding() {
        #expect(JUnit.read(Array("<testsuite name='".utf8) + [0xFF] + Array("'/>".utf8)).fault != nil)
        #expect(JUnit.read([0xEF, 0xBB, 0xBF] + Array("<testsuite/>".utf8)).fault == nil)
    }

    @Test("what was read before a report breaks off is kept")
    func cut() {
        let suite = read("<testsuite><testcase name='a'/><testcase name='b'>")
        #expect(suite.fault != nil)
        #expect(outcomes(suite) == ["a: passed"])
    }

    @Test("what node --test writes", .enabled(if: Tool.node))
    func node() throws {
        let bench = try Bench(["t.test.mjs": NodeSuite.text])
        defer { bench.remove() }
        let suite = read(try bench.run(["node", "--test", "--test-reporter=junit", "t.test.mjs"]).stdout)
        #expect(suite.fault == nil)
        #expect(
            outcomes(suite) == [
                "test.ok: passed", "test.bad: failed", "test.skipped: skipped", "test.todo: xfailed", "test.inner # hash: passed",
                "test.inner bad: failed", "test.x: passed", "test.y: passed", "test.ok#2: passed",
            ])
    }

    @Test("what pytest writes says the same as the farm's own report of the suite")
    func pytest() throws {
        let bench = try Bench(["test_m.py": PytestTests.mixed.replacing("(3, \"a::b\")", with: "(3, \"c\")")])
        defer { bench.remove() }
        let own = try bench.judge(TestRequest(framework: .pytest, arguments: ["--junitxml=out.xml"])).report
        let suite = JUnit.read([UInt8](try Data(contentsOf: bench.root.appendingPathComponent("out.xml"))))
        #expect(suite.fault == nil)
        let name: (String) -> String = { String($0.drop { $0 != ":" }.drop { $0 == ":" }).replacing("::", with: ".") }
        let mine = Dictionary(uniqueKeysWithValues: own.tests.filter { !$0.id.hasSuffix("(i=1)") }.map { (name($0.id), $0.outcome) })
        let theirs = Dictionary(suite.tests.map { (String($0.id.dropFirst("test_m.".count)), $0.outcome) }) { first, _ in first }
        #expect(theirs.count >= mine.count)
        // pytest's file has no word for a pass that was not expected.
        for (id, outcome) in mine where outcome != .xpassed { #expect(theirs[id] == outcome, "\(id)") }
    }
}
