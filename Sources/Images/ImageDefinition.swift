// What an operator writes in `images/NAME/image.yaml`: the image as data. There is no list of commands to run: what a
// definition can say is declared, so that the same definition always asks for the same image and nothing of it runs
// with more rights than a package's own maintainer scripts.

import Foundation
import SandboxCore

/// A root filesystem to be built: Debian packages of a suite, wheels from PyPI, and files of its own.
public struct ImageDefinition: Sendable, Equatable {
    /// What jobs name the image by.
    public var name: String
    public var description: String
    /// A Debian suite: `bookworm`.
    public var suite: String
    /// Where the suite's packages come from; `nil` for the sources of the machine that builds.
    public var mirror: String?
    /// Debian packages, each `name`, `name:arch` or `name=version`.
    public var packages: [String]
    /// Requirements for pip. Wheels only: nothing of a package is run to install it.
    public var pip: [String]
    public var files: [File]
    /// The environment of every job in the image.
    public var environment: [String: String]
    public var templates: [Template]

    public struct File: Sendable, Equatable {
        /// Absolute path in the image.
        public var path: String
        public var content: [UInt8]
        /// Permission bits; set-id bits are not among them.
        public var mode: Int

        public init(path: String, content: [UInt8], mode: Int = 0o644) {
            self.path = path
            self.content = content
            self.mode = mode
        }
    }

    public typealias Template = TemplateDeclaration

    public init(
        name: String, description: String = "", suite: String, mirror: String? = nil, packages: [String] = [],
        pip: [String] = [], files: [File] = [], environment: [String: String] = [:], templates: [Template] = []
    ) {
        self.name = name
        self.description = description
        self.suite = suite
        self.mirror = mirror
        self.packages = packages
        self.pip = pip
        self.files = files
        self.environment = environment
        self.templates = templates
    }

    /// The SHA-256 of everything the root filesystem is made from. Name, description, environment and templates are
    /// not part of it: changing them needs no build, and two images may share one root filesystem.
    public var digest: String {
        var hash = SHA256Stream()
        func add(_ bytes: some Collection<UInt8>) {
            hash.update(Array("\(bytes.count):".utf8))
            hash.update(Array(bytes))
        }
        // The form of what the builder makes. Raised when the same definition is to give a different result.
        add("paddock-root-1 \(hostArchitecture)".utf8)
        add(suite.utf8)
        add((mirror ?? "").utf8)
        for list in [packages.sorted(), pip.sorted()] {
            add("\(list.count)".utf8)
            for item in list { add(item.utf8) }
        }
        for file in files.sorted(by: { $0.path < $1.path }) {
            add(file.path.utf8)
            add("\(file.mode)".utf8)
            add(file.content)
        }
        return hash.finish()
    }

    /// Reads and checks a definition.
    /// - Parameter path: the `image.yaml`, or the folder that holds it.
    /// - Throws: `DefinitionError` with every mistake of the file; `ImageError` if it cannot be read.
    public static func load(_ path: String) throws -> ImageDefinition {
        let file = Files.isDirectory(path) ? path + "/image.yaml" : path
        let bytes = try Files.read(file, limit: YAMLReader.maxFileBytes)
        let folder = (file as NSString).deletingLastPathComponent
        return try parse(String(decoding: bytes, as: UTF8.self), file: file, folder: folder.isEmpty ? "." : folder)
    }

    /// Every definition below `directory`, each in the folder of its name. Files that are wrong are reported together.
    public static func loadAll(in directory: String) throws -> [ImageDefinition] {
        var definitions: [ImageDefinition] = []
        var problems: [DefinitionError] = []
        for name in try Files.names(in: directory) where Files.exists("\(directory)/\(name)/image.yaml") {
            do {
                let definition = try load("\(directory)/\(name)")
                // So that no two definitions are of one image, and an image's is found without searching.
                guard definition.name == name else {
                    throw DefinitionError(
                        file: "\(directory)/\(name)/image.yaml",
                        problems: [
                            Problem(line: nil, column: nil, field: "name", found: quoted(definition.name), expected: "'\(name)', its folder's name")
                        ])
                }
                definitions.append(definition)
            } catch let error as DefinitionError {
                problems.append(error)
            }
        }
        if let first = problems.first, problems.count == 1 { throw first }
        if !problems.isEmpty {
            throw DefinitionError(
                file: directory,
                problems: problems.flatMap { error in
                    error.problems.map { problem in
                        var moved = problem
                        moved.field = error.file + (problem.field.isEmpty ? "" : " " + problem.field)
                        return moved
                    }
                })
        }
        return definitions
    }
}

/// The machine's architecture in Debian's and OCI's word.
let hostArchitecture: String = {
    #if arch(x86_64)
        "amd64"
    #elseif arch(arm64)
        "arm64"
    #else
        "unknown"
    #endif
}()
