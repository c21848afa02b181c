// How this room says that something is wrong. Definitions and language tables are written by people, so all mistakes of
// a file are reported at once, each with its place; archives and stores fail at the first thing that is not as it must be.

import SandboxCore
import StrictYAML

/// One mistake in a definition file.
public struct Problem: Sendable, Equatable, CustomStringConvertible {
    /// Counted from 1; `nil` when the whole file is meant.
    public var line: Int?
    public var column: Int?
    /// The path of the value at fault: `files[2].path`. Empty for the document itself.
    public var field: String
    public var found: String
    public var expected: String
    /// The known word nearest to what was written, where there is one.
    public var nearest: String?

    public init(
        line: Int?, column: Int?, field: String, found: String, expected: String, nearest: String? = nil
    ) {
        self.line = line
        self.column = column
        self.field = field
        self.found = found
        self.expected = expected
        self.nearest = nearest
    }

    public var description: String {
        var text = line.map { "\($0):\(column ?? 1): " } ?? ""
        if !field.isEmpty { text += "\(field): " }
        text += "found \(found), expected \(expected)"
        if let nearest { text += " (did you mean '\(nearest)'?)" }
        return text
    }
}

/// All mistakes of one definition file.
public struct DefinitionError: Error, Sendable, Equatable, CustomStringConvertible {
    public var file: String
    public var problems: [Problem]

    public init(file: String, problems: [Problem]) {
        self.file = file
        self.problems = problems
    }

    public var description: String { problems.map { "\(file):\($0.line == nil ? " " : "")\($0)" }.joined(separator: "\n") }
}

/// Why the store, an import, a build or an export could not go on.
public enum ImageError: Error, Sendable, Equatable, CustomStringConvertible {
    case unknownImage(name: String, known: [String])
    /// A name that is no image name, or one that is taken by the farm itself (`host`).
    case badName(String, expected: String)
    /// An archive or a file of the store that is not what it should be. `item` is the member, blob or field.
    case malformed(item: String, found: String, expected: String)
    /// An archive member that was refused because it reaches outside its image.
    case hostile(item: String, reason: String)
    /// Something larger, deeper or longer than this room accepts.
    case tooLarge(item: String, found: String, limit: String)
    /// Content whose SHA-256 is not the one it is named by.
    case digestMismatch(item: String, found: String, expected: String)
    /// A program this needs that is not installed, and how to get it.
    case toolMissing(tool: String, hint: String)
    /// A program that failed, with the end of what it said.
    case toolFailed(tool: String, status: String, output: String)
    /// A system call that failed.
    case system(operation: String, path: String, errno: Int32)

    public var description: String {
        switch self {
        case .unknownImage(let name, let known):
            let nearest = nearestName(to: name, among: known).map { "; did you mean '\($0)'?" } ?? ""
            return "unknown image '\(name)': known are \(known.joined(separator: ", "))\(nearest)"
        case .badName(let name, let expected):
            return "image name: found \(quoted(name)), expected \(expected)"
        case .malformed(let item, let found, let expected):
            return "\(item): found \(found), expected \(expected)"
        case .hostile(let item, let reason):
            return "\(item): refused, \(reason)"
        case .tooLarge(let item, let found, let limit):
            return "\(item): found \(found), expected at most \(limit)"
        case .digestMismatch(let item, let found, let expected):
            return "\(item): found digest sha256:\(found), expected sha256:\(expected)"
        case .toolMissing(let tool, let hint):
            return "\(tool) is not installed: \(hint)"
        case .toolFailed(let tool, let status, let output):
            return "\(tool) \(status)" + (output.isEmpty ? "" : ":\n\(output)")
        case .system(let operation, let path, let code):
            return "\(operation) \(quoted(path)): \(errnoText(code))"
        }
    }
}

/// Text from outside, made fit for one line of a message: bounded, control characters escaped.
func quoted(_ text: String) -> String { quoted(text, limit: 120) }

func quoted(_ text: String, limit: Int) -> String {
    var out = "'"
    var length = 0
    for scalar in text.unicodeScalars {
        if length >= limit { return out + "…'" }
        length += 1
        if scalar.value < 0x20 || scalar.value == 0x7f {
            out += scalar.escaped(asASCII: true)
        } else {
            out.unicodeScalars.append(scalar)
        }
    }
    return out + "'"
}
