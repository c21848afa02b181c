// Files that refer to each other -> policies that refer to nothing: inheritance, included profiles, then `Lint`. A pure
// function of its input; `PolicyStore` reads the files.

import SandboxCore
import StrictYAML

struct Resolution {
    /// A rule and where it was written.
    struct PlacedRule {
        var rule: SyscallRule
        var file: String
        var line: Int
        var path: String

        var place: String { "\(file):\(line)" }

        func error(_ message: String) -> PolicyError { PolicyError(file: file, line: line, path: path, message) }
    }

    /// A policy on the way, with places for the errors of those that inherit from it.
    private struct Draft {
        var policy: Policy
        var rules: [PlacedRule]
    }

    let files: [String: PolicyFile]
    let profiles: [String: OCIProfile]
    let machine: Machine
    private(set) var errors: [PolicyError] = []
    /// `nil` for one that has errors, its own or inherited.
    private var drafts: [String: Draft?] = [:]

    init(files: [String: PolicyFile], profiles: [String: OCIProfile], machine: Machine) {
        self.files = files
        self.profiles = profiles
        self.machine = machine
    }

    /// The policies without errors by name, and what is wrong with the others.
    mutating func resolve() -> (policies: [String: Policy], errors: [PolicyError]) {
        var policies: [String: Policy] = [:]
        for name in files.keys.sorted() {
            if let draft = draft(of: name, descendants: []) { policies[name] = draft.policy }
        }
        return (policies, errors)
    }

    private mutating func draft(of name: String, descendants: [String]) -> Draft? {
        if let known = drafts[name] { return known }
        guard let file = files[name] else { return nil }
        let result = make(file, descendants: descendants + [name])
        drafts[name] = .some(result)
        return result
    }

    private mutating func make(_ file: PolicyFile, descendants: [String]) -> Draft? {
        var parent: Draft?
        if let extends = file.extends {
            let refuse = { PolicyError(file: file.file, line: extends.line, path: "extends", $0) }
            if let start = descendants.firstIndex(of: extends.value) {
                let cycle = (descendants[start...] + [extends.value]).joined(separator: " -> ")
                errors.append(refuse("goes in a circle: \(cycle)"))
                return nil
            }
            guard files[extends.value] != nil else {
                let hint = suggestion(for: extends.value, among: files.keys.sorted())
                errors.append(refuse("found \(quoted(extends.value)), expected the name of another policy\(hint)"))
                return nil
            }
            parent = draft(of: extends.value, descendants: descendants)
            // Its errors are reported already.
            guard parent != nil else { return nil }
        }
        return join(file, to: parent)
    }

    /// What the file says, over what it inherits. Rules of the file replace inherited rules for the same call.
    private mutating func join(_ file: PolicyFile, to parent: Draft?) -> Draft? {
        let before = errors.count
        checkArchitectures(file)
        let (included, profileNotes) = includedRules(file)
        let own = file.seccomp.rules.map { PlacedRule(rule: $0.rule, file: file.file, line: $0.line, path: $0.path) }
        let rules = Self.replacing(Self.replacing(parent?.rules ?? [], by: included), by: own)
        let includedDefault = file.seccomp.include.flatMap { profiles[$0.file]?.defaultAction }
        let base = parent?.policy
        let limits = merge(file.limits, base?.limits, file, "limits")
        let ceiling = merge(file.ceiling, base?.ceiling, file, "ceiling")
        let network = require(file.network ?? base?.network, file, "network")
        let proc = require(file.proc ?? base?.proc, file, "proc")
        let action = require(
            file.seccomp.defaultAction ?? includedDefault ?? base?.defaultAction, file, "seccomp.defaultAction")
        guard let network, let proc, let action, errors.count == before else { return nil }
        var policy = Policy(
            name: file.name.value, description: file.description,
            ancestors: base.map { [$0.name] + $0.ancestors } ?? [], network: network, proc: proc,
            pty: file.pty ?? base?.pty ?? false, onDenied: file.onDenied ?? base?.onDenied ?? .errno, limits: limits,
            ceiling: ceiling, environment: (base?.environment ?? [:]).merging(file.environment) { $1 },
            tolerateMissing: file.tolerateMissing ?? base?.tolerateMissing ?? [], defaultAction: action,
            rules: rules.map(\.rule), reasons: reasons(file, base), notes: (base?.notes ?? []) + profileNotes)
        let found = Lint.check(policy, rules: rules, file: file.file, line: file.name.line)
        errors += found.errors
        policy.notes += found.notes.filter { !policy.notes.contains($0) }
        return found.errors.isEmpty ? Draft(policy: policy, rules: rules) : nil
    }

    private mutating func checkArchitectures(_ file: PolicyFile) {
        guard let list = file.seccomp.architectures, !list.value.contains(machine.architecture.ociWord) else { return }
        errors.append(PolicyError(
            file: file.file, line: list.line, path: "seccomp.architectures",
            "found \(list.value.joined(separator: ", ")), expected \(machine.architecture.ociWord), this machine, among them"))
    }

    /// The profile's rules that hold here, less what no policy grants.
    private func includedRules(_ file: PolicyFile) -> (rules: [PlacedRule], notes: [String]) {
        guard let include = file.seccomp.include, let profile = profiles[include.file] else { return ([], []) }
        let (rules, unknown) = profile.rules(on: machine, why: include.why)
        var refused: Set<String> = []
        let kept = rules.compactMap { item -> PlacedRule? in
            var rule = item.rule
            if rule.action.permits {
                refused.formUnion(rule.names.filter(Danger.neverNames.contains))
                rule.names.removeAll(where: Danger.neverNames.contains)
            }
            return rule.names.isEmpty ? nil : PlacedRule(rule: rule, file: profile.file, line: item.line, path: item.path)
        }
        var notes: [String] = []
        if !refused.isEmpty {
            notes.append("\(include.file) grants what no policy does, left out: \(refused.sorted().joined(separator: ", "))")
        }
        if !unknown.isEmpty {
            notes.append("\(include.file) names calls unknown here, left out: \(unknown.joined(separator: ", "))")
        }
        return (kept, notes)
    }

    private static func replacing(_ rules: [PlacedRule], by newer: [PlacedRule]) -> [PlacedRule] {
        let names = Set(newer.flatMap(\.rule.names))
        let kept = rules.compactMap { placed -> PlacedRule? in
            var placed = placed
            placed.rule.names.removeAll(where: names.contains)
            return placed.rule.names.isEmpty ? nil : placed
        }
        return kept + newer
    }

    private mutating func merge(
        _ own: [String: PolicyFile.Located<Int>], _ inherited: Limits?, _ file: PolicyFile, _ key: String
    ) -> Limits {
        var result = inherited ?? Limits()
        for field in LimitField.all {
            if let value = own[field.key]?.value { result[field] = value }
            _ = require(result[field], file, "\(key).\(field.key)")
        }
        return result
    }

    private mutating func require<T>(_ value: T?, _ file: PolicyFile, _ path: String) -> T? {
        if value == nil {
            errors.append(PolicyError(
                file: file.file, line: file.name.line, path: path, "is missing, and nothing is inherited that has it"))
        }
        return value
    }

    /// A reason speaks of its grant: it goes when the grant is written anew.
    private func reasons(_ file: PolicyFile, _ base: Policy?) -> [String: String] {
        var result = base?.reasons ?? [:]
        if file.network != nil { result["network"] = nil }
        if file.proc != nil { result["proc"] = nil }
        if file.pty != nil { result["pty"] = nil }
        if file.tolerateMissing != nil { result["tolerate_missing"] = nil }
        return result.merging(file.reasons) { $1 }
    }
}
