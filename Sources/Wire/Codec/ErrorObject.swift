// JSON-RPC's error object: how every failure looks on the wire, and how it becomes a value again at the client.

import SandboxCore

/// An error as it travels. The table in docs/protocol.md says which `code` goes with which `kind` and `reason`.
public struct ErrorObject: Error, Sendable, Equatable {
    /// JSON-RPC's number.
    public var code: Int
    /// What was found and what was expected, for people.
    public var message: String
    /// `data.kind`
    public var kind: Kind
    /// `data.code`
    public var reason: String
    public var field: String?
    public var retryAfterMs: Int?
    public var retryable: Bool?

    public enum Kind: String, Sendable, Equatable, CaseIterable {
        case rejected
        case farmError = "farm_error"
    }

    public init(
        code: Int, message: String, kind: Kind, reason: String, field: String? = nil, retryAfterMs: Int? = nil,
        retryable: Bool? = nil
    ) {
        self.code = code
        self.message = message
        self.kind = kind
        self.reason = reason
        self.field = field
        self.retryAfterMs = retryAfterMs
        self.retryable = retryable
    }

    public init(_ failure: Failure) {
        switch failure {
        case .rejected(let rejected):
            self.init(
                code: rejected.code == .invalidRequest ? -32602 : -32001, message: rejected.message, kind: .rejected,
                reason: rejected.code.rawValue, field: rejected.field, retryAfterMs: rejected.retryAfterMs)
        case .farm(let error):
            self.init(
                code: -32002, message: error.message, kind: .farmError, reason: error.code.rawValue,
                retryable: error.retryable)
        }
    }

    /// The failure this error tells of; `nil` for what only a broken client or another version can cause.
    public var failure: Failure? {
        switch kind {
        case .rejected:
            guard code == -32602 || code == -32001, let code = Rejected.Code(rawValue: reason) else { return nil }
            return .rejected(Rejected(code, message, field: field, retryAfterMs: retryAfterMs))
        case .farmError:
            // A code this client does not know yet is still the farm's own failure and must never look like less.
            let code = FarmError.Code(rawValue: reason) ?? .internal
            return .farm(FarmError(code, message, retryable: retryable ?? false))
        }
    }

    static func notJSON(_ message: String) -> ErrorObject {
        ErrorObject(code: -32700, message: message, kind: .rejected, reason: "parse_error")
    }

    static func notRequest(_ message: String, field: String? = nil) -> ErrorObject {
        ErrorObject(code: -32600, message: message, kind: .rejected, reason: "invalid_request", field: field)
    }

    static func unknownMethod(_ message: String) -> ErrorObject {
        ErrorObject(code: -32601, message: message, kind: .rejected, reason: "unknown_method", field: "method")
    }
}
