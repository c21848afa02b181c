// The answer to a job, whole.

/// A job's result as clients see it. Only a job that was started has one.
public struct JobResult: Sendable, Equatable {
    public var job: JobID
    public var outcome: Outcome
    /// The part of the job `outcome` speaks of: a compile error is `exited` in phase `compile`.
    public var phase: Phase
    public var stdout: Output
    public var stderr: Output
    public var usage: Usage
    public var denied: [DeniedSyscall]
    /// Mechanisms this host could not enforce, in the words of `paddock doctor`.
    public var unenforced: [String]
    /// The template it was forked from; `nil` for one whose command started by itself.
    public var template: String?
    public var files: [CollectedFile]
    /// Files that match and whose names are not UTF-8, which were left there: other bytes as `\xff`, a backslash as two. A
    /// directory of such a name ends with a slash.
    public var filesSkipped: [String]
    /// Whether there may be files that match and are not among `files`, because there were too many.
    public var filesTruncated: Bool
    public var compile: CompileReport?
    public var tests: TestReport?
    /// Whether a job of the same group was in its sandbox before; `nil` for a job that never had one.
    public var sandbox: SandboxUse?
    public var labels: Labels

    public init(
        job: JobID, outcome: Outcome, phase: Phase = .run, stdout: Output = Output(), stderr: Output = Output(),
        usage: Usage = Usage(), denied: [DeniedSyscall] = [], unenforced: [String] = [], template: String? = nil,
        files: [CollectedFile] = [], filesSkipped: [String] = [], filesTruncated: Bool = false, compile: CompileReport? = nil,
        tests: TestReport? = nil, sandbox: SandboxUse? = nil, labels: Labels = Labels()
    ) {
        self.job = job
        self.outcome = outcome
        self.phase = phase
        self.stdout = stdout
        self.stderr = stderr
        self.usage = usage
        self.denied = denied
        self.unenforced = unenforced
        self.template = template
        self.files = files
        self.filesSkipped = filesSkipped
        self.filesTruncated = filesTruncated
        self.compile = compile
        self.tests = tests
        self.sandbox = sandbox
        self.labels = labels
    }
}

/// What a job found in its sandbox.
public enum SandboxUse: String, Sendable, Equatable, CaseIterable {
    /// Nothing: no job was in it before.
    case fresh
    /// The files that earlier jobs of its group left.
    case reused
}

/// The daemon's name for a job: unique for its lifetime and across restarts.
public struct JobID: Sendable, Hashable, CustomStringConvertible {
    public let text: String
    public init(_ text: String) { self.text = text }
    public var description: String { text }
}

/// A syscall the policy denied, and how often it was tried.
public struct DeniedSyscall: Sendable, Equatable {
    public var syscall: String
    public var count: Int
    public init(syscall: String, count: Int) {
        self.syscall = syscall
        self.count = count
    }
}

/// A file brought back from the sandbox.
public struct CollectedFile: Sendable, Equatable {
    public var path: String
    public var bytes: [UInt8]
    /// The file's size in the sandbox; more than `bytes.count` where it was cut.
    public var size: Int
    public var mode: Int

    public init(path: String, bytes: [UInt8], size: Int, mode: Int) {
        self.path = path
        self.bytes = bytes
        self.size = size
        self.mode = mode
    }
}

/// The compile step of a source job.
public struct CompileReport: Sendable, Equatable {
    public var outcome: Outcome
    public var stdout: Output
    public var stderr: Output
    /// What the step used when it was run.
    public var usage: Usage
    /// Whether it was run for an earlier job: an equal step was, and this is what came of that.
    public var cached: Bool

    public init(outcome: Outcome, stdout: Output, stderr: Output, usage: Usage, cached: Bool = false) {
        self.outcome = outcome
        self.stdout = stdout
        self.stderr = stderr
        self.usage = usage
        self.cached = cached
    }
}
