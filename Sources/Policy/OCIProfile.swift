// A seccomp profile of Docker, Podman or an OCI bundle, taken as it is: bytes -> rules for one machine. What such a
// profile says about capabilities is answered as for a process that has none. Joined in by `Resolution`.

import StrictYAML

/// A profile file as it was written.
public struct OCIProfile: Sendable {
    struct Rule: Sendable {
        var names: [String]
        var action: SeccompAction
        /// One list for each way to match; usually one.
        var alternatives: [[ArgumentCondition]]
        var includes: Filter
        var excludes: Filter
        var line: Int
        var path: String
    }

    /// Docker's `includes` and `excludes`.
    struct Filter: Sendable {
        var capabilities: [String] = []
        var architectures: [String] = []
        var minimumKernel: Machine.Kernel?
    }

    var file: String
    var defaultAction: SeccompAction
    var rules: [Rule]

    private static let keys = [
        "defaultAction", "defaultErrnoRet", "defaultErrno", "architectures", "archMap", "flags", "listenerPath",
        "listenerMetadata", "syscalls",
    ]
    private static let ruleKeys = ["names", "name", "action", "errnoRet", "errno", "args", "comment", "includes", "excludes"]

    /// Reads and checks one profile by itself. A pure function, as `PolicyFile.parse` is.
    public static func parse(_ bytes: [UInt8], file: String) throws(PolicyErrors) -> OCIProfile {
        let findings = Findings(file: file)
        let result = Document.read(bytes, findings: findings).flatMap { read($0, findings: findings) }
        guard let result, findings.errors.isEmpty else { throw PolicyErrors(findings.errors) }
        return result
    }

    /// The rules that hold on `machine`, and the names among them that this host's libseccomp does not know (runtimes
    /// leave those out too: a profile names calls of all kernels).
    func rules(on machine: Machine, why: String) -> (rules: [SeccompSection.Rule], unknownNames: [String]) {
        var unknown: Set<String> = []
        var result: [SeccompSection.Rule] = []
        for rule in rules where rule.applies(on: machine) {
            var seen: Set<String> = []
            let names = rule.names.filter { name in
                guard Syscalls.lookUp(name) == .unknown else { return seen.insert(name).inserted }
                unknown.insert(name)
                return false
            }
            guard !names.isEmpty else { continue }
            for conditions in rule.alternatives {
                let one = SyscallRule(
                    names: names, action: rule.action, conditions: conditions, why: why, origin: file)
                result.append(.init(rule: one, line: rule.line, path: rule.path))
            }
        }
        return (result, unknown.sorted())
    }

    private static func read(_ value: Value, findings: Findings) -> OCIProfile? {
        let top = Field(value: value, path: "", findings: findings)
        guard let fields = top.map(known: keys) else { return nil }
        guard let field = fields["defaultAction"] else {
            findings.add("the key \"defaultAction\" is missing", line: top.line)
            return nil
        }
        let defaultAction = action(field, errno: fields["defaultErrno"] ?? fields["defaultErrnoRet"])
        let rules = present(fields["syscalls"])?.list(maximum: 2000)?.compactMap(readRule) ?? []
        return defaultAction.map { OCIProfile(file: findings.file, defaultAction: $0, rules: rules) }
    }

    private static func readRule(_ field: Field) -> Rule? {
        guard let fields = field.map(known: ruleKeys) else { return nil }
        guard let actionField = fields["action"] else {
            field.wrong("the key \"action\" is missing")
            return nil
        }
        var names = present(fields["names"])?.list(maximum: 1000)?.compactMap { $0.text("a system call name") } ?? []
        if let name = present(fields["name"])?.text("a system call name"), !name.isEmpty { names.append(name) }
        if names.isEmpty { field.wrong("names no system call") }
        let conditions = present(fields["args"])?.list(maximum: 6)?.compactMap(ArgumentCondition.read) ?? []
        guard let action = action(actionField, errno: present(fields["errno"]) ?? fields["errnoRet"]) else { return nil }
        // Container runtimes read two conditions on one argument as "either", since libseccomp has no "both".
        let repeated = Set(conditions.map(\.index)).count < conditions.count
        return Rule(
            names: names, action: action,
            alternatives: repeated ? conditions.map { [$0] } : [conditions],
            includes: readFilter(fields["includes"]), excludes: readFilter(fields["excludes"]),
            line: field.line, path: field.path)
    }

    private static func action(_ field: Field, errno: Field?) -> SeccompAction? {
        let number = present(errno)?.errno()
        guard let word = field.text("an action") else { return nil }
        guard let action = SeccompAction(word: word, errno: number) else {
            let hint = field.findings.hint(for: word, among: SeccompAction.words)
            field.expected("one of \(SeccompAction.words.joined(separator: ", "))\(hint)")
            return nil
        }
        return action
    }

    private static func readFilter(_ field: Field?) -> Filter {
        guard let field = present(field), let fields = field.map(known: ["caps", "arches", "minKernel"]) else {
            return Filter()
        }
        var filter = Filter()
        filter.capabilities = present(fields["caps"])?.list()?.compactMap { $0.text("a capability") } ?? []
        filter.architectures = present(fields["arches"])?.list()?.compactMap { $0.text("an architecture") } ?? []
        if let version = present(fields["minKernel"]), let text = version.text("a kernel version") {
            filter.minimumKernel = Machine.Kernel(text)
            if filter.minimumKernel == nil { version.expected("a kernel version such as 4.8") }
        }
        return filter
    }

    /// Programs that write JSON write `null` for what is not there.
    private static func present(_ field: Field?) -> Field? {
        guard let field, !field.value.isNull else { return nil }
        return field
    }
}

extension OCIProfile.Rule {
    /// Docker's own reading of `includes` and `excludes`, for a process without any capability.
    fileprivate func applies(on machine: Machine) -> Bool {
        if excludes.architectures.contains(machine.architecture.dockerWord) { return false }
        if let kernel = excludes.minimumKernel, machine.kernel >= kernel { return false }
        if !includes.capabilities.isEmpty { return false }
        if !includes.architectures.isEmpty, !includes.architectures.contains(machine.architecture.dockerWord) { return false }
        if let kernel = includes.minimumKernel, machine.kernel < kernel { return false }
        return true
    }
}
