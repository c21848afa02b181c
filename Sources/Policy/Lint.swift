// The last check of a resolved policy: what parses can still be dangerous, contradictory or unable to run anything. Its
// errors refuse the policy; its notes are shown with it. Called by `Resolution`.

import SandboxCore
import StrictYAML

enum Lint {
    /// Without these no job can start, end, or be handed its own filter's listener.
    static let needed = ["execve", "exit", "exit_group", "rt_sigreturn", "write", "close", "sendmsg"]

    struct Findings {
        var errors: [PolicyError] = []
        var notes: [String] = []
    }

    /// - `rules`: the policy's, each with the place it was written at.
    static func check(_ policy: Policy, rules: [Resolution.PlacedRule], file: String, line: Int) -> Findings {
        var found = Findings()
        let refuse = { (message: String, path: String) in PolicyError(file: file, line: line, path: path, message) }
        if policy.defaultAction.permits {
            found.errors.append(refuse(
                "found \(policy.defaultAction.word), expected an action that denies: a policy lists what it grants",
                "seccomp.defaultAction"))
        }
        for name in needed where syscallNumber(name: name) != nil && !granted(name, in: policy) {
            found.errors.append(refuse("\(name) is not granted without conditions: no job could run", "seccomp.syscalls"))
        }
        if policy.tolerateMissing.contains(.userNamespace),
            let name = (Danger.loud[0].names + Danger.loud[1].names).first(where: { mentions($0, in: policy) })
        {
            found.errors.append(refuse(
                "\(name) together with a tolerated missing user_namespace: the job could reach into its sandbox's init",
                "tolerate_missing"))
        }
        found.errors += rules.flatMap(doors)
        found.errors += overlaps(rules)
        found.errors += ceilings(policy, refuse)
        for group in Danger.loud {
            let names = group.names.filter { mentions($0, in: policy) }
            if !names.isEmpty { found.notes.append("grants \(names.joined(separator: ", ")): \(group.reason)") }
        }
        return found
    }

    private static func granted(_ name: String, in policy: Policy) -> Bool {
        policy.rules.contains { $0.action == .allow && $0.conditions.isEmpty && $0.names.contains(name) }
    }

    private static func mentions(_ name: String, in policy: Policy) -> Bool {
        policy.rules.contains { $0.action.permits && $0.names.contains(name) }
    }

    /// Grants that no policy may make.
    private static func doors(_ placed: Resolution.PlacedRule) -> [PolicyError] {
        guard placed.rule.action.permits else { return [] }
        let closed = Danger.never.flatMap { group in
            placed.rule.names.filter(group.names.contains).map { "\($0) is never granted: it \(group.reason)" }
        }
        let open = placed.rule.names.contains("clone") && !excludesNamespaces(placed.rule)
            ? ["clone is granted with flags that make namespaces: mask 0x7e020000 of argument 0 has to be 0"] : []
        return (closed + open).map { placed.error($0) }
    }

    private static func excludesNamespaces(_ rule: SyscallRule) -> Bool {
        rule.conditions.contains { condition in
            guard condition.index == 0, condition.op == .equal || condition.op == .maskedEqual else { return false }
            return Danger.namespaceFlags.allSatisfy { flag in
                condition.mask & flag != 0 && condition.values.allSatisfy { $0 & flag == 0 }
            }
        }
    }

    /// Two rules with different actions that one call could match both: which one wins would be libseccomp's secret.
    private static func overlaps(_ rules: [Resolution.PlacedRule]) -> [PolicyError] {
        var byName: [String: [Resolution.PlacedRule]] = [:]
        var errors: [PolicyError] = []
        for placed in rules {
            for name in placed.rule.names {
                for earlier in byName[name] ?? [] where earlier.rule.action != placed.rule.action {
                    guard !disjoint(earlier.rule, placed.rule) else { continue }
                    errors.append(placed.error(
                        "\(name) is \(placed.rule.action.word) here and \(earlier.rule.action.word) "
                            + "in \(earlier.place), and some call may match both"))
                }
                byName[name, default: []].append(placed)
            }
        }
        return errors
    }

    /// Whether no call can match both; false when in doubt.
    private static func disjoint(_ a: SyscallRule, _ b: SyscallRule) -> Bool {
        if a.conditions.contains(where: { x in b.conditions.contains { y in x.index == y.index && disjoint(x, y) } }) { return true }
        // Of comparisons a diagram knows all there is: where nothing is left of both, no call is.
        var diagram = DecisionDiagram()
        guard let both = try? diagram.holds(a.conditions + b.conditions) else { return false }
        return diagram[both] == .answer(0)
    }

    private static func disjoint(_ a: ArgumentCondition, _ b: ArgumentCondition) -> Bool {
        if a.op == .equal { return !a.values.contains(where: b.holds) }
        if b.op == .equal { return !b.values.contains(where: a.holds) }
        if a.op == .maskedEqual, b.op == .maskedEqual {
            let common = a.mask & b.mask
            return a.values.allSatisfy { x in b.values.allSatisfy { y in x & common != y & common } }
        }
        return false
    }

    private static func ceilings(_ policy: Policy, _ refuse: (String, String) -> PolicyError) -> [PolicyError] {
        LimitField.all.compactMap { field in
            guard let limit = policy.limits[field], let top = policy.ceiling[field], limit > top
            else { return nil }
            return refuse(
                "found \(Quantity.format(limit, as: field.unit)), above the ceiling of \(Quantity.format(top, as: field.unit))",
                "limits.\(field.key)")
        }
    }
}
