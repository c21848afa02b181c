// Values -> typed fields. Every reader takes a value, says at once what was wrong with it, and lets the reading go on, so
// that one pass finds all mistakes of a file.

/// The mistakes found so far in one file. Lives within one call of a parser.
public final class Findings {
    public let file: String
    public private(set) var errors: [Mistake] = []

    public init(file: String) { self.file = file }

    public func add(_ message: String, line: Int?, path: String) {
        // One more than is ever shown is enough to know that there are more.
        guard errors.count < 10_000 else { return }
        errors.append(Mistake(file: file, line: line, path: path, message))
    }

    /// `suggestion`, for as long as it will be shown: a megabyte of unknown names is not compared with every known one.
    public func hint(for name: String, among candidates: [String]) -> String {
        errors.count < Mistakes.maximumPerFile ? suggestion(for: name, among: candidates) : ""
    }

    public func add(_ message: String, line: Int? = nil) { add(message, line: line, path: "") }
}

/// A value at its place in a file.
public struct Field {
    public var value: Value
    public var path: String
    public var findings: Findings

    public init(value: Value, path: String, findings: Findings) {
        self.value = value
        self.path = path
        self.findings = findings
    }

    public var line: Int { value.line }

    public func wrong(_ message: String) { findings.add(message, line: line, path: path) }

    /// Reports what is there instead of what should be.
    public func expected(_ what: String) { wrong("found \(found), expected \(what)") }

    public var found: String {
        switch value.kind {
        case .scalar where value.isNull: "nothing"
        case .scalar(let text, plain: _): quoted(text)
        case .list: "a list"
        case .map: "a mapping"
        }
    }

    /// Text of at most `maximum` bytes without control characters other than newline and tab.
    public func text(maximum: Int = 4096, _ what: String = "text") -> String? {
        guard case .scalar(let text, plain: _) = value.kind, !value.isNull else {
            expected(what)
            return nil
        }
        guard text.utf8.count <= maximum else {
            wrong("found \(text.utf8.count) bytes, expected at most \(maximum)")
            return nil
        }
        guard !text.unicodeScalars.contains(where: { ($0.value < 32 && $0 != "\n" && $0 != "\t") || $0.value == 127 })
        else {
            expected("\(what) without control characters")
            return nil
        }
        return text
    }

    /// A name of lower-case letters, digits, `_` and `-` that starts with a letter.
    public func name(_ what: String) -> String? {
        guard let text = text(what) else { return nil }
        guard isName(text) else {
            expected("\(what): 1 to 64 lower-case letters, digits, \"_\" and \"-\", a letter first")
            return nil
        }
        return text
    }

    public func word<W: RawRepresentable & CaseIterable>(_: W.Type) -> W? where W.RawValue == String {
        let words = W.allCases.map(\.rawValue)
        guard case .scalar(let text, plain: _) = value.kind, let word = W(rawValue: text) else {
            var hint = ""
            if case .scalar(let text, plain: _) = value.kind { hint = findings.hint(for: text, among: words) }
            wrong("found \(found), expected \(words.count > 1 ? "one of " : "")\(words.joined(separator: ", "))\(hint)")
            return nil
        }
        return word
    }

    public func bool() -> Bool? {
        if case .scalar("true", plain: true) = value.kind { return true }
        if case .scalar("false", plain: true) = value.kind { return false }
        expected("true or false")
        return nil
    }

    /// A whole number, decimal or hexadecimal (`0x…`), not quoted.
    public func number(in range: ClosedRange<UInt64>) -> UInt64? {
        guard case .scalar(let text, plain: true) = value.kind, let number = parseNumber(text), range.contains(number)
        else {
            expected("a whole number from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return number
    }

    public func list(maximum: Int = 10_000, _ what: String = "a list") -> [Field]? {
        guard case .list(let values) = value.kind else {
            expected(what)
            return nil
        }
        guard values.count <= maximum else {
            wrong("found \(values.count) elements, expected at most \(maximum)")
            return nil
        }
        return values.enumerated().map { Field(value: $1, path: "\(path)[\($0)]", findings: findings) }
    }

    /// The fields of a mapping whose keys are all among `known`; the others are reported.
    public func map(known: [String]) -> [String: Field]? {
        guard let entries = entries() else { return nil }
        var result: [String: Field] = [:]
        for (key, line, field) in entries {
            guard known.contains(key) else {
                let hint = findings.hint(for: key, among: known)
                findings.add(
                    "unknown key \(quoted(key))" + (hint.isEmpty ? ", expected one of \(known.joined(separator: ", "))" : hint),
                    line: line, path: field.path)
                continue
            }
            result[key] = field
        }
        return result
    }

    /// Every entry of a mapping with free keys, in order.
    public func entries(_ what: String = "a mapping") -> [(key: String, line: Int, field: Field)]? {
        guard case .map(let entries) = value.kind else {
            expected(what)
            return nil
        }
        return entries.map { entry in
            (entry.key, entry.line,
                Field(value: entry.value, path: Document.joined(path, entry.key), findings: findings))
        }
    }
}

public func isName(_ text: String) -> Bool {
    guard let first = text.utf8.first, first >= UInt8(ascii: "a"), first <= UInt8(ascii: "z"), text.utf8.count <= 64
    else { return false }
    return text.utf8.allSatisfy {
        ($0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "z")) || ($0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9"))
            || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-")
    }
}

public func parseNumber(_ text: String) -> UInt64? {
    guard let first = text.utf8.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "-") else { return nil }
    guard text.hasPrefix("0x") else { return UInt64(text) }
    let digits = text.dropFirst(2)
    return digits.first == "+" || digits.first == "-" ? nil : UInt64(digits, radix: 16)
}
