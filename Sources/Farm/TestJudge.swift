// How the farm gets suites run and judged without knowing a single test framework. The composition root adapts the
// room Judging to this border.

import SandboxCore

public protocol TestJudge: Sendable {
    /// How to run the tests of `request`.
    /// - Parameter command: the job's own command; `nil` when the tests stand alone.
    /// - Throws: `invalid_request` with the field at fault.
    func plan(for request: TestRequest, command: [String]?) throws(Rejected) -> TestStep
}

/// What a suite adds to its job.
public struct TestStep: Sendable {
    /// The command to run, whole.
    public var arguments: [String]
    /// Placed besides the job's own files; relative to `/workspace`, or absolute below `/tmp`.
    public var files: [PlacedFile]
    /// Brought back besides what the client asked for. Its result does not have them.
    public var collect: [FileOut]
    /// Bytes of standard output that are kept for the judge; `nil` when it does not read it.
    public var keepOutputBytes: Int?
    /// Variables of the job's environment that it starts with under another name.
    public var renames: [String: String]
    /// The verdict, from the outcome, standard output and the files brought back.
    public var judge: @Sendable (Outcome, Output, [CollectedFile]) -> TestReport

    public init(
        arguments: [String], files: [PlacedFile] = [], collect: [FileOut] = [], keepOutputBytes: Int? = nil,
        renames: [String: String] = [:], judge: @escaping @Sendable (Outcome, Output, [CollectedFile]) -> TestReport
    ) {
        self.arguments = arguments
        self.files = files
        self.collect = collect
        self.keepOutputBytes = keepOutputBytes
        self.renames = renames
        self.judge = judge
    }
}
