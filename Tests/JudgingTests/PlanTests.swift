import SandboxCore
import Testing

@testable import Judging

@Suite("a test job's plan")
struct PlanTests {
    @Test("a request that cannot be run names the field at fault", arguments: [
        ("tests", TestRequest(framework: .pytest), ["true"]),
        ("tests.report", TestRequest(framework: .unittest, report: "x"), nil),
        ("command", TestRequest(framework: .tap), nil),
        ("command", TestRequest(framework: .junit, report: "x.xml"), []),
        ("tests.report", TestRequest(framework: .junit), ["true"]),
        ("tests.report", TestRequest(framework: .junit, report: "/etc/passwd"), ["true"]),
        ("tests.report", TestRequest(framework: .junit, report: "a/../../b"), ["true"]),
        ("tests.report", TestRequest(framework: .tap, report: ""), ["true"]),
        ("tests.report", TestRequest(framework: .tap, report: "a\0b"), ["true"]),
        ("tests.report", TestRequest(framework: .goJSON, report: "x"), ["true"]),
        ("tests.paths", TestRequest(framework: .tap, paths: ["x"]), ["true"]),
        ("tests.args", TestRequest(framework: .goJSON, arguments: ["x"]), ["true"]),
        ("tests.paths[1]", TestRequest(framework: .pytest, paths: ["a", "-p"]), nil),
        ("tests.paths[0]", TestRequest(framework: .pytest, paths: [""]), nil),
        ("tests.args[0]", TestRequest(framework: .pytest, arguments: ["\0"]), nil),
        ("tests.fail_to_pass", TestRequest(framework: .pytest, failToPass: [], passToPass: []), nil),
    ] as [(String, TestRequest, [String]?)])
    func rejected(field: String, request: TestRequest, command: [String]?) {
        let error = #expect(throws: Rejected.self) { try Judge.plan(for: request, command: command) }
        #expect(error?.code == .invalidRequest)
        #expect(error?.field == field)
    }

    @Test("a harness gets a key and a directory of its own, which no argument or environment shows")
    func harness() throws {
        let plans = try (0..<2).map { _ in try Judge.plan(for: TestRequest(framework: .pytest, paths: ["t"], arguments: ["-q"]), command: nil) }
        #expect(plans[0].key.count == 32)
        #expect(plans[0].key != plans[1].key)
        #expect(plans[0].collect[0].pattern != plans[1].collect[0].pattern)
        #expect(Set(plans[0].files.map { $0.path.split(separator: "/").last }) == ["paddock_pytest.py", "paddock_framework.py", "paddock_report.py", "key"])
        #expect(plans[0].files.first { $0.path.hasSuffix("/key") }?.mode == 0o600)
        #expect(plans[0].arguments.suffix(2) == ["-q", "t"])
        #expect(!plans[0].usesStdout)
    }

    @Test("the job's own command is run as it is, and its report brought back or read from standard output")
    func command() throws {
        let junit = try Judge.plan(for: TestRequest(framework: .junit, report: "out/*.xml"), command: ["make", "test"])
        #expect(junit.arguments == ["make", "test"])
        #expect(junit.collect == [FileOut(pattern: "out/*.xml", maxBytes: Judge.maxReportBytes)])
        #expect(!junit.usesStdout)
        #expect(try Judge.plan(for: TestRequest(framework: .tap), command: ["x"]).usesStdout)
        #expect(try Judge.plan(for: TestRequest(framework: .goJSON), command: ["x"]).usesStdout)
    }

    @Test("a report is found by the patterns of collect", arguments: [
        ("a.xml", "a.xml", true), ("a.xml", "/workspace/a.xml", true), ("a.xml", "b/a.xml", false), ("*.xml", "a.xml", true),
        ("*.xml", "b/a.xml", false), ("**/*.xml", "b/c/a.xml", true), ("**/*.xml", "a.xml", true), ("t/**", "t/a/b", true),
        ("t/?.xml", "t/a.xml", true), ("t/?.xml", "t/ab.xml", false), ("[a-c].xml", "b.xml", true), ("[!a-c].xml", "b.xml", false),
        ("[.xml", "[.xml", true), ("*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaa", false), ("/tmp/.p/report", "/tmp/.p/report", true),
        ("TEST-*.xml", "TEST-é.xml", true), ("", "a", false),
    ])
    func glob(pattern: String, path: String, matches: Bool) {
        #expect(FileOut(pattern: pattern).matches(path) == matches)
    }
}
