// Decides what a suite's report is worth: whether it can be believed to be whole, given how the process ended, and
// whether the expected tests passed. The readers only say what a report says; the verdict is made here.

import SandboxCore

/// What a reader made of a report, before anything is known of the process that wrote it.
struct Suite: Equatable {
    enum Fault: Equatable {
        case endedEarly(String)
        case unreadable(String)
    }

    var tests: [TestCase] = []
    /// Those of `tests`, by index, whose failure nobody had declared to be expected when the first test ran.
    var undeclared: Set<Int> = []
    var expected: Int?
    /// Why the report, by itself, cannot be a complete one.
    var fault: Fault?
    /// The test that had begun and not ended.
    var running: String?
    /// The exit code the suite's own runner said it would end with, where it says so.
    var announcedCode: Int?

    static func unreadable(_ reason: String) -> Suite { Suite(fault: .unreadable(reason)) }

    var bad: Int { tests.count { $0.outcome == .failed || $0.outcome == .error } }
}

extension Judge {
    /// The verdict on a suite that was run as `plan` says.
    /// - Parameters:
    ///   - outcome: how the process ended.
    ///   - stdout: its standard output, of which `plan.usesStdout` says whether it is the report.
    ///   - files: what was brought back for `plan.collect`; others are ignored.
    public static func judge(
        _ request: TestRequest, plan: TestPlan, outcome: Outcome, stdout: Output, files: [CollectedFile]
    ) -> TestReport {
        let suite = fitted(read(request, plan: plan, stdout: stdout, files: files))
        let completion = completion(of: suite, framework: request.framework, outcome: outcome)
        return TestReport(
            framework: request.framework, completion: completion, tests: suite.tests, expected: suite.expected,
            resolved: resolved(request, suite, completion))
    }

    private static func read(_ request: TestRequest, plan: TestPlan, stdout: Output, files: [CollectedFile]) -> Suite {
        if plan.usesStdout {
            if stdout.truncated || stdout.totalBytes > maxReportBytes {
                return .unreadable("standard output is the report, and only part of its \(stdout.totalBytes) bytes was kept")
            }
            let bytes = stdout.head + stdout.tail
            return request.framework == .goJSON ? GoTest.read(bytes) : TAP.read(bytes)
        }
        guard let wanted = plan.collect.first else { return .unreadable("the plan names no report") }
        let reports = files.filter { wanted.matches($0.path) }.sorted { $0.path < $1.path }
        let shown = plan.key.isEmpty ? " at \(quoted(wanted.pattern))" : ""
        guard !reports.isEmpty else { return .unreadable("no report was left\(shown)") }
        var suite = Suite()
        for report in reports {
            let cut = report.size > report.bytes.count
            var part: Suite
            switch request.framework {
            case .pytest, .unittest: part = HarnessReport.read(report.bytes, cut: cut, key: plan.key)
            case .tap: part = TAP.read(report.bytes)
            case .junit, .goJSON: part = JUnit.read(report.bytes)
            }
            if cut, part.fault == nil { part.fault = .unreadable("\(quoted(report.path)) has \(report.size) bytes, of which \(report.bytes.count) were brought back") }
            suite.undeclared.formUnion(part.undeclared.map { $0 + suite.tests.count })
            suite.tests += part.tests
            suite.expected = part.expected.map { (suite.expected ?? 0).addingReportingOverflow($0).partialValue } ?? suite.expected
            suite.fault = suite.fault ?? part.fault
            if suite.tests.count > maxTests {
                suite.fault = .unreadable("more than \(maxTests) tests")
                break
            }
            suite.running = part.running
            suite.announcedCode = part.announcedCode
        }
        if reports.count > 1 { suite.tests = numbered(suite.tests) }
        return suite
    }

    /// The suite in what a result can carry. Messages become short once they have used up their share; ids are what a
    /// test is known by and stay whole, so that too many of them are no suite.
    static func fitted(_ suite: Suite) -> Suite {
        var suite = suite
        var (ids, messages) = (0, 0)
        for index in suite.tests.indices {
            ids += suite.tests[index].id.utf8.count
            guard ids <= maxAnswerBytes else {
                suite.tests.removeSubrange(index...)
                suite.fault = .unreadable("the ids of its tests are longer than \(maxAnswerBytes) bytes")
                break
            }
            if messages > maxAnswerBytes { suite.tests[index].message = bounded(suite.tests[index].message, 120) }
            messages += suite.tests[index].message.utf8.count
        }
        return suite
    }

    /// The report and the process have to tell the same story.
    private static func completion(of suite: Suite, framework: TestFramework, outcome: Outcome) -> TestReport.Completion {
        let running = suite.running.map { " while \(quoted($0)) was running" } ?? ""
        if case .unreadable(let reason)? = suite.fault {
            return .unreadable(reason: "\(reason); \(words(outcome))")
        }
        guard case .exited(let code) = outcome else { return .endedEarly(reason: words(outcome) + running) }
        if case .endedEarly(let reason)? = suite.fault {
            return .endedEarly(reason: "\(reason); \(words(outcome))")
        }
        if let announced = suite.announcedCode, announced & 0xFF != code {
            return .endedEarly(reason: "the suite ended with code \(announced & 0xFF), but \(words(outcome))")
        }
        switch framework {
        case .pytest, .unittest:
            // 5 is both runners' word for a suite without tests.
            if code == 5, suite.expected == 0, suite.bad == 0 { return .complete }
            guard code == (suite.bad == 0 ? 0 : 1) else {
                return .endedEarly(reason: "\(suite.bad) tests did not pass, but \(words(outcome))")
            }
        case .junit, .tap, .goJSON:
            // Commands that hide failures (`|| true`) are common, and do not make them passes.
            guard code == 0 || suite.bad > 0 else {
                return .endedEarly(reason: "no test failed, but \(words(outcome))")
            }
        }
        return .complete
    }

    /// A test that was to begin to pass has to pass. One that was to go on as it was may go on failing as expected, where
    /// the suite had declared that: code under test can say so of itself while it runs.
    private static func resolved(_ request: TestRequest, _ suite: Suite, _ completion: TestReport.Completion) -> Bool? {
        guard request.failToPass != nil || request.passToPass != nil else { return nil }
        guard completion == .complete else { return false }
        let passed = Set(suite.tests.filter { $0.outcome == .passed }.map(\.id))
        let expected = suite.tests.indices.filter { suite.tests[$0].outcome == .xfailed && !suite.undeclared.contains($0) }
        let good = passed.union(expected.map { suite.tests[$0].id })
        return (request.failToPass ?? []).allSatisfy(passed.contains) && (request.passToPass ?? []).allSatisfy(good.contains)
    }

    private static func words(_ outcome: Outcome) -> String {
        switch outcome {
        case .exited(let code): "the process exited with code \(code)"
        case .signaled(let signal): "signal \(signal) ended the process"
        case .limitExceeded(let limit, let asked, let used): "the limit \(limit.rawValue) ended the process (asked \(asked), used \(used))"
        case .syscallDenied(let syscall): "the policy ended the process at \(syscall)"
        case .cancelled(let canceller): "the job was cancelled by \(canceller.rawValue)"
        }
    }
}
