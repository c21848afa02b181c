// What one line of a TAP stream says, by itself. How lines make a whole is TAP.swift's.

import SandboxCore

/// A test point, and what its subtest left.
struct TAPPoint {
    /// Empty for a point without a description, until its place gives it one.
    var name: String
    var test: TestCase
    var isSuite = false
    var children: [TestCase] = []
}

enum TAPLine {
    /// Whether a line begins like one that says something: most of a long output does not, and need not be decoded.
    static func mayMean(_ line: ArraySlice<UInt8>) -> Bool {
        let body = line.drop { $0 == 0x20 }
        switch body.first {
        case UInt8(ascii: "o"): return body.starts(with: "ok".utf8)
        case UInt8(ascii: "n"): return body.starts(with: "not ok".utf8)
        case UInt8(ascii: "1"): return body.starts(with: "1..".utf8)
        case UInt8(ascii: "B"): return body.starts(with: "Bail out!".utf8)
        case UInt8(ascii: "-"): return body.elementsEqual("---".utf8)
        default: return false
        }
    }

    /// Whether a line ends like `prove`'s word on the file whose stream follows.
    static func mayBeProveHeader(_ line: ArraySlice<UInt8>) -> Bool {
        guard line.count <= TAP.maxName, let last = line.lastIndex(where: { $0 != 0x20 }) else { return false }
        return line[...last].suffix(2).elementsEqual("..".utf8)
    }

    /// `1..N`, alone or with a comment: N.
    static func plan(_ body: Substring) -> Int? {
        guard body.hasPrefix("1..") else { return nil }
        let digits = body.dropFirst(3).prefix { $0.isASCII && $0.isNumber }
        let rest = body.dropFirst(3 + digits.count).drop { $0 == " " }
        guard !digits.isEmpty, rest.isEmpty || rest.hasPrefix("#") else { return nil }
        return Int(digits) ?? Int.max
    }

    /// `ok` or `not ok`, with a number, a description and a directive where they are given.
    static func point(_ body: Substring) -> (point: TAPPoint, number: Int?)? {
        var rest = body
        let bad = rest.hasPrefix("not ok")
        guard bad || rest.hasPrefix("ok") else { return nil }
        rest = rest.dropFirst(bad ? 6 : 2)
        guard rest.isEmpty || rest.first == " " else { return nil }
        rest = rest.drop { $0 == " " }
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        rest = rest.dropFirst(digits.count).drop { $0 == " " }
        if rest == "-" { rest = "" } else if rest.hasPrefix("- ") { rest = rest.dropFirst(2) }
        let (description, directive) = split(rest)
        let word = directive.prefix { $0.isLetter }.lowercased()
        var reason = String(directive.drop { $0.isLetter }).trimmed
        var outcome: TestOutcome = bad ? .failed : .passed
        if word.hasPrefix("skip") {
            outcome = .skipped
        } else if word == "todo" {
            outcome = bad ? .xfailed : .xpassed
        } else {
            reason = ""
        }
        let name = String(description.unicodeScalars.prefix(TAP.maxName))
        return (
            TAPPoint(name: name, test: TestCase(id: name, outcome: outcome, message: bounded(reason, TAP.maxMessage))),
            digits.isEmpty ? nil : Int(digits) ?? Int.max)
    }

    /// A description, with `\#` and `\\` read, and what follows an unescaped `#`.
    private static func split(_ text: Substring) -> (String, String) {
        guard text.utf8.contains(where: { $0 == UInt8(ascii: "#") || $0 == UInt8(ascii: "\\") }) else { return (String(text).trimmed, "") }
        var description = ""
        var escaped = false
        for index in text.indices {
            let character = text[index]
            if escaped {
                if character != "#" && character != "\\" { description.append("\\") }
                description.append(character)
                escaped = false
            } else if character == "\\" {
                escaped = true
            } else if character == "#" {
                let directive = String(text[text.index(after: index)...]).trimmed
                let word = directive.prefix { $0.isLetter }.lowercased()
                if word.hasPrefix("skip") || word == "todo" { return (description.trimmed, directive) }
                description.append(character)
            } else {
                description.append(character)
            }
        }
        if escaped { description.append("\\") }
        return (description.trimmed, "")
    }

    /// `t/basic.t ..` and as many more dots as line the names up.
    static func proveHeader(_ line: String) -> String? {
        guard line.utf8.count <= TAP.maxName else { return nil }
        let text = line.trimmed
        let dots = text.reversed().prefix { $0 == "." }.count
        let name = text.dropLast(dots)
        guard dots >= 2, name.last == " ", let first = name.first, first != "#", first != " " else { return nil }
        return String(name).trimmed
    }
}
