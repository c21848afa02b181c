import SandboxCore
import Testing

@testable import Judging

@Suite("go test -json")
struct GoTests {
    func read(_ lines: [String]) -> Judging.Suite { GoTest.read(Array(lines.joined(separator: "\n").utf8)) }

    func outcomes(_ suite: Judging.Suite) -> [String] { suite.tests.map { "\($0.id): \($0.outcome.rawValue)" } }

    func event(_ action: String, _ test: String? = nil, package: String = "example.com/a", output: String? = nil, elapsed: String = "0.01") -> String {
        var text = "{\"Time\":\"2024-01-01T00:00:00.0Z\",\"Action\":\"\(action)\",\"Package\":\"\(package)\""
        if let test { text += ",\"Test\":\"\(test)\"" }
        if let output { text += ",\"Output\":\"\(output)\"" }
        if ["pass", "fail", "skip"].contains(action) { text += ",\"Elapsed\":\(elapsed)" }
        return text + "}"
    }

    @Test("tests and subtests are named under their package, with the output of those that failed")
    func tests() {
        let suite = read([
            event("start"), event("run", "TestA"), event("output", "TestA", output: "=== RUN   TestA\\n"), event("run", "TestA/x"),
            event("output", "TestA/x", output: "    a_test.go:7: got \\u003c1\\u003e\\n"), event("pause", "TestA/x"), event("cont", "TestA/x"),
            event("fail", "TestA/x"), event("fail", "TestA"), event("run", "TestB"), event("skip", "TestB"), event("run", "TestC"),
            event("pass", "TestC", elapsed: "1.5"), event("output", output: "FAIL\\n"), event("fail"),
            event("start", package: "example.com/none"), event("output", package: "example.com/none", output: "?   \\texample.com/none\\t[no test files]\\n"),
            event("skip", package: "example.com/none"), event("start", package: "example.com/b"), event("run", "TestC", package: "example.com/b"),
            event("pass", "TestC", package: "example.com/b"), event("output", package: "example.com/b", output: "ok  \\texample.com/b\\t(cached)\\n"),
            event("pass", package: "example.com/b"),
        ])
        #expect(suite.fault == nil)
        #expect(
            outcomes(suite) == [
                "example.com/a.TestA/x: failed", "example.com/a.TestA: failed", "example.com/a.TestB: skipped", "example.com/a.TestC: passed",
                "example.com/b.TestC: passed",
            ])
        #expect(suite.tests[0].message == "a_test.go:7: got <1>")
        #expect(suite.tests[3].durationMs == 1500)
        #expect(suite.tests[3].message == "")
    }

    @Test("a panic fails the test that was running and the package's other tests are what was seen")
    func panics() {
        let suite = read([
            event("run", "TestA"), event("pass", "TestA"), event("run", "TestB"), event("output", "TestB", output: "panic: boom\\n"), event("fail"),
        ])
        #expect(suite.fault == nil)
        #expect(outcomes(suite) == ["example.com/a.TestA: passed", "example.com/a.TestB: failed"])
        #expect(suite.tests[1].message == "panic: boom")
    }

    @Test("a package that does not build, or fails outside its tests, is an error of its own")
    func builds() {
        let new = read([
            "{\"ImportPath\":\"example.com/a\",\"Action\":\"build-output\",\"Output\":\"a.go:1: syntax error\\n\"}",
            "{\"ImportPath\":\"example.com/a\",\"Action\":\"build-fail\"}", event("start"), event("output", output: "FAIL\\texample.com/a [build failed]\\n"),
            "{\"Action\":\"fail\",\"Package\":\"example.com/a\",\"Elapsed\":0,\"FailedBuild\":\"example.com/a\"}",
        ])
        #expect(new.fault == nil)
        #expect(outcomes(new) == ["example.com/a: error"])
        #expect(new.tests[0].message.contains("syntax error"))
        let old = read(["# example.com/a", "FAIL\texample.com/a [build failed]", event("run", "TestC", package: "b"), event("pass", "TestC", package: "b"), event("pass", package: "b")])
        #expect(old.fault == nil)
        #expect(Set(outcomes(old)) == ["example.com/a: error", "b.TestC: passed"])
        let main = read([event("run", "TestA"), event("pass", "TestA"), event("output", output: "exit status 3\\n"), event("fail")])
        #expect(outcomes(main) == ["example.com/a.TestA: passed", "example.com/a: error"])
    }

    @Test("the same test run twice is two entries")
    func twice() {
        let suite = read([event("run", "TestA"), event("pass", "TestA"), event("run", "TestA"), event("fail", "TestA"), event("fail")])
        #expect(outcomes(suite) == ["example.com/a.TestA: passed", "example.com/a.TestA#2: failed"])
    }

    @Test("a stream that is cut, is no stream, or contradicts itself has a fault")
    func faults() {
        #expect(read([]).fault == .unreadable("no event of go test -json on standard output"))
        #expect(read(["ok  \texample.com/a"]).fault != nil)
        #expect(read([event("run", "TestA"), "{\"Action\":"]).fault == .unreadable("line 2 is not an event of go test -json"))
        #expect(read(["{\"Package\":\"a\"}"]).fault != nil)
        #expect(read([event("run", "TestA")]).fault == .endedEarly("package 'example.com/a' did not come to its end while 'TestA' was running"))
        #expect(read([event("run", "TestA"), event("pass")]).fault == .endedEarly("'example.com/a.TestA' has no result though its package ended"))
        #expect(read([event("pass"), event("pass")]).fault == .unreadable("package 'example.com/a' ended twice"))
    }
}
