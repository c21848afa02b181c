// Whole files and whole trees, in terms of the calls in Files.swift: bounded reads, writes that are there or not,
// and removal that never leaves the tree it was given.

import Foundation

extension Files {
    /// A regular file's content.
    /// - Throws: `ImageError.tooLarge` beyond `limit` bytes.
    static func read(_ path: String, limit: Int) throws -> [UInt8] {
        try readAll(openFile(path), name: path, limit: limit)
    }

    /// The content of `path`, reached from `folder` without following a link.
    static func readBeneath(_ folder: String, _ path: String, limit: Int) throws -> [UInt8] {
        var parts = path.split(separator: "/").map(String.init)
        let name = parts.removeLast()
        var directory = try openDirectory(folder)
        for part in parts { directory = try openDirectory(at: directory, part) }
        return try readAll(openFile(at: directory, name), name: path, limit: limit)
    }

    static func readAll(_ file: Descriptor, name: String, limit: Int) throws -> [UInt8] {
        guard try status(file).kind == .file else {
            throw ImageError.malformed(item: name, found: "not a regular file", expected: "a regular file")
        }
        var bytes: [UInt8] = []
        while true {
            let chunk = try read(file, count: min(1 << 16, limit + 1 - bytes.count))
            if chunk.isEmpty { return bytes }
            bytes += chunk
            if bytes.count > limit {
                throw ImageError.tooLarge(item: name, found: "more than \(limit) bytes", limit: "\(limit) bytes")
            }
        }
    }

    /// Replaces a file at once: readers see the old content or the new, a crash leaves one of the two.
    static func replace(_ path: String, with bytes: [UInt8]) throws {
        let temporary = "\(path).\(processID).\(UInt32.random(in: 0...UInt32.max)).tmp"
        do {
            let file = try openOrCreate(temporary, truncate: true)
            try write(file, bytes[...])
            try sync(file)
            try rename(temporary, path)
        } catch {
            try? removeTree(temporary)
            throw error
        }
    }

    /// Removes a file or a tree. Does not follow links, and stops with an error where another file system or a bind
    /// mount begins, so that what a killed build left mounted is not emptied.
    static func removeTree(_ path: String) throws {
        let above = (path as NSString).deletingLastPathComponent
        let parent: Descriptor
        do {
            parent = try openDirectory(above.isEmpty ? "." : above)
        } catch ImageError.system(_, _, 2) {
            return
        }
        try removeTree(at: parent, (path as NSString).lastPathComponent)
    }

    static func removeTree(at parent: Descriptor, _ name: String) throws {
        guard let found = try status(at: parent, name) else { return }
        guard found.kind == .directory else { return try remove(at: parent, name) }
        let directory = try openDirectory(at: parent, name)
        guard try mountID(directory) == mountID(parent) else {
            throw ImageError.malformed(item: name, found: "something mounted on it", expected: "a plain directory")
        }
        try removeContents(of: directory)
        try remove(at: parent, name, directory: true)
    }

    static func removeContents(of directory: Descriptor) throws {
        for name in try names(directory) { try removeTree(at: directory, name) }
    }
}
