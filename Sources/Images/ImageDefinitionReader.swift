// From the text of an `image.yaml` to a checked `ImageDefinition`, or to the list of everything that is wrong with it.

import Foundation
import StrictYAML

extension ImageDefinition {
    /// - Parameters:
    ///   - file: what messages call the file.
    ///   - folder: where `source:` files lie.
    /// - Throws: `DefinitionError`.
    public static func parse(_ text: String, file: String, folder: String) throws(DefinitionError) -> ImageDefinition {
        var reader = DefinitionReader(yaml: YAMLReader(file: file), folder: folder)
        let definition = reader.read(text)
        guard let definition, reader.yaml.problems.isEmpty else {
            throw DefinitionError(file: file, problems: reader.yaml.problems)
        }
        return definition
    }
}

extension ImageDefinition {
    /// The templates of `host`, which is no definition to build: `images/host/templates.yaml`. None where there is no such file.
    public static func hostTemplates(in directory: String) throws -> [Template] {
        let file = "\(directory)/\(HostImage.name)/templates.yaml"
        guard Files.exists(file) else { return [] }
        let text = String(decoding: try Files.read(file, limit: YAMLReader.maxFileBytes), as: UTF8.self)
        var reader = DefinitionReader(yaml: YAMLReader(file: file), folder: directory)
        let templates = reader.readTemplates(alone: text)
        guard reader.yaml.problems.isEmpty else { throw DefinitionError(file: file, problems: reader.yaml.problems) }
        return templates
    }
}

private struct DefinitionReader {
    static let keys = [
        "name", "description", "suite", "mirror", "packages", "pip", "files", "environment", "templates",
    ]
    static let maxFileBytes = 16 << 20

    var yaml: YAMLReader
    let folder: String

    mutating func read(_ text: String) -> ImageDefinition? {
        guard let document = yaml.document(text, keys: Self.keys) else { return nil }
        var definition = ImageDefinition(name: "", suite: "")
        if let name = yaml.string(document, "name", required: true) {
            check(document["name"], "name", name, isImageName(name) && name != HostImage.name, imageNameRule)
            definition.name = name
        }
        definition.description = yaml.string(document, "description", required: true) ?? ""
        if let suite = yaml.string(document, "suite", required: true) {
            check(document["suite"], "suite", suite, isSuite(suite), "a Debian suite such as 'bookworm'")
            definition.suite = suite
        }
        if let mirror = yaml.string(document, "mirror") {
            check(
                document["mirror"], "mirror", mirror, isMirror(mirror),
                "an http:// or https:// address without user name, password and spaces")
            definition.mirror = mirror
        }
        definition.packages = yaml.strings(
            document, "packages", of: "Debian packages", valid: isDebianPackage,
            expected: "a Debian package: name, name:arch or name=version, in lower case")
        definition.pip = yaml.strings(
            document, "pip", of: "pip requirements", valid: isPipRequirement,
            expected: "a requirement such as 'numpy' or 'numpy==2.1.0', no address and no option")
        if !definition.pip.isEmpty && !definition.packages.contains(where: { $0.split(whereSeparator: { "=:".contains($0) }).first == "python3" }) {
            yaml.add(document["pip"], "pip", found: "requirements without Python", expected: "'python3' in packages")
        }
        definition.environment = yaml.environment(document, "environment")
        readFiles(document, into: &definition)
        readTemplates(document, into: &definition)
        return definition
    }

    private mutating func readFiles(_ document: YAMLMapping, into definition: inout ImageDefinition) {
        var seen: Set<String> = []
        for (index, node) in yaml.list(document, "files", of: "files").enumerated() {
            guard let entry = yaml.mapping(node, "files[\(index)]", keys: ["path", "content", "source", "mode"]) else {
                continue
            }
            let path = yaml.string(entry, "path", required: true)
            if let path {
                check(entry["path"], "\(entry.field).path", path, isImagePath(path), imagePathRule)
                if !seen.insert(path).inserted {
                    yaml.add(entry["path"], "\(entry.field).path", found: "\(quoted(path)) twice", expected: "each path once")
                }
            }
            let mode = readMode(entry)
            if let bytes = readContent(entry), let path {
                definition.files.append(.init(path: path, content: bytes, mode: mode))
            }
        }
    }

    private mutating func readMode(_ entry: YAMLMapping) -> Int {
        guard let text = yaml.string(entry, "mode") else { return 0o644 }
        guard text.wholeMatch(of: /0?[0-7]{3}/) != nil, let mode = Int(text, radix: 8) else {
            yaml.add(
                entry["mode"], "\(entry.field).mode", found: quoted(text),
                expected: "three octal digits such as '0755', without set-id bits")
            return 0o644
        }
        return mode
    }

    private mutating func readContent(_ entry: YAMLMapping) -> [UInt8]? {
        switch (entry["content"], entry["source"]) {
        case (let node?, nil): return yaml.string(node, "\(entry.field).content").map { Array($0.utf8) }
        case (nil, let node?):
            guard let source = yaml.string(node, "\(entry.field).source") else { return nil }
            guard isRelativePath(source) else {
                yaml.add(
                    node, "\(entry.field).source", found: quoted(source),
                    expected: "a path below the definition's folder, without '..'")
                return nil
            }
            do {
                return try Files.readBeneath(folder, source, limit: Self.maxFileBytes)
            } catch {
                yaml.add(
                    node, "\(entry.field).source", found: "\(quoted(source)) (\(error))",
                    expected: "a regular file of at most \(Self.maxFileBytes) bytes, not reached through a symbolic link")
                return nil
            }
        case (nil, nil):
            yaml.add(entry.node, entry.field, found: "neither 'content' nor 'source'", expected: "one of them")
        case (_?, _?):
            yaml.add(entry.node, entry.field, found: "both 'content' and 'source'", expected: "one of them")
        }
        return nil
    }

