// Languages as data: how a source text becomes a file, a compile command and a run command. Read from
// `images/languages.yaml`; adding a language changes no code.

import Foundation
import SandboxCore
import StrictYAML

/// One language.
public struct Language: Sendable, Equatable {
    public var name: String
    public var aliases: [String]
    /// Of source files, without the dot.
    public var extensions: [String]
    /// What the source text is called in `/workspace`.
    public var file: String
    public var compile: [String]?
    /// What the compile step leaves for the run step: paths or patterns below `/tmp`, or relative to `/workspace`.
    public var output: [String]
    public var run: [String]
    /// A program that is there where the language is; where it has arguments, it must also succeed with them.
    public var check: [String]
    public var environment: [String: String]
    /// What its tools need where a policy's defaults are too small.
    public var limits: Limits

    public init(
        name: String, aliases: [String] = [], extensions: [String], file: String, compile: [String]? = nil,
        output: [String] = [], run: [String], check: [String], environment: [String: String] = [:], limits: Limits = Limits()
    ) {
        self.name = name
        self.aliases = aliases
        self.extensions = extensions
        self.file = file
        self.compile = compile
        self.output = output
        self.run = run
        self.check = check
        self.environment = environment
        self.limits = limits
    }

    /// The compile step's argv, if there is one. `file` stands for `{file}`; the table's own name if not given.
    public func compileCommand(file: String? = nil) -> [String]? {
        compile.map { Self.fill($0, file: file ?? self.file, arguments: []) }
    }

    /// The run step's argv. The program's arguments take the place of `{args}`, or follow where there is none.
    public func runCommand(file: String? = nil, arguments: [String] = []) -> [String] {
        let command = Self.fill(run, file: file ?? self.file, arguments: arguments)
        return run.contains("{args}") ? command : command + arguments
    }

    private static func fill(_ argv: [String], file: String, arguments: [String]) -> [String] {
        argv.flatMap { $0 == "{args}" ? arguments : [$0.replacingOccurrences(of: "{file}", with: file)] }
    }
}

/// All languages of a farm.
public struct LanguageTable: Sendable, Equatable {
    /// In the file's order.
    public let languages: [Language]

    /// By name or alias, case aside.
    public func find(_ word: String) -> Language? {
        let word = word.lowercased()
        return languages.first { $0.name == word } ?? languages.first { $0.aliases.contains(word) }
    }

    /// By a file's name: `solution.py`.
    public func forFile(_ path: String) -> Language? {
        let name = (path as NSString).lastPathComponent
        guard let dot = name.lastIndex(of: ".") else { return nil }
        let ending = String(name[name.index(after: dot)...])
        return languages.first { $0.extensions.contains(ending) }
            ?? languages.first { $0.extensions.contains(ending.lowercased()) }
    }

    /// The name nearest to a word that is none, for messages.
    public func nearest(to word: String) -> String? {
        nearestName(to: word, among: languages.flatMap { [$0.name] + $0.aliases })
    }

    /// Reads and checks a table.
    /// - Throws: `DefinitionError` with every mistake of the file; `ImageError` if it cannot be read.
    public static func load(_ path: String) throws -> LanguageTable {
        let bytes = try Files.read(path, limit: YAMLReader.maxFileBytes)
        return try parse(String(decoding: bytes, as: UTF8.self), file: path)
    }

    public static func parse(_ text: String, file: String) throws(DefinitionError) -> LanguageTable {
        var reader = LanguageReader(yaml: YAMLReader(file: file))
        let languages = reader.read(text)
        guard reader.yaml.problems.isEmpty else { throw DefinitionError(file: file, problems: reader.yaml.problems) }
        return LanguageTable(languages: languages)
    }
}

private struct LanguageReader {
    static let keys = ["name", "aliases", "extensions", "file", "compile", "output", "run", "check", "environment", "limits"]

    var yaml: YAMLReader
    /// Where each name, alias and extension was first seen.
    private var owners: [String: String] = [:]

    init(yaml: YAMLReader) { self.yaml = yaml }

    mutating func read(_ text: String) -> [Language] {
        guard let document = yaml.document(text, keys: ["languages"]) else { return [] }
        return yaml.list(document, "languages", of: "languages", required: true).enumerated()
            .compactMap { index, node in
                yaml.mapping(node, "languages[\(index)]", keys: Self.keys).map { language($0) }
            }
    }

