// The nouns of a seccomp section, named as in the OCI runtime-spec. Written by `SeccompSection` and `OCIProfile`, read by
// `Compile`, `Lint`, `Explain` and `Dump`.

/// What happens to a syscall.
public enum SeccompAction: Sendable, Hashable {
    case allow
    /// Allowed, and written to the host's audit log.
    case log
    /// Not made; the program sees this errno.
    case errno(Int)
    /// Not made; the sandbox's warden hears of it, answers EPERM and counts it (or ends the job).
    case notify
    case trap
    case killThread
    case killProcess

    /// The kernel's words of the OCI runtime-spec, those this farm can honour. `SCMP_ACT_TRACE` is not: there is no tracer.
    static let words = [
        "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_NOTIFY", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
        "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_TRAP",
    ]

    init?(word: String, errno: Int?) {
        switch word {
        case "SCMP_ACT_ALLOW": self = .allow
        case "SCMP_ACT_ERRNO": self = .errno(errno ?? 1)
        case "SCMP_ACT_NOTIFY": self = .notify
        case "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD": self = .killThread
        case "SCMP_ACT_KILL_PROCESS": self = .killProcess
        case "SCMP_ACT_LOG": self = .log
        case "SCMP_ACT_TRAP": self = .trap
        default: return nil
        }
    }

    public var word: String {
        switch self {
        case .allow: "SCMP_ACT_ALLOW"
        case .log: "SCMP_ACT_LOG"
        case .errno: "SCMP_ACT_ERRNO"
        case .notify: "SCMP_ACT_NOTIFY"
        case .trap: "SCMP_ACT_TRAP"
        case .killThread: "SCMP_ACT_KILL_THREAD"
        case .killProcess: "SCMP_ACT_KILL_PROCESS"
        }
    }

    /// Whether the kernel carries the syscall out.
    public var permits: Bool { self == .allow || self == .log }
}

/// How an argument is compared, as 64-bit unsigned numbers.
public enum Comparison: String, Sendable, CaseIterable {
    case notEqual = "SCMP_CMP_NE"
    case less = "SCMP_CMP_LT"
    case lessOrEqual = "SCMP_CMP_LE"
    case equal = "SCMP_CMP_EQ"
    case greaterOrEqual = "SCMP_CMP_GE"
    case greater = "SCMP_CMP_GT"
    /// `(argument & value) == valueTwo`.
    case maskedEqual = "SCMP_CMP_MASKED_EQ"
}

/// A condition on one argument of a syscall.
public struct ArgumentCondition: Sendable, Hashable {
    /// 0...5.
    public var index: Int
    public var op: Comparison
    /// The number compared with; for `maskedEqual`, what the masked argument has to be. Any one of them will do.
    public var values: [UInt64]
    /// For `maskedEqual` only; all ones otherwise.
    public var mask: UInt64

    public init(index: Int, op: Comparison, values: [UInt64], mask: UInt64 = .max) {
        self.index = index
        self.op = op
        self.values = values
        self.mask = mask
    }

    func holds(_ argument: UInt64) -> Bool {
        values.contains { value in
            switch op {
            case .notEqual: argument != value
            case .less: argument < value
            case .lessOrEqual: argument <= value
            case .equal: argument == value
            case .greaterOrEqual: argument >= value
            case .greater: argument > value
            case .maskedEqual: argument & mask == value
            }
        }
    }
}

/// Syscalls that are treated alike.
public struct SyscallRule: Sendable, Equatable {
    public var names: [String]
    public var action: SeccompAction
    /// All of them must hold.
    public var conditions: [ArgumentCondition]
    /// Why these calls are granted (or why they are refused in this way).
    public var why: String
    /// The policy, or the profile, that says so.
    public var origin: String

    public init(
        names: [String], action: SeccompAction, conditions: [ArgumentCondition] = [], why: String, origin: String
    ) {
        self.names = names
        self.action = action
        self.conditions = conditions
        self.why = why
        self.origin = origin
    }
}
