// Bytes from outside -> a small tree of values with their lines. What makes YAML dangerous ends here: size, depth, aliases
// (and with them "billion laughs"), duplicate keys, several documents, bytes that are not UTF-8. JSON is read the same
// way, being YAML to the letter where a seccomp profile is concerned. The next stop is `Field`.

import Yams

/// One value of a document.
public struct Value {
    public indirect enum Kind {
        /// `plain` is false for quoted text, which is never a number, a boolean or null.
        case scalar(String, plain: Bool)
        case list([Value])
        case map([Entry])
    }

    public struct Entry {
        public var key: String
        /// Where the key stands, from 1.
        public var line: Int
        public var column: Int
        public var value: Value
    }

    public var kind: Kind
    /// Where it begins, from 1.
    public var line: Int
    public var column: Int

    public var isNull: Bool {
        if case .scalar(let text, plain: true) = kind { return ["", "~", "null"].contains(text) }
        return false
    }
}

public enum Document {
    public static let maximumBytes = 1 << 20
    public static let maximumDepth = 16
    /// Above these the file is not even composed: what an alias or a collection as a key can cost grows exponentially.
    private static let maximumSuspects = 16

    /// The document's value, or `nil` with the reasons in `findings`.
    public static func read(_ bytes: [UInt8], findings: Findings) -> Value? {
        guard bytes.count <= maximumBytes else {
            return findings.refuse("found \(bytes.count) bytes, expected at most \(maximumBytes)")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            return findings.refuse("found bytes that are not UTF-8, expected UTF-8 text")
        }
        if let nul = bytes.firstIndex(of: 0) {
            return findings.refuse("found a NUL byte, expected text", line: line(of: nul, in: bytes))
        }
        let suspects = countSuspects(bytes)
        guard suspects.anchors == 0 || suspects.aliases <= maximumSuspects else {
            return findings.refuse("found \(suspects.aliases) YAML aliases, expected none: write the values out")
        }
        guard suspects.explicitKeys <= maximumSuspects else {
            return findings.refuse("found \(suspects.explicitKeys) explicit keys (\"? \"), expected plain keys")
        }
        do {
            let parser = try Parser(yaml: text, resolver: .basic, encoding: .utf8)
            // Nodes refer weakly to their anchors: the parser has to live until the tree is checked.
            return try withExtendedLifetime(parser) {
                guard let root = try parser.singleRoot() else {
                    return findings.refuse("found an empty file, expected a mapping")
                }
                return convert(root, depth: 0, path: "", findings: findings)
            }
        } catch YamlError.reader(let problem, let offset?, _, _) {
            return findings.refuse("not YAML: \(problem) at byte \(offset)", line: line(of: min(Int(offset), bytes.count), in: bytes))
        } catch let error as YamlError {
            return findings.refuse(error)
        } catch {
            return findings.refuse("cannot be read as YAML: \(error)")
        }
    }

    private static func line(of offset: Int, in bytes: [UInt8]) -> Int { bytes[..<offset].count { $0 == UInt8(ascii: "\n") } + 1 }

    /// Counts what may be an anchor, an alias or an explicit key. It may count too many (in prose), never too few.
    private static func countSuspects(_ bytes: [UInt8]) -> (anchors: Int, aliases: Int, explicitKeys: Int) {
        var result = (anchors: 0, aliases: 0, explicitKeys: 0)
        for (index, byte) in bytes.enumerated() {
            let previous = index > 0 ? bytes[index - 1] : UInt8(ascii: "\n")
            let next = index + 1 < bytes.count ? bytes[index + 1] : UInt8(ascii: "\n")
            switch byte {
            case UInt8(ascii: "&") where mayEndToken(previous) && !isBlank(next) && next != byte: result.anchors += 1
            case UInt8(ascii: "*") where mayEndToken(previous) && !isBlank(next) && next != byte: result.aliases += 1
            // In flow style a key needs no blank after its question mark.
            case UInt8(ascii: "?") where isBlank(next) ? !isWordByte(previous) : "[{,:?".utf8.contains(previous):
                result.explicitKeys += 1
            default: break
            }
        }
        return result
    }

    /// Whether a new token may begin right after this byte. In `f(&x)` and `2*y` none does.
    private static func mayEndToken(_ byte: UInt8) -> Bool { isBlank(byte) || byte >= 0x80 || "[]{},:?\"'".utf8.contains(byte) }

    private static func isBlank(_ byte: UInt8) -> Bool { byte <= 0x20 }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        byte >= 0x80 || (byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z"))
    }

    private static func convert(_ node: Node, depth: Int, path: String, findings: Findings) -> Value? {
        let line = node.mark?.line ?? 1
        let column = node.mark?.column ?? 1
        guard depth <= maximumDepth else {
            return findings.refuse("nested deeper than \(maximumDepth) levels", line: line)
        }
        guard node.anchor == nil else {
            return findings.refuse("found a YAML anchor, expected none: write the value out", line: line, path: path)
        }
        switch node {
        case .scalar(let scalar):
            return Value(kind: .scalar(scalar.string, plain: scalar.style == .plain), line: line, column: column)
        case .sequence(let sequence):
            var values: [Value] = []
            for (index, element) in sequence.enumerated() {
                guard let value = convert(element, depth: depth + 1, path: "\(path)[\(index)]", findings: findings)
                else { return nil }
                values.append(value)
            }
            return Value(kind: .list(values), line: line, column: column)
        case .mapping(let mapping):
            var entries: [Value.Entry] = []
            for (key, element) in mapping {
                guard case .scalar(let name) = key, key.anchor == nil else {
                    return findings.refuse(
                        "found a list or a mapping as a key, expected a name", line: key.mark?.line ?? line, path: path)
                }
                let inner = joined(path, name.string)
                guard let value = convert(element, depth: depth + 1, path: inner, findings: findings) else { return nil }
                entries.append(
                    .init(key: name.string, line: key.mark?.line ?? line, column: key.mark?.column ?? column, value: value))
            }
            return Value(kind: .map(entries), line: line, column: column)
        case .alias:
            return findings.refuse("found a YAML alias, expected none: write the value out", line: line, path: path)
        }
    }

    /// `a` and `b` make `a.b`; a key that is not a plain word is quoted.
    public static func joined(_ path: String, _ key: String) -> String {
        let plain = !key.isEmpty && key.utf8.allSatisfy { byte in
            isWordByte(byte) && byte < 0x80 || byte == UInt8(ascii: "_") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
        let word = plain ? key : quoted(key)
        return path.isEmpty ? word : "\(path).\(word)"
    }
}

extension Findings {
    fileprivate func refuse(_ message: String, line: Int? = nil, path: String = "") -> Value? {
        add(message, line: line, path: path)
        return nil
    }

    fileprivate func refuse(_ error: YamlError) -> Value? {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            add("not YAML: \(problem) at column \(mark.column)", line: mark.line)
        case .duplicatedKeysInMapping(let keys, let context):
            for key in keys {
                add("the key \(quoted(key)) is there more than once in the mapping of this line", line: context.mark.line)
            }
        case .reader(let problem, _, _, _):
            add("not YAML: \(problem)")
        default:
            add("cannot be read as YAML")
        }
        return nil
    }
}
