// The `seccomp:` section of a policy file, in the OCI runtime-spec's words plus `why` and `include`. Part of `PolicyFile`.

import StrictYAML

/// The declarations of one `seccomp:` section.
struct SeccompSection: Sendable {
    struct Include: Sendable {
        /// The profile's file name, in the policy's own directory.
        var file: String
        var why: String
        var line: Int
    }

    struct Rule: Sendable {
        var rule: SyscallRule
        var line: Int
        var path: String
    }

    var defaultAction: SeccompAction?
    /// Where the policy says it can be used; `nil` when it does not say.
    var architectures: PolicyFile.Located<[String]>?
    var include: Include?
    var rules: [Rule] = []

    static func read(_ field: Field, origin: String) -> SeccompSection {
        var result = SeccompSection()
        let known = ["defaultAction", "defaultErrnoRet", "architectures", "include", "syscalls"]
        guard let fields = field.map(known: known) else { return result }
        result.defaultAction = readAction(fields["defaultAction"], errno: fields["defaultErrnoRet"])
        result.architectures = fields["architectures"].flatMap(readArchitectures)
        result.include = fields["include"].flatMap(readInclude)
        result.rules = (fields["syscalls"]?.list(maximum: 2000) ?? []).compactMap { readRule($0, origin: origin) }
        return result
    }

    private static func readAction(_ field: Field?, errno: Field?) -> SeccompAction? {
        let number = errno.flatMap { $0.errno() }
        guard let field else {
            errno?.wrong("is there without an action")
            return nil
        }
        guard case .scalar(let word, plain: _) = field.value.kind, let action = SeccompAction(word: word, errno: number)
        else {
            var hint = ""
            if case .scalar(let word, plain: _) = field.value.kind { hint = field.findings.hint(for: word, among: SeccompAction.words) }
            field.expected("one of \(SeccompAction.words.joined(separator: ", "))\(hint)")
            return nil
        }
        switch action {
        case .errno: break
        default: errno?.wrong("belongs to SCMP_ACT_ERRNO, not to \(action.word)")
        }
        return action
    }

    private static func readArchitectures(_ field: Field) -> PolicyFile.Located<[String]>? {
        guard let elements = field.list(maximum: 16) else { return nil }
        let known = Machine.Architecture.allCases.map(\.ociWord)
        var words: [String] = []
        for element in elements {
            guard let word = element.text("an architecture") else { continue }
            if known.contains(word) {
                words.append(word)
            } else {
                let hint = field.findings.hint(for: word, among: known)
                element.expected("one of \(known.joined(separator: ", ")): other system call tables are never allowed\(hint)")
            }
        }
        return PolicyFile.Located(value: words, line: field.line)
    }

    private static func readInclude(_ field: Field) -> Include? {
        guard let fields = field.map(known: ["file", "why"]) else { return nil }
        guard let file = fields["file"] else {
            field.wrong("the key \"file\" is missing")
            return nil
        }
        let why = readWhy(fields["why"], in: field)
        guard let name = file.text(maximum: 255, "a file name") else { return nil }
        guard !name.contains("/"), name.hasSuffix(".json"), !name.hasPrefix(".") else {
            file.expected("the name of a .json file in the policy's own directory")
            return nil
        }
        return why.map { Include(file: name, why: $0, line: field.line) }
    }

    private static func readRule(_ field: Field, origin: String) -> Rule? {
        guard let fields = field.map(known: ["names", "action", "errnoRet", "args", "why"]) else { return nil }
        for key in ["names", "action"] where fields[key] == nil { field.wrong("the key \"\(key)\" is missing") }
        let names = fields["names"].map(readNames) ?? []
        let action = readAction(fields["action"], errno: fields["errnoRet"])
        let why = readWhy(fields["why"], in: field)
        let conditions = readConditions(fields["args"])
        guard let action, let why, !names.isEmpty else { return nil }
        let rule = SyscallRule(names: names, action: action, conditions: conditions, why: why, origin: origin)
        return Rule(rule: rule, line: field.line, path: field.path)
    }

    private static func readWhy(_ field: Field?, in parent: Field) -> String? {
        guard let field else {
            parent.wrong("the key \"why\" is missing: each grant has its reason")
            return nil
        }
        return field.reason()
    }

    private static func readNames(_ field: Field) -> [String] {
        guard let elements = field.list(maximum: 1000, "a list of system call names") else { return [] }
        if elements.isEmpty { field.wrong("found an empty list, expected system call names") }
        var names: [String] = []
        for element in elements {
            guard let name = element.text("a system call name") else { continue }
            if Syscalls.lookUp(name) == .unknown {
                element.wrong("unknown system call \(quoted(name))\(field.findings.hint(for: name, among: Syscalls.names))")
            } else if names.contains(name) {
                element.wrong("\(name) is there twice")
            } else {
                names.append(name)
            }
        }
        return names
    }

    private static func readConditions(_ field: Field?) -> [ArgumentCondition] {
        guard let field, let elements = field.list(maximum: 6, "a list of conditions") else { return [] }
        var conditions: [ArgumentCondition] = []
        for element in elements {
            guard let condition = ArgumentCondition.read(element) else { continue }
            if conditions.contains(where: { $0.index == condition.index }) {
                element.wrong("argument \(condition.index) has a condition already: list values, or write another rule")
            } else {
                conditions.append(condition)
            }
        }
        return conditions
    }
}
