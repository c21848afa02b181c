// One process to run in a sandbox, and what came of it. The border between the farm and a backend.

/// A step of a job: one command, all its bounds decided.
public struct LaunchPlan: Sendable, Equatable {
    public var arguments: [String]
    /// `KEY=value`, whole: nothing is inherited.
    public var environment: [String]
    /// Absolute path inside the sandbox.
    public var workingDirectory: String
    public var stdin: StandardInput
    public var files: [PlacedFile]
    public var collect: [FileOut]
    public var limits: EnforcedLimits
    /// How much of each stream is kept: this many bytes of the head and as many of the tail.
    public var keepOutputBytes: Int
    public var stream: Bool
    /// Whether nothing else will be run in its sandbox, which then ends with it.
    public var isLast: Bool
    /// Whether a fork of the sandbox's template may become this step, where one is to be had.
    public var fork: Bool

    public init(
        arguments: [String], environment: [String], workingDirectory: String = "/workspace",
        stdin: StandardInput = .empty, files: [PlacedFile] = [], collect: [FileOut] = [], limits: EnforcedLimits,
        keepOutputBytes: Int = 64 << 10, stream: Bool = false, isLast: Bool = false, fork: Bool = false
    ) {
        self.arguments = arguments
        self.environment = environment
        self.workingDirectory = workingDirectory
        self.stdin = stdin
        self.files = files
        self.collect = collect
        self.limits = limits
        self.keepOutputBytes = keepOutputBytes
        self.stream = stream
        self.isLast = isLast
        self.fork = fork
    }
}

public enum StandardInput: Sendable, Equatable {
    case empty
    case bytes([UInt8])
    /// A descriptor of this process that the backend duplicates.
    case descriptor(Int32)
}

/// A file with its content at hand.
public struct PlacedFile: Sendable, Equatable {
    /// Relative to `/workspace`, or absolute below it or `/tmp`.
    public var path: String
    public var bytes: [UInt8]
    public var mode: Int

    public init(path: String, bytes: [UInt8], mode: Int = 0o644) {
        self.path = path
        self.bytes = bytes
        self.mode = mode
    }
}

/// `Limits` with every field decided.
public struct EnforcedLimits: Sendable, Equatable {
    public var cpuTimeMs: Int
    public var wallTimeMs: Int
    public var memoryBytes: Int
    public var processes: Int
    /// Bounds of the one file system that holds the writable layer, `/tmp`, `/workspace` and `/dev/shm`.
    public var diskBytes: Int
    public var diskInodes: Int
    public var outputBytes: Int
    public var openFiles: Int
    public var stackBytes: Int
    public var fileSizeBytes: Int

    public init(
        cpuTimeMs: Int, wallTimeMs: Int, memoryBytes: Int, processes: Int, diskBytes: Int, diskInodes: Int,
        outputBytes: Int, openFiles: Int, stackBytes: Int, fileSizeBytes: Int
    ) {
        self.cpuTimeMs = cpuTimeMs
        self.wallTimeMs = wallTimeMs
        self.memoryBytes = memoryBytes
        self.processes = processes
        self.diskBytes = diskBytes
        self.diskInodes = diskInodes
        self.outputBytes = outputBytes
        self.openFiles = openFiles
        self.stackBytes = stackBytes
        self.fileSizeBytes = fileSizeBytes
    }
}

/// What a backend saw of one step. Raw facts; the farm turns them into a verdict.
public struct StepReport: Sendable, Equatable {
    public var outcome: Outcome
    public var stdout: Output
    public var stderr: Output
    public var usage: Usage
    public var denied: [DeniedSyscall]
    public var files: [CollectedFile]
    /// Files that match and whose names are not UTF-8, which were left there: other bytes as `\xff`, a backslash as two. A
    /// directory of such a name ends with a slash.
    public var filesSkipped: [String]
    /// Whether there may be files that match and are not among `files`, because there were too many.
    public var filesTruncated: Bool
    /// What the sandbox needed from the plan's arrival to the program's start, as it measured it.
    public var setupMs: Double
    /// How long the plan lay before a sandbox that was still being made.
    public var waitedMs: Double = 0
    /// Whether it was a fork of the sandbox's template.
    public var forked: Bool

    public init(
        outcome: Outcome, stdout: Output = Output(), stderr: Output = Output(), usage: Usage = Usage(),
        denied: [DeniedSyscall] = [], files: [CollectedFile] = [], filesSkipped: [String] = [], filesTruncated: Bool = false, setupMs: Double = 0,
        forked: Bool = false
    ) {
        self.outcome = outcome
        self.stdout = stdout
        self.stderr = stderr
        self.usage = usage
        self.denied = denied
        self.files = files
        self.filesSkipped = filesSkipped
        self.filesTruncated = filesTruncated
        self.setupMs = setupMs
        self.forked = forked
    }
}

public enum OutputStream: String, Sendable, Equatable { case stdout, stderr }
