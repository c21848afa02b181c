// Files of this machine → files to place in the sandbox. Directories are walked in order, within bounds; what a link
// points to is taken only when it lies in the same tree.

import Foundation
import SandboxCore

struct FileGatherer {
    static let maxFiles = 10_000
    static let maxBytes = 256 << 20

    /// Directories of tools, not of the project, by name.
    static let skipped: Set<String> = ["__pycache__", "node_modules", "site-packages", "htmlcov"]

    private(set) var files: [FileIn] = []
    private(set) var bytes = 0
    /// Whether directories of tools and hidden directories are left out.
    var onlyProject = false

    /// Adds one file, or everything in a directory.
    /// - Parameter destination: relative to `/workspace`, or absolute below it; `.` for `/workspace` itself.
    mutating func add(_ path: String, to destination: String, option: String) throws {
        let destination = try Self.relative(destination, option)
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw UserError(
                "\(option): \(Human.safe(path)): \(String(cString: strerror(errno)))",
                hint: "\(option) takes a path of this machine, and after a colon where it goes in the sandbox")
        }
        switch status.st_mode & S_IFMT {
        case S_IFREG:
            guard !destination.isEmpty else { throw UserError("\(option): \(Human.safe(path)) is a file, expected a file name after the colon") }
            try addFile(path, destination, status, option)
        case S_IFDIR: try addDirectory(path, destination, root: Self.real(path), option, depth: 0)
        default: throw UserError("\(option): \(Human.safe(path)) is neither a file nor a directory")
        }
    }

    private mutating func addDirectory(_ path: String, _ destination: String, root: String, _ option: String, depth: Int) throws {
        guard depth < 64 else { throw UserError("\(option): \(Human.safe(path)) is nested deeper than 64 directories") }
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: path).sorted()
        } catch {
            throw UserError("\(option): \(Human.safe(path)): \(Complaint.reason(error))")
        }
        for name in names {
            let inner = "\(path)/\(name)"
            let place = destination.isEmpty ? name : "\(destination)/\(name)"
            var status = stat()
            guard lstat(inner, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFLNK {
                // A link out of the tree would carry in what nobody meant to give; a link to a directory may be a loop.
                guard stat(inner, &status) == 0, status.st_mode & S_IFMT == S_IFREG, Self.real(inner).hasPrefix(root + "/") else { continue }
            }
            switch status.st_mode & S_IFMT {
            case S_IFDIR where !(onlyProject && Self.isOfTools(name, inner)):
                try addDirectory(inner, place, root: root, option, depth: depth + 1)
            case S_IFREG where !(onlyProject && Self.isSecret(name)): try addFile(inner, place, status, option)
            default: continue
            }
        }
    }

    private mutating func addFile(_ path: String, _ destination: String, _ status: stat, _ option: String) throws {
        guard files.count < Self.maxFiles, bytes + Int(status.st_size) <= Self.maxBytes else {
            throw UserError(
                "\(option): more than \(Human.count(Self.maxFiles)) files or \(Human.bytes(Self.maxBytes)), at \(Human.safe(path))",
                hint: onlyProject ? "run it in the project's own directory, or place what the tests need with --file" : "an archive can hold more")
        }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw UserError("\(option): \(Human.safe(path)) cannot be read", hint: "look at its rights")
        }
        bytes += data.count
        files.append(FileIn(path: destination, content: .bytes([UInt8](data)), mode: status.st_mode & 0o111 == 0 ? 0o644 : 0o755))
    }

    private static func isOfTools(_ name: String, _ path: String) -> Bool {
        // Virtual environments and build directories have any name, but say what they are.
        name.hasPrefix(".") || skipped.contains(name) || name.hasSuffix(".egg-info") || access("\(path)/pyvenv.cfg", F_OK) == 0
            || access("\(path)/CACHEDIR.TAG", F_OK) == 0
    }

    /// Files that hold passwords by custom.
    static func isSecret(_ name: String) -> Bool { name == ".env" || name.hasPrefix(".env.") || name == ".netrc" || name == ".pypirc" }

    /// A place in the sandbox as the protocol wants it.
    private static func relative(_ destination: String, _ option: String) throws -> String {
        var path = destination
        if path == "/workspace" || path == "." { return "" }
        if path.hasPrefix("/workspace/") { path.removeFirst("/workspace/".count) }
        while path.hasPrefix("./") { path.removeFirst(2) }
        while path.hasSuffix("/") { path.removeLast() }
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard !path.hasPrefix("/"), !parts.contains(where: { $0 == ".." || $0 == "." || $0.isEmpty }) else {
            throw UserError(
                "\(option): found the place '\(Human.safe(destination))', expected a path below /workspace, without '..'",
                hint: "for example \(option) data.csv:input/data.csv")
        }
        return path
    }

    static func real(_ path: String) -> String {
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}