    mutating func readTemplates(alone text: String) -> [ImageDefinition.Template] {
        var definition = ImageDefinition(name: HostImage.name, suite: "")
        if let document = yaml.document(text, keys: ["templates"]) { readTemplates(document, into: &definition) }
        return definition.templates
    }

    private mutating func readTemplates(_ document: YAMLMapping, into definition: inout ImageDefinition) {
        var seen: Set<String> = []
        let keys = ["name", "command", "preload", "warm_up", "memory_bytes", "recycle"]
        for (index, node) in yaml.list(document, "templates", of: "templates").enumerated() {
            guard let entry = yaml.mapping(node, "templates[\(index)]", keys: keys) else { continue }
            var template = ImageDefinition.Template(name: "", command: [])
            if let name = yaml.string(entry, "name", required: true) {
                check(entry["name"], "\(entry.field).name", name, isImageName(name), imageNameRule)
                if !seen.insert(name).inserted {
                    yaml.add(entry["name"], "\(entry.field).name", found: "\(quoted(name)) twice", expected: "each name once")
                }
                template.name = name
            }
            if template.name == "none" { yaml.add(entry["name"], "\(entry.field).name", found: "'none'", expected: "another name: jobs say 'none' to start anew") }
            template.command = yaml.strings(entry, "command", of: "the command and its arguments", required: true)
            template.preload = yaml.strings(
                entry, "preload", of: "modules", valid: isModuleName, expected: "a module name such as 'numpy.linalg'")
            template.warmUp = yaml.string(entry, "warm_up")
            if let bytes = yaml.integer(entry, "memory_bytes", in: 1 << 20...1 << 44) { template.memoryBytes = bytes }
            if let node = entry["recycle"],
                let rule = yaml.mapping(node, "\(entry.field).recycle", keys: ["forks", "age_ms"])
            {
                if let forks = yaml.integer(rule, "forks", in: 1...1_000_000_000) { template.recycleForks = forks }
                template.recycleMs = yaml.integer(rule, "age_ms", in: 1000...604_800_000)
            }
            definition.templates.append(template)
        }
    }

    private mutating func check(_ node: Value?, _ field: String, _ found: String, _ valid: Bool, _ expected: String) {
        if !valid { yaml.add(node, field, found: quoted(found), expected: expected) }
    }
}

let imageNameRule = "1 to 64 of a-z, 0-9, '.', '_', '-', starting and ending with a letter or digit, and not 'host'"
let imagePathRule = "an absolute path without '.', '..' and doubled '/', outside /proc, /sys, /dev, /run, /tmp and /workspace"

// Letters and digits are ASCII's. The rules that every command meets are written out: a `Regex` is compiled when it is used.

private func isLower(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }
private func isUpper(_ byte: UInt8) -> Bool { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) }
private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

func isImageName(_ name: String) -> Bool {
    guard let first = name.utf8.first, let last = name.utf8.last, name.utf8.count <= 64 else { return false }
    return [first, last].allSatisfy { isLower($0) || isDigit($0) } && name.utf8.allSatisfy { isLower($0) || isDigit($0) || "._-".utf8.contains($0) }
}

func isSuite(_ text: String) -> Bool {
    guard let first = text.utf8.first, isLower(first), text.utf8.count <= 64 else { return false }
    return text.utf8.allSatisfy { isLower($0) || isDigit($0) || $0 == UInt8(ascii: "-") }
}

func isMirror(_ text: String) -> Bool {
    text.utf8.count <= 512 && text.wholeMatch(of: /https?:\/\/[A-Za-z0-9.\-]+(:[0-9]{1,5})?(\/[A-Za-z0-9._~%+\-]*)*/) != nil
}

func isDebianPackage(_ text: String) -> Bool {
    text.utf8.count <= 128
        && text.wholeMatch(of: /[a-z0-9][a-z0-9+.\-]+(:[a-z0-9]+)?(=[A-Za-z0-9.+:~\-]+)?/) != nil
}

func isPipRequirement(_ text: String) -> Bool {
    text.utf8.count <= 256
        && text.wholeMatch(
            of: /[A-Za-z0-9]([A-Za-z0-9._\-]*[A-Za-z0-9])?(\[[A-Za-z0-9._,\-]+\])?( ?(==|>=|<=|~=|!=|<|>) ?[A-Za-z0-9.*+!_\-]+(, ?(==|>=|<=|~=|!=|<|>) ?[A-Za-z0-9.*+!_\-]+)*)?/)
            != nil
}

func isModuleName(_ text: String) -> Bool {
    text.utf8.count <= 256 && text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { part in
        part.first.map { !isDigit($0) } == true && part.allSatisfy { isLower($0) || isUpper($0) || isDigit($0) || $0 == UInt8(ascii: "_") }
    }
}

func isRelativePath(_ path: String) -> Bool {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    return path.utf8.count <= 1024 && !path.utf8.contains(0) && parts.allSatisfy { !["", ".", ".."].contains($0) }
}

func isImagePath(_ path: String) -> Bool {
    guard path.hasPrefix("/"), isRelativePath(String(path.dropFirst())) else { return false }
    return !["proc", "sys", "dev", "run", "tmp", "workspace"].contains(path.split(separator: "/")[0])
}
