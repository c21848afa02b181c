// What a job says about its unit tests, and which of it goes together.

import SandboxCore

private enum TestsKey: String, WireKey {
    case framework, paths, args, report
    case failToPass = "fail_to_pass"
    case passToPass = "pass_to_pass"
    static let table = KeyTable<Self>()
}

extension FieldReader {
    func testRequest(_ value: Int) throws(Rejected) -> TestRequest {
        var framework: TestFramework?
        var tests = TestRequest(framework: .pytest)
        try object(value, TestsKey.self) { (key, member) throws(Rejected) in
            switch key {
            case .framework: framework = try word(member, TestFramework.self)
            case .paths:
                tests.paths = try strings(member) { (item) throws(Rejected) in try kernelText(item, bytes: 1...4_095) }
            case .args: tests.arguments = try strings(member) { (item) throws(Rejected) in try kernelText(item) }
            case .report: tests.report = try relativePath(member)
            case .failToPass: tests.failToPass = try strings(member) { (item) throws(Rejected) in try text(item) }
            case .passToPass: tests.passToPass = try strings(member) { (item) throws(Rejected) in try text(item) }
            }
        }
        guard let framework else {
            let known = TestFramework.allCases.map(\.rawValue).joined(separator: ", ")
            throw missing("framework", in: value, "one of \(known)")
        }
        tests.framework = framework
        return tests
    }

    /// The farm starts pytest and unittest itself; of the others it reads what the job's command left behind.
    func check(_ value: Int, _ tests: TestRequest, goesWith work: Work) throws(Rejected) {
        let framework = "\"\(tests.framework.rawValue)\""
        switch tests.framework {
        case .pytest, .unittest:
            guard work == .testsOnly else {
                throw wrong(value, "\(framework) is started by the farm, expected neither command nor source beside it")
            }
            if tests.report != nil { throw unused("report", framework, in: value) }
        case .junit, .tap, .goJSON:
            guard case .command = work else {
                throw wrong(value, "\(framework) reads what a command left, expected a command beside it")
            }
            if !tests.paths.isEmpty { throw unused("paths", framework, in: value) }
            if !tests.arguments.isEmpty { throw unused("args", framework, in: value) }
            if tests.framework == .goJSON, tests.report != nil { throw unused("report", framework, in: value) }
            if tests.framework == .junit, tests.report == nil {
                throw missing("report", in: value, "the path of the XML file the command writes")
            }
        }
    }

    private func unused(_ key: String, _ framework: String, in tests: Int) -> Rejected {
        wrong(json.member(key, of: tests) ?? tests, "\(framework) has no use for it, expected it to be absent")
    }
}
