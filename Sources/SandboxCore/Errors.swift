// The two ways in which there is no result: the job was never run, or the farm failed.

/// A job or a request that was turned away. Nothing happened.
public struct Rejected: Error, Sendable, Equatable {
    public enum Code: String, Sendable, CaseIterable {
        case invalidRequest = "invalid_request"
        case unknownPool = "unknown_pool"
        case unknownImage = "unknown_image"
        case unknownPolicy = "unknown_policy"
        case unknownLanguage = "unknown_language"
        case unknownBlob = "unknown_blob"
        case unknownJob = "unknown_job"
        case queueFull = "queue_full"
        case draining
        case notPermitted = "not_permitted"
    }

    public var code: Code
    /// What was found and what was expected, for a person.
    public var message: String
    /// The request's field at fault, as a path: `files[2].path`.
    public var field: String?
    public var retryAfterMs: Int?

    public init(_ code: Code, _ message: String, field: String? = nil, retryAfterMs: Int? = nil) {
        self.code = code
        self.message = message
        self.field = field
        self.retryAfterMs = retryAfterMs
    }
}

/// The farm could not do its work. Never to be scored as the program's doing.
public struct FarmError: Error, Sendable, Equatable {
    public enum Code: String, Sendable, CaseIterable {
        /// The sandbox could not be made; `message` has the step and the errno.
        case sandboxSetup = "sandbox_setup"
        /// The warden or a sandbox's init went away while the job ran.
        case sandboxLost = "sandbox_lost"
        /// The job's process could not be started for a reason that is not the program's.
        case launch
        /// The host lacks something the policy insists on.
        case hostLacks = "host_lacks"
        case storage
        case `internal`
    }

    public var code: Code
    public var message: String
    /// Whether the same job may succeed when tried again.
    public var retryable: Bool

    public init(_ code: Code, _ message: String, retryable: Bool = false) {
        self.code = code
        self.message = message
        self.retryable = retryable
    }
}
