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
    var expected: Int?
    /// Why the report, by itself, cannot be a complete one.
    var fault: Fault?
    /// The exit code the suite's own runner said it would end with, where it says so.
    var announcedCode: Int?
    /// The test that had begun and not ended.
    var running: String?

    static func unreadable(_ reason: String) -> Suite { Suite(fault: .unreadable(reason)) }
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
        let suite = read(request, plan: plan, stdout: stdout, files: files)
        let completion = completion(of: suite, framework: request.framework, outcome: outcome)
        return TestReport(
            framework: request.framework, completion: completion, tests: suite.tests, expected: suite.expected,
            resolved: resolved(request, tests: suite.tests, completion: completion))
    }

    private static func read(_ request: TestRequest, plan: TestPlan, stdout: Output, files: [CollectedFile]) -> Suite {
        .unreadable("no reader")
    }

    private static func completion(of suite: Suite, framework: TestFramework, outcome: Outcome) -> TestReport.Completion {
        .unreadable(reason: "no reader")
    }

    private static func resolved(_ request: TestRequest, tests: [TestCase], completion: TestReport.Completion) -> Bool? {
        nil
    }
}
