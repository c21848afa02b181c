// One policy file as it was written: bytes -> declarations, a pure function. What it inherits and includes is joined in
// by `Resolution`. The format is described in docs/policies.md.

import SandboxCore
import StrictYAML

/// The declarations of one file. What the file does not say is `nil` or empty.
public struct PolicyFile: Sendable {
    /// Something and the line it was said on.
    struct Located<T: Sendable>: Sendable {
        var value: T
        var line: Int
    }

    var file: String
    var name: Located<String>
    var description: String
    var extends: Located<String>?
    var network: NetworkMode?
    var proc: ProcMode?
    var pty: Bool?
    var onDenied: SeccompProgram.DeniedAction?
    var limits: [String: Located<Int>]
    var ceiling: [String: Located<Int>]
    var environment: [String: String]
    var tolerateMissing: Set<Mechanism>?
    var reasons: [String: String]
    var seccomp: SeccompSection

    static let keys = [
        "version", "name", "description", "extends", "network", "proc", "pty", "on_denied", "limits", "ceiling",
        "environment", "tolerate_missing", "why", "seccomp",
    ]

    /// Reads and checks one file by itself.
    /// - Parameter file: how errors call it.
    public static func parse(_ bytes: [UInt8], file: String) throws(PolicyErrors) -> PolicyFile {
        let findings = Findings(file: file)
        let result = Document.read(bytes, findings: findings).flatMap { read($0, findings: findings) }
        guard let result, findings.errors.isEmpty else { throw PolicyErrors(findings.errors) }
        return result
    }

    private static func read(_ value: Value, findings: Findings) -> PolicyFile? {
        let top = Field(value: value, path: "", findings: findings)
        guard let fields = top.map(known: keys) else { return nil }
        readVersion(fields["version"], top: top)
        guard let nameField = fields["name"] else {
            findings.add("the key \"name\" is missing", line: top.line)
            // The rest is read all the same, for its mistakes.
            _ = rest(fields, name: "unnamed", line: top.line, findings: findings)
            return nil
        }
        let name = nameField.name("a policy name")
        let result = rest(fields, name: name ?? "unnamed", line: nameField.line, findings: findings)
        return name == nil ? nil : result
    }

    private static func readVersion(_ field: Field?, top: Field) {
        guard let field else {
            top.findings.add("the key \"version\" is missing, expected version: 1", line: top.line)
            return
        }
        if case .scalar("1", plain: true) = field.value.kind { return }
        field.expected("1, the only version there is")
    }

    private static func rest(_ fields: [String: Field], name: String, line: Int, findings: Findings) -> PolicyFile {
        PolicyFile(
            file: findings.file,
            name: Located(value: name, line: line),
            description: fields["description"]?.text() ?? "",
            extends: fields["extends"].flatMap { field in
                field.name("a policy name").map { Located(value: $0, line: field.line) }
            },
            network: fields["network"]?.word(NetworkMode.self),
            proc: fields["proc"]?.word(ProcMode.self),
            pty: fields["pty"]?.bool(),
            onDenied: fields["on_denied"]?.word(SeccompProgram.DeniedAction.self),
            limits: fields["limits"].map(readLimits) ?? [:],
            ceiling: fields["ceiling"].map(readLimits) ?? [:],
            environment: fields["environment"].map(readEnvironment) ?? [:],
            tolerateMissing: fields["tolerate_missing"].flatMap(readMechanisms),
            reasons: readReasons(fields, findings: findings),
            seccomp: fields["seccomp"].map { SeccompSection.read($0, origin: name) } ?? SeccompSection())
    }

    private static func readLimits(_ field: Field) -> [String: Located<Int>] {
        guard let fields = field.map(known: LimitField.all.map(\.key)) else { return [:] }
        var result: [String: Located<Int>] = [:]
        for limit in LimitField.all {
            guard let field = fields[limit.key] else { continue }
            guard case .scalar(let text, plain: _) = field.value.kind, let value = Quantity.parse(text, as: limit.unit)
            else {
                field.expected(Quantity.expectation(limit.unit))
                continue
            }
            guard limit.range.contains(value) else {
                field.expected("\(limit.range.lowerBound) to \(limit.range.upperBound)")
                continue
            }
            result[limit.key] = Located(value: value, line: field.line)
        }
        return result
    }

    private static func readEnvironment(_ field: Field) -> [String: String] {
        var result: [String: String] = [:]
        for (key, line, field) in field.entries() ?? [] {
            let letters = key.utf8
            guard !key.isEmpty, letters.count <= 256, !letters.contains(UInt8(ascii: "=")), letters.allSatisfy({ $0 > 32 })
            else {
                field.findings.add(
                    "found \(quoted(key)), expected a variable's name without \"=\" and spaces", line: line, path: field.path)
                continue
            }
            if let text = field.text(maximum: 32 << 10, "text (quote an empty one)") { result[key] = text }
        }
        return result
    }

    private static func readMechanisms(_ field: Field) -> Set<Mechanism>? {
        field.list(maximum: Mechanism.allCases.count, "a list of mechanisms").map { fields in
            Set(fields.compactMap { $0.word(Mechanism.self) })
        }
    }

    /// What this file grants beyond syscalls has to be explained in this file, and only that.
    private static func readReasons(_ fields: [String: Field], findings: Findings) -> [String: String] {
        let reasonable = ["network", "proc", "pty", "tolerate_missing"]
        let reasons = fields["why"]?.map(known: reasonable) ?? [:]
        for key in reasonable {
            guard let grant = fields[key], isGrant(key, grant.value.kind) else {
                reasons[key]?.wrong("explains a grant that this file does not make")
                continue
            }
            if reasons[key] == nil { grant.wrong("is a grant: why.\(key) has to say why") }
        }
        return reasons.compactMapValues { $0.reason() }
    }

    private static func isGrant(_ key: String, _ value: Value.Kind) -> Bool {
        switch (key, value) {
        case ("network", .scalar(let text, _)): text == "loopback" || text == "outbound"
        case ("proc", .scalar(let text, _)): text == "masked"
        case ("pty", .scalar(let text, _)): text == "true"
        case ("tolerate_missing", .list(let list)): !list.isEmpty
        default: false
        }
    }
}

extension Field {
    /// The text of a `why`: some words, not none.
    func reason() -> String? {
        guard let text = text("a reason in words") else { return nil }
        guard text.contains(where: \.isLetter) else {
            expected("a reason in words")
            return nil
        }
        return text
    }
}
