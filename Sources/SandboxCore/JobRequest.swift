// A job as its client describes it. Everything in here came from outside: `Wire` has checked its shape, nothing more.

/// One unit of submitted work.
public struct JobRequest: Sendable, Equatable {
    public var work: Work
    public var stdin: Content?
    /// Added to the image's and the policy's environment.
    public var environment: [String: String]
    /// Absolute, or relative to `/workspace`.
    public var workingDirectory: String?
    public var files: [FileIn]
    public var collect: [FileOut]
    public var limits: Limits
    public var policy: String?
    public var image: String?
    public var pool: String?
    /// The template of its image to be forked from; `none` to start anew. `nil`: what its pool says.
    public var template: String?
    public var labels: Labels
    /// Higher runs earlier within its group. -100...100.
    public var priority: Int
    /// Milliseconds from submission; a job not finished by then is cancelled by `deadline`.
    public var deadlineMs: Int?
    /// Send `job.output` notifications while it runs.
    public var stream: Bool
    public var tests: TestRequest?
    public var idempotencyKey: String?
    /// Whether its compile step may be answered from an earlier equal one, and kept for later ones.
    public var compileCache: Bool
    /// Whether the job goes on when the connection that submitted it ends.
    public var surviveDisconnect: Bool

    public init(
        work: Work, stdin: Content? = nil, environment: [String: String] = [:], workingDirectory: String? = nil,
        files: [FileIn] = [], collect: [FileOut] = [], limits: Limits = Limits(), policy: String? = nil,
        image: String? = nil, pool: String? = nil, template: String? = nil, labels: Labels = Labels(), priority: Int = 0,
        deadlineMs: Int? = nil, stream: Bool = false, tests: TestRequest? = nil, idempotencyKey: String? = nil,
        compileCache: Bool = true, surviveDisconnect: Bool = false
    ) {
        self.work = work
        self.stdin = stdin
        self.environment = environment
        self.workingDirectory = workingDirectory
        self.files = files
        self.collect = collect
        self.limits = limits
        self.policy = policy
        self.image = image
        self.pool = pool
        self.template = template
        self.labels = labels
        self.priority = priority
        self.deadlineMs = deadlineMs
        self.stream = stream
        self.tests = tests
        self.idempotencyKey = idempotencyKey
        self.compileCache = compileCache
        self.surviveDisconnect = surviveDisconnect
    }
}

/// What a job executes.
public enum Work: Sendable, Equatable {
    /// A command and its arguments; `argv[0]` is looked up in the sandbox's PATH.
    case command([String])
    /// Source text in a language of the language table, with arguments for the program.
    case source(text: String, language: String, arguments: [String])
    /// Only the tests of `JobRequest.tests`.
    case testsOnly
}

/// Bytes that come with a request, or are named by what was uploaded before.
public enum Content: Sendable, Equatable {
    case bytes([UInt8])
    /// Lower-case hexadecimal SHA-256 of a blob put before.
    case blob(String)
}

/// A file placed in the sandbox before the job starts.
public struct FileIn: Sendable, Equatable {
    /// Relative to `/workspace`; no `..`, no NUL, not absolute.
    public var path: String
    public var content: Content
    public var mode: Int

    public init(path: String, content: Content, mode: Int = 0o644) {
        self.path = path
        self.content = content
        self.mode = mode
    }
}

/// A file (or, with `*`, `?` and `[…]`, several) to bring back after the job.
public struct FileOut: Sendable, Equatable {
    /// Relative to `/workspace`; the farm's own may also be absolute below `/tmp`.
    public var pattern: String
    /// A file larger than this comes back cut to it, and says so.
    public var maxBytes: Int

    public init(pattern: String, maxBytes: Int = 1 << 20) {
        self.pattern = pattern
        self.maxBytes = maxBytes
    }
}

extension FileOut {
    /// Whether it may stand for several files.
    public var isPattern: Bool { pattern.utf8.contains { $0 == 0x2a || $0 == 0x3f || $0 == 0x5b } }

    /// Whether the file at `path` is one this asks for. Both may be relative to `/workspace` or absolute.
    public func matches(_ path: String) -> Bool {
        func relative(_ path: String) -> String {
            path.hasPrefix("/workspace/") ? String(path.dropFirst("/workspace/".count)) : path.hasPrefix("./") ? String(path.dropFirst(2)) : path
        }
        let (pattern, path) = (relative(pattern), relative(path))
        // Splitting at slashes forgets the first one, which keeps `/tmp/x` and `tmp/x` apart.
        return pattern.hasPrefix("/") == path.hasPrefix("/") && GlobPattern(pattern).matches(path)
    }
}

/// The client's own words for accounting and fairness; the farm never interprets them.
public struct Labels: Sendable, Equatable {
    public var rollout: String?
    public var group: String?

    public init(rollout: String? = nil, group: String? = nil) {
        self.rollout = rollout
        self.group = group
    }
}

/// Unit tests to run and read as structured results.
public struct TestRequest: Sendable, Equatable {
    public var framework: TestFramework
    /// Files or directories the framework is pointed at. Empty: the working directory.
    public var paths: [String]
    public var arguments: [String]
    /// Where a framework of kind `junit` or `tap` leaves its report, relative to `/workspace`.
    /// For `tap` without a path, standard output is the report.
    public var report: String?
    /// The tests that must pass for `resolved`: those that failed before, and those that passed before.
    public var failToPass: [String]?
    public var passToPass: [String]?

    public init(
        framework: TestFramework, paths: [String] = [], arguments: [String] = [], report: String? = nil,
        failToPass: [String]? = nil, passToPass: [String]? = nil
    ) {
        self.framework = framework
        self.paths = paths
        self.arguments = arguments
        self.report = report
        self.failToPass = failToPass
        self.passToPass = passToPass
    }
}

/// How a suite is started and its report is read.
public enum TestFramework: String, Sendable, Equatable, CaseIterable {
    case pytest, unittest
    /// The job's own command writes a report in this format.
    case junit, tap
    /// `go test -json` on standard output.
    case goJSON = "go_json"
}
