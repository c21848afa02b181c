// What a sandbox may do, with nothing left to look up: the product of this room. `PolicyStore` makes it from files, the
// farm reads its fields for a `SandboxSpec` and a `LaunchPlan`, `compile` turns its rules into the kernel's program.

import SandboxCore

/// A policy with everything it inherits or includes resolved, and checked.
public struct Policy: Sendable, Equatable {
    public var name: String
    public var description: String
    /// The policies it builds on, nearest first.
    public var ancestors: [String]
    public var network: NetworkMode
    public var proc: ProcMode
    public var pty: Bool
    public var onDenied: SeccompProgram.DeniedAction
    /// What a job gets when it does not ask; every field is set.
    public var limits: Limits
    /// What a job may ask for at most; every field is set.
    public var ceiling: Limits
    /// Added to the image's environment.
    public var environment: [String: String]
    /// Mechanisms a host may lack; the result then names what was missing.
    public var tolerateMissing: Set<Mechanism>
    /// What happens to a syscall no rule speaks of.
    public var defaultAction: SeccompAction
    public var rules: [SyscallRule]
    /// The reasons for grants that are not syscalls: `network`, `proc`, `pty`, `tolerate_missing`.
    public var reasons: [String: String]
    /// What somebody who reads the policy should know, from `lint` and from included profiles.
    public var notes: [String]

    /// The limits of a job that asked for `asked`: the policy's where it did not ask; every field is set.
    /// Throws `invalid_request` with the field for one that is out of range or above the ceiling.
    public func limits(for asked: Limits) throws(Rejected) -> Limits {
        for field in LimitField.all {
            guard let value = asked[field] else { continue }
            let top = min(ceiling[field] ?? field.range.upperBound, field.range.upperBound)
            guard value >= field.range.lowerBound, value <= top else {
                throw Rejected(
                    .invalidRequest,
                    "found \(value), expected \(field.range.lowerBound) to \(top), the ceiling of policy \(name)",
                    field: "limits.\(field.key)")
            }
        }
        return asked.filled(from: limits)
    }
}
