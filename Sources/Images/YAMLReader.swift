// Reads a definition file strictly: every key known, every type right, every mistake collected with its line.
// Shared by image definitions and the language table; nothing in here knows what the keys mean.

import Foundation
import SandboxCore
import StrictYAML

/// Collects the mistakes of one file while its values are read.
struct YAMLReader {
    /// A definition is a page, not a database.
    static let maxFileBytes = 1 << 20

    let file: String
    private(set) var problems: [Problem] = []

    init(file: String) { self.file = file }

    /// The file's document as a mapping, with the `version: 1` every definition starts with checked.
    mutating func document(_ text: String, keys: [String]) -> YAMLMapping? {
        guard text.utf8.count <= Self.maxFileBytes else {
            add(nil, "", found: "\(text.utf8.count) bytes", expected: "at most \(Self.maxFileBytes)")
            return nil
        }
        let findings = Findings(file: file)
        guard let root = Document.read(Array(text.utf8), findings: findings) else {
            for mistake in findings.errors { add(mistake) }
            return nil
        }
        guard let mapping = mapping(root, "", keys: ["version"] + keys) else { return nil }
        switch mapping["version"] {
        case nil: add(root, "version", found: "nothing", expected: "1")
        case let node?:
            if integer(node) != 1 { add(node, "version", found: describe(node), expected: "1") }
        }
        return mapping
    }

    mutating func mapping(_ node: Value, _ field: String, keys: [String]?) -> YAMLMapping? {
        guard case .map(let entries) = node.kind else {
            add(node, field, found: describe(node), expected: "a mapping")
            return nil
        }
        var values: [String: Value] = [:]
        var order: [String] = []
        for entry in entries {
            let name = entry.key
            if let keys, !keys.contains(name) {
                problems.append(
                    Problem(
                        line: entry.line, column: entry.column, field: join(field, name), found: "an unknown key",
                        expected: "one of \(keys.joined(separator: ", "))", nearest: nearestName(to: name, among: keys)))
                continue
            }
            values[name] = entry.value
            order.append(name)
        }
        return YAMLMapping(node: node, field: field, values: values, order: order)
    }

    /// The string at `key`; a required one that is missing is a mistake.
    mutating func string(_ mapping: YAMLMapping, _ key: String, required: Bool = false) -> String? {
        guard let node = value(mapping, key, required ? "text" : nil) else { return nil }
        return string(node, join(mapping.field, key))
    }

    mutating func string(_ node: Value, _ field: String) -> String? {
        // `yes`, `1.10` and dates are text where text is wanted, as they were written; only an absent value is not.
        guard case .scalar(let text, plain: _) = node.kind, !node.isNull else {
            add(node, field, found: describe(node), expected: "text")
            return nil
        }
        guard !text.utf8.contains(0) else {
            add(node, field, found: "text with a NUL byte", expected: "text without")
            return nil
        }
        return text
    }

    mutating func integer(_ mapping: YAMLMapping, _ key: String, in range: ClosedRange<Int>) -> Int? {
        guard let node = mapping[key] else { return nil }
        guard let number = integer(node), range.contains(number) else {
            add(
                node, join(mapping.field, key), found: describe(node),
                expected: "an integer from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return number
    }

    private func integer(_ node: Value) -> Int? {
        guard case .scalar(let text, plain: true) = node.kind else { return nil }
        return Int(text)
    }

    /// The list at `key`, or nothing. A missing required list is a mistake, and so is an empty one.
    mutating func list(_ mapping: YAMLMapping, _ key: String, of what: String, required: Bool = false) -> [Value] {
        guard let node = value(mapping, key, required ? "a list of \(what)" : nil) else { return [] }
        guard case .list(let items) = node.kind else {
            add(node, join(mapping.field, key), found: describe(node), expected: "a list of \(what)")
            return []
        }
        if required && items.isEmpty {
            add(node, join(mapping.field, key), found: "an empty list", expected: "a list of \(what)")
        }
        return items
    }

    mutating func strings(
        _ mapping: YAMLMapping, _ key: String, of what: String, required: Bool = false,
        valid: (String) -> Bool = { _ in true }, expected: String? = nil
    ) -> [String] {
        var out: [String] = []
        for (index, node) in list(mapping, key, of: what, required: required).enumerated() {
            let field = "\(join(mapping.field, key))[\(index)]"
            guard let text = string(node, field) else { continue }
            if valid(text) {
                out.append(text)
            } else {
                add(node, field, found: quoted(text), expected: expected ?? what)
            }
        }
        return out
    }

    /// A mapping of variable names to text.
    mutating func environment(_ mapping: YAMLMapping, _ key: String) -> [String: String] {
        guard let node = mapping[key], let variables = self.mapping(node, join(mapping.field, key), keys: nil) else {
            return [:]
        }
        var out: [String: String] = [:]
        for name in variables.order {
            let field = join(variables.field, name)
            guard let value = variables[name], let text = string(value, field) else { continue }
            if !isVariableName(name) {
                add(value, field, found: quoted(name), expected: "a variable name: letters, digits and _")
            }
            out[name] = text
        }
        return out
    }

    private mutating func value(_ mapping: YAMLMapping, _ key: String, _ wanted: String?) -> Value? {
        if let node = mapping[key] { return node }
        if let wanted { add(mapping.node, join(mapping.field, key), found: "nothing", expected: wanted) }
        return nil
    }

    mutating func add(_ node: Value?, _ field: String, found: String, expected: String, nearest: String? = nil) {
        problems.append(
            Problem(
                line: node?.line, column: node?.column, field: field, found: found, expected: expected,
                nearest: nearest))
    }

    /// A mistake of the YAML itself, in this room's shape.
    private mutating func add(_ mistake: Mistake) {
        let parts = mistake.message.split(separator: ", expected ", maxSplits: 1)
        let isPair = mistake.message.hasPrefix("found ") && parts.count == 2
        problems.append(
            Problem(
                line: mistake.line, column: mistake.line.map { _ in 1 }, field: mistake.path,
                found: isPair ? String(parts[0].dropFirst("found ".count)) : mistake.message,
                expected: isPair ? String(parts[1]) : "YAML in UTF-8"))
    }
}

/// A mapping whose keys are checked, with its place in the file.
struct YAMLMapping {
    let node: Value
    let field: String
    let values: [String: Value]
    let order: [String]

    subscript(key: String) -> Value? { values[key] }
}

func join(_ field: String, _ key: String) -> String { field.isEmpty ? key : "\(field).\(key)" }

/// What a node is, for the `found` of a message.
func describe(_ node: Value) -> String {
    switch node.kind {
    case .scalar(let text, plain: _): text.isEmpty ? "an empty value" : quoted(text)
    case .map: "a mapping"
    case .list: "a list"
    }
}

func isVariableName(_ name: String) -> Bool {
    !name.isEmpty && !name.first!.isNumber
        && name.utf8.allSatisfy { $0 == UInt8(ascii: "_") || isAlphanumeric($0) } && name.utf8.count <= 256
}

func isAlphanumeric(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
    default: false
    }
}
