// Decides how a suite is started: the command, the harness placed beside it, and what is brought back for judging.
// The first half of a test job; `Judge.judge` is the second, and gets the same plan back.

import SandboxCore

/// What the farm adds to a job's launch plan so that its tests can be judged.
public struct TestPlan: Sendable, Equatable {
    /// The command to run, whole.
    public var arguments: [String]
    /// Files to place besides the job's own; absolute paths below `/tmp`.
    public var files: [PlacedFile]
    /// Files to bring back besides those the client asked for; relative to `/workspace`, or absolute below `/tmp`.
    public var collect: [FileOut]
    /// Whether standard output is the report, so that all of it has to be kept (`Judge.maxReportBytes`).
    public var usesStdout: Bool

    /// Variables of the job's environment that it starts with under another name.
    public var renames: [String: String]

    /// What signs the records of a suite the farm starts; empty for the others.
    let key: [UInt8]

    init(
        arguments: [String], files: [PlacedFile] = [], collect: [FileOut] = [], usesStdout: Bool = false, renames: [String: String] = [:],
        key: [UInt8] = []
    ) {
        self.arguments = arguments
        self.files = files
        self.collect = collect
        self.usesStdout = usesStdout
        self.renames = renames
        self.key = key
    }
}

public enum Judge {
    /// A report longer than this is not read to its end, and its suite is not complete.
    public static let maxReportBytes = 32 << 20

    /// A report with more tests than this is not read to its end, and its suite is not complete.
    static let maxTests = 100_000

    /// All ids of a suite together, and all its messages together, before messages are cut to a line.
    static let maxAnswerBytes = 8 << 20

    /// How to run the tests of `request`.
    /// - Parameter command: the job's own command, for the frameworks that have one; `nil` when tests stand alone.
    /// - Throws: `invalid_request` with the field at fault.
    public static func plan(for request: TestRequest, command: [String]?) throws(Rejected) -> TestPlan {
        try check(request, command: command)
        switch request.framework {
        case .pytest: return harnessed(HarnessFiles.pytest, request)
        case .unittest: return harnessed(HarnessFiles.unittest, request)
        case .junit, .tap, .goJSON:
            let collect = request.report.map { [FileOut(pattern: $0, maxBytes: maxReportBytes)] } ?? []
            return TestPlan(arguments: command ?? [], collect: collect, usesStdout: collect.isEmpty)
        }
    }

    /// A suite that the farm starts itself, under a harness that reports each test as it ends.
    private static func harnessed(_ program: HarnessFiles.Source, _ request: TestRequest) -> TestPlan {
        var random = SystemRandomNumberGenerator()
        let directory = "/tmp/.paddock-" + hexadecimal(random.next()) + hexadecimal(random.next())
        let key = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        return TestPlan(
            arguments: ["python3", "-s", "\(directory)/\(program.name)"] + request.arguments + request.paths,
            files: ([program] + HarnessFiles.modules).map { PlacedFile(path: "\(directory)/\($0.name)", bytes: $0.bytes, mode: 0o644) }
                + [PlacedFile(path: "\(directory)/key", bytes: key, mode: 0o600)],
            collect: [FileOut(pattern: "\(directory)/report", maxBytes: maxReportBytes)],
            renames: hidden, key: key)
    }

    /// PYTHONPATH may name the very directory that is tested, and a `sitecustomize.py` or `encodings` there would run
    /// before the harness: it is put back by the harness once that has what it needs. `-s` for the same reason.
    private static let hidden = ["PYTHONPATH": "PADDOCK_PYTHONPATH"]

    private static func check(_ request: TestRequest, command: [String]?) throws(Rejected) {
        let started = request.framework == .pytest || request.framework == .unittest
        func reject(_ field: String, _ message: String) -> Rejected { Rejected(.invalidRequest, message, field: field) }

        if started {
            if command != nil {
                throw reject("tests", "\(request.framework.rawValue) is started by the farm: expected no command, or one of junit, tap, go_json")
            }
            if request.report != nil {
                throw reject("tests.report", "expected no report for \(request.framework.rawValue): the farm reads its own")
            }
        } else {
            guard let command, !command.isEmpty else {
                throw reject("command", "expected a command: \(request.framework.rawValue) reads what a job's own command leaves")
            }
            if !request.paths.isEmpty || !request.arguments.isEmpty {
                throw reject(
                    request.paths.isEmpty ? "tests.args" : "tests.paths",
                    "expected nothing for \(request.framework.rawValue): they belong in the job's own command")
            }
        }
        switch (request.framework, request.report) {
        case (.junit, nil): throw reject("tests.report", "expected the path of the JUnit XML file the command writes")
        case (.goJSON, .some): throw reject("tests.report", "expected none for go_json: standard output is the report")
        case (_, let report?):
            let parts = report.split(separator: "/", omittingEmptySubsequences: false)
            if report.utf8.contains(0) || report.isEmpty || parts.contains(where: { $0.isEmpty || $0 == ".." || $0 == "." }) {
                throw reject("tests.report", "expected a path relative to /workspace without '.', '..' or empty parts, found \(quoted(report))")
            }
        case (_, nil): break
        }
        for (index, path) in request.paths.enumerated() where path.isEmpty || path.hasPrefix("-") || path.utf8.contains(0) {
            throw reject("tests.paths[\(index)]", "expected a file, directory or test id that does not begin with '-', found \(quoted(path))")
        }
        for (index, argument) in request.arguments.enumerated() where argument.utf8.contains(0) {
            throw reject("tests.args[\(index)]", "expected no NUL byte")
        }
        if request.failToPass != nil || request.passToPass != nil,
            (request.failToPass ?? []).isEmpty, (request.passToPass ?? []).isEmpty
        {
            throw reject("tests.fail_to_pass", "expected at least one id in fail_to_pass or pass_to_pass: nothing would be resolved")
        }
    }
}

/// Sixteen lower-case digits.
private func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}
