// A suite's result, test by test.

/// How one test ended, in pytest's words, which the other frameworks' are translated to.
public enum TestOutcome: String, Sendable, Equatable, CaseIterable {
    case passed, failed, error, skipped, xfailed, xpassed
}

public struct TestCase: Sendable, Equatable {
    /// The framework's own name for the test: pytest's node id, `class.method`, a package and a function…
    public var id: String
    public var outcome: TestOutcome
    public var durationMs: Double?
    /// Why it did not pass; bounded, and empty for a test that passed.
    public var message: String

    public init(id: String, outcome: TestOutcome, durationMs: Double? = nil, message: String = "") {
        self.id = id
        self.outcome = outcome
        self.durationMs = durationMs
        self.message = message
    }
}

/// Everything that was seen of a suite.
public struct TestReport: Sendable, Equatable {
    /// Whether the suite can be believed to have run to its end.
    public enum Completion: Sendable, Equatable {
        case complete
        /// The suite ended before it said it was done; `reason` says what was seen.
        case endedEarly(reason: String)
        /// No report, or one that cannot be read.
        case unreadable(reason: String)
    }

    public var framework: TestFramework
    public var completion: Completion
    public var tests: [TestCase]
    /// How many tests the suite said it would run, where its framework says so.
    public var expected: Int?
    /// Whether every test of the expected lists passed in a complete suite; `nil` without such lists.
    public var resolved: Bool?

    public init(
        framework: TestFramework, completion: Completion, tests: [TestCase], expected: Int? = nil,
        resolved: Bool? = nil
    ) {
        self.framework = framework
        self.completion = completion
        self.tests = tests
        self.expected = expected
        self.resolved = resolved
    }

    public func count(_ outcome: TestOutcome) -> Int { tests.count { $0.outcome == outcome } }

    /// Complete, at least one test passed, and none failed or errored. The only thing a client may score as a pass.
    public var passed: Bool {
        completion == .complete && count(.passed) > 0 && count(.failed) == 0 && count(.error) == 0
    }
}