    private mutating func language(_ entry: YAMLMapping) -> Language {
        let name = yaml.string(entry, "name", required: true) ?? ""
        let word = "a word of a-z, 0-9, '+', '#', '.', '_', '-'"
        if entry["name"] != nil { check(entry, "name", name, isLanguageWord(name), word) }
        let aliases = yaml.strings(entry, "aliases", of: "words", valid: isLanguageWord, expected: word)
        for alias in [name] + aliases { claim(alias, kind: "name", entry) }
        let extensions = yaml.strings(
            entry, "extensions", of: "file name endings", required: true, valid: isExtension,
            expected: "an ending without the dot, such as 'py'")
        for ending in extensions { claim(ending, kind: "extension", entry) }
        let file = yaml.string(entry, "file", required: true) ?? ""
        if entry["file"] != nil {
            check(entry, "file", file, isRelativePath(file) && !file.contains("/"), "a file name, without '/'")
        }
        let run = command(entry, "run", required: true)
        let compile = entry["compile"] == nil ? nil : command(entry, "compile", required: true)
        if !run.isEmpty, compile == nil, !run.contains(where: { $0.contains("{file}") }) {
            yaml.add(entry["run"], "\(entry.field).run", found: "no {file}", expected: "{file} in run, or a compile step")
        }
        return Language(
            name: name, aliases: aliases, extensions: extensions, file: file, compile: compile,
            output: output(entry, compiles: compile != nil), run: run,
            check: program(entry), environment: yaml.environment(entry, "environment"), limits: limits(entry))
    }

    private mutating func command(_ entry: YAMLMapping, _ key: String, required: Bool) -> [String] {
        let argv = yaml.strings(entry, key, of: "the command and its arguments", required: required)
        for (index, argument) in argv.enumerated() {
            if key == "run", argument == "{args}" { continue }
            if let found = placeholders(argument).first(where: { $0 != "{file}" }) {
                yaml.add(
                    entry[key], "\(entry.field).\(key)[\(index)]", found: quoted(found),
                    expected: key != "run" ? "{file}" : "{file}, or {args} as an argument of its own")
            }
        }
        if argv.first?.isEmpty == true {
            yaml.add(entry[key], "\(entry.field).\(key)[0]", found: "an empty text", expected: "a program")
        }
        return argv
    }

    private mutating func output(_ entry: YAMLMapping, compiles: Bool) -> [String] {
        guard entry["output"] != nil else { return [] }
        if !compiles { yaml.add(entry["output"], "\(entry.field).output", found: "no compile step", expected: "compile, or no output") }
        return yaml.strings(
            entry, "output", of: "what the compile step leaves", required: true,
            valid: { isRelativePath($0.hasPrefix("/tmp/") ? String($0.dropFirst(5)) : $0) },
            expected: "a path or pattern below /tmp, or relative to /workspace, without '..'")
    }

    private mutating func program(_ entry: YAMLMapping) -> [String] {
        if case .list? = entry["check"]?.kind { return command(entry, "check", required: true) }
        guard let program = yaml.string(entry, "check", required: true) else { return [] }
        check(entry, "check", program, !program.isEmpty && !program.contains(" "), "the name of a program, or a list")
        return [program]
    }

    private mutating func limits(_ entry: YAMLMapping) -> Limits {
        var limits = Limits()
        guard let node = entry["limits"],
            let values = yaml.mapping(node, "\(entry.field).limits", keys: LimitField.all.map(\.key))
        else { return limits }
        for field in LimitField.all {
            if let value = yaml.integer(values, field.key, in: field.range) { limits[field] = value }
        }
        return limits
    }

    private mutating func claim(_ word: String, kind: String, _ entry: YAMLMapping) {
        guard !word.isEmpty else { return }
        let owner = owners["\(kind) \(word)"]
        if let owner {
            yaml.add(entry.node, entry.field, found: "the \(kind) \(quoted(word)), which \(owner) has", expected: "each once")
        } else {
            owners["\(kind) \(word)"] = entry.field
        }
    }

    private mutating func check(_ entry: YAMLMapping, _ key: String, _ found: String, _ valid: Bool, _ expected: String) {
        if !valid { yaml.add(entry[key], "\(entry.field).\(key)", found: quoted(found), expected: expected) }
    }
}

// Regular expressions are put together anew in each process, which takes longer than all the rest of this file's work.

private func isLanguageWord(_ text: String) -> Bool {
    guard (1...32).contains(text.utf8.count), let first = text.utf8.first, isLowercase(first) || isDigit(first) else { return false }
    return text.utf8.allSatisfy { isLowercase($0) || isDigit($0) || "+#._-".utf8.contains($0) }
}

private func isExtension(_ text: String) -> Bool {
    (1...16).contains(text.utf8.count)
        && text.utf8.allSatisfy { isLowercase($0) || isLowercase($0 | 0x20) || isDigit($0) || $0 == UInt8(ascii: "+") }
}

/// What looks like a placeholder of ours, `{word}`; other braces are common in code given to interpreters.
private func placeholders(_ argument: String) -> [String] {
    argument.split(separator: "{", omittingEmptySubsequences: false).dropFirst().compactMap { rest in
        guard let end = rest.firstIndex(of: "}") else { return nil }
        let word = rest[..<end]
        guard !word.isEmpty, word.utf8.allSatisfy({ isLowercase($0) || $0 == UInt8(ascii: "_") }) else { return nil }
        return "{\(word)}"
    }
}

private func isLowercase(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }
private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
