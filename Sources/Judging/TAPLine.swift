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
