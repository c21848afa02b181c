// Reads a definition file strictly: every key known, every type right, every mistake collected with its line.
// Shared by image definitions and the language table; nothing in here knows what the keys mean.

import Foundation
import Yams

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
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch let error as YamlError {
            add(error)
            return nil
        } catch {
            add(nil, "", found: "\(error)", expected: "a YAML document")
            return nil
        }
        guard let root else {
            add(nil, "", found: "an empty file", expected: "a mapping with 'version: 1'")
            return nil
        }
        guard let mapping = mapping(root, "", keys: ["version"] + keys) else { return nil }
        switch mapping["version"] {
        case nil: add(root, "version", found: "nothing", expected: "1")
        case let node?:
            if node.int != 1 { add(node, "version", found: describe(node), expected: "1") }
        }
        return mapping
    }

    mutating func mapping(_ node: Node, _ field: String, keys: [String]?) -> YAMLMapping? {
        guard case .mapping(let pairs) = node else {
            add(node, field, found: describe(node), expected: "a mapping")
            return nil
        }
        var values: [String: Node] = [:]
        var order: [String] = []
        for (key, value) in pairs {
            guard let name = key.scalar?.string else {
                add(key, field, found: describe(key) + " as a key", expected: "a word")
                continue
            }
            if let keys, !keys.contains(name) {
                add(
                    key, join(field, name), found: "an unknown key", expected: "one of \(keys.joined(separator: ", "))",
                    nearest: nearestWord(to: name, among: keys))
                continue
            }
            values[name] = value
            order.append(name)
        }
        return YAMLMapping(node: node, field: field, values: values, order: order)
    }

    /// The string at `key`; a required one that is missing is a mistake.
    mutating func string(_ mapping: YAMLMapping, _ key: String, required: Bool = false) -> String? {
        guard let node = value(mapping, key, required ? "text" : nil) else { return nil }
        return string(node, join(mapping.field, key))
    }

    mutating func string(_ node: Node, _ field: String) -> String? {
        // `yes`, `1.10` and dates are text where text is wanted, as they were written; only an absent value is not.
        guard case .scalar(let scalar) = node, node.tag.description != Tag.Name.null.rawValue else {
            add(node, field, found: describe(node), expected: "text")
            return nil
        }
        guard !scalar.string.utf8.contains(0) else {
            add(node, field, found: "text with a NUL byte", expected: "text without")
            return nil
        }
        return scalar.string
    }

    mutating func integer(_ mapping: YAMLMapping, _ key: String, in range: ClosedRange<Int>) -> Int? {
        guard let node = mapping[key] else { return nil }
        guard let number = node.int, range.contains(number) else {
            add(
                node, join(mapping.field, key), found: describe(node),
                expected: "an integer from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return number
    }

    /// The list at `key`, or nothing. A missing required list is a mistake, and so is an empty one.
    mutating func list(_ mapping: YAMLMapping, _ key: String, of what: String, required: Bool = false) -> [Node] {
        guard let node = value(mapping, key, required ? "a list of \(what)" : nil) else { return [] }
        guard case .sequence(let items) = node else {
            add(node, join(mapping.field, key), found: describe(node), expected: "a list of \(what)")
            return []
        }
        if required && items.isEmpty {
            add(node, join(mapping.field, key), found: "an empty list", expected: "a list of \(what)")
        }
        return Array(items)
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

    private mutating func value(_ mapping: YAMLMapping, _ key: String, _ wanted: String?) -> Node? {
        if let node = mapping[key] { return node }
        if let wanted { add(mapping.node, join(mapping.field, key), found: "nothing", expected: wanted) }
        return nil
    }

    mutating func add(_ node: Node?, _ field: String, found: String, expected: String, nearest: String? = nil) {
        problems.append(
            Problem(
                line: node?.mark?.line, column: node?.mark?.column, field: field, found: found, expected: expected,
                nearest: nearest))
    }

    private mutating func add(_ error: YamlError) {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            problems.append(
                Problem(line: mark.line, column: mark.column, field: "", found: problem, expected: "YAML"))
        case .duplicatedKeysInMapping(let duplicates, let context):
            problems.append(
                Problem(
                    line: context.mark.line, column: context.mark.column, field: "",
                    found: "the key \(quoted(duplicates.joined(separator: ", "))) twice", expected: "each key once"))
        case .reader(let problem, let offset?, _, let text):
            // Without the text around it, which holds the characters that are not allowed.
            let line = text.utf8.prefix(offset).count { $0 == 10 } + 1
            problems.append(Problem(line: line, column: nil, field: "", found: problem, expected: "YAML in UTF-8"))
        default:
            add(nil, "", found: quoted("\(error)"), expected: "YAML in UTF-8")
        }
    }
}

/// A mapping whose keys are checked, with its place in the file.
struct YAMLMapping {
    let node: Node
    let field: String
    let values: [String: Node]
    let order: [String]

    subscript(key: String) -> Node? { values[key] }
}

func join(_ field: String, _ key: String) -> String { field.isEmpty ? key : "\(field).\(key)" }

/// What a node is, for the `found` of a message.
func describe(_ node: Node) -> String {
    switch node {
    case .scalar(let scalar): scalar.string.isEmpty ? "an empty value" : quoted(scalar.string)
    case .mapping: "a mapping"
    case .sequence: "a list"
    case .alias: "an alias"
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
