// The program's fate: a value, never an error. What the farm did wrong is a `FarmError`, elsewhere.

/// How a job that was started came to its end.
public enum Outcome: Sendable, Equatable {
    /// The program returned by itself.
    case exited(code: Int)
    /// A signal ended the program that the farm did not send. `signal` is the kernel's number.
    case signaled(signal: Int)
    /// A limit ended it. `asked` and `used` are in the limit's own unit (see `LimitField`).
    case limitExceeded(limit: LimitName, asked: Int, used: Int)
    /// The policy ended it at a syscall it does not allow.
    case syscallDenied(syscall: String)
    /// Someone ended it.
    case cancelled(by: Canceller)
}

/// An outcome's word on the wire, without what it tells besides.
public enum OutcomeKind: String, Sendable, Equatable, CaseIterable {
    case exited, signaled
    case limitExceeded = "limit_exceeded"
    case syscallDenied = "syscall_denied"
    case cancelled
}

extension Outcome {
    public var kind: OutcomeKind {
        switch self {
        case .exited: .exited
        case .signaled: .signaled
        case .limitExceeded: .limitExceeded
        case .syscallDenied: .syscallDenied
        case .cancelled: .cancelled
        }
    }
}

/// The limit named in a verdict.
public enum LimitName: String, Sendable, Equatable, CaseIterable {
    case cpuTime = "cpu_time"
    case wallTime = "wall_time"
    case memory
    case processes
    /// Bytes.
    case disk
    case diskInodes = "disk_inodes"
    case output
    case openFiles = "open_files"
    case stack
    case fileSize = "file_size"
}

/// Who ended a job before its time.
public enum Canceller: String, Sendable, Equatable, CaseIterable {
    case client, deadline, drain, disconnect
}

/// Which part of the job an outcome speaks of.
public enum Phase: String, Sendable, Equatable, CaseIterable {
    case compile, run
}
