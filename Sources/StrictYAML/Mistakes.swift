// What is wrong with a file that people write (a policy, a configuration), in one shape for every kind of mistake.
// Nothing that was read goes on to its next stop while there is one of these.

/// One mistake in one file.
public struct Mistake: Error, Sendable, Equatable, Hashable, CustomStringConvertible {
    /// The file as it was named to the reader.
    public var file: String
    /// From 1; `nil` when the mistake is not at a place in the file (a missing directory, a cycle).
    public var line: Int?
    /// The key's path from the top of the document: `seccomp.syscalls[3].names[0]`. Empty for the document itself.
    public var path: String
    /// What was found, what was expected.
    public var message: String

    public init(file: String, line: Int? = nil, path: String = "", _ message: String) {
        self.file = file
        self.line = line
        self.path = path
        self.message = message
    }

    /// `policies/a.yaml:12: limits.memory_bytes: found "x", expected …`
    public var description: String {
        let place = line.map { "\(file):\($0)" } ?? file
        return path.isEmpty ? "\(place): \(message)" : "\(place): \(path): \(message)"
    }
}

/// Everything that is wrong, in the order of files and lines; never empty.
public struct Mistakes: Error, Sendable, Equatable, CustomStringConvertible {
    /// A file with more mistakes than this has the rest counted, not listed.
    public static let maximumPerFile = 50

    public var errors: [Mistake]

    /// Sorts, removes repetitions and cuts each file's list to `maximumPerFile`.
    public init(_ errors: [Mistake]) {
        var kept: [Mistake] = []
        var perFile: [String: Int] = [:]
        var seen: Set<Mistake> = []
        let sorted = errors.enumerated().sorted { a, b in
            (a.element.file, a.element.line ?? 0, a.offset) < (b.element.file, b.element.line ?? 0, b.offset)
        }
        for (_, error) in sorted where seen.insert(error).inserted {
            perFile[error.file, default: 0] += 1
            if perFile[error.file, default: 0] <= Self.maximumPerFile { kept.append(error) }
        }
        for (file, count) in perFile.sorted(by: { $0.key < $1.key }) where count > Self.maximumPerFile {
            kept.append(Mistake(file: file, "\(count - Self.maximumPerFile) further errors are not listed"))
        }
        self.errors = kept
    }

    public init(_ error: Mistake) { self.init([error]) }

    public var description: String { errors.map(\.description).joined(separator: "\n") }
}
