// How this room says that something is wrong. Definitions and language tables are written by people, so all mistakes of
// a file are reported at once, each with its place; archives and stores fail at the first thing that is not as it must be.

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

    public var description: String { problems.map { "\(file):\($0)" }.joined(separator: "\n") }
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
            let nearest = nearestWord(to: name, among: known).map { "; did you mean '\($0)'?" } ?? ""
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
func quoted(_ text: String, limit: Int = 120) -> String {
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

/// The word of `words` that is within a third of `word`'s length of typing mistakes, if any.
func nearestWord(to word: String, among words: [String]) -> String? {
    guard word.count <= 64 else { return nil }
    let bound = max(1, word.count / 3)
    let scored = words.map { (editDistance(Array(word.lowercased()), Array($0.lowercased())), $0) }
    return scored.filter { $0.0 <= bound }.min { $0.0 < $1.0 }?.1
}

/// Insertions, deletions, substitutions and swaps of neighbours that make one word the other.
private func editDistance(_ a: [Character], _ b: [Character]) -> Int {
    var rows = [[Int]](repeating: [Int](repeating: 0, count: b.count + 1), count: a.count + 1)
    for i in 0...a.count { rows[i][0] = i }
    for j in 0...b.count { rows[0][j] = j }
    for i in a.indices {
        for j in b.indices {
            var best = min(rows[i][j + 1], rows[i + 1][j]) + 1
            best = min(best, rows[i][j] + (a[i] == b[j] ? 0 : 1))
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, rows[i - 1][j - 1] + 1) }
            rows[i + 1][j + 1] = best
        }
    }
    return rows[a.count][b.count]
}
