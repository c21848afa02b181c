// What is done with whole layer trees: hiding names in overlay's terms, stacking layers into one tree of hard links
// where that is not possible, and making a tree that package scripts have written safe to keep.

import Foundation

enum LayerTree {
    /// Says in the tree itself, in overlay's terms, what the layer hides of those below.
    static func applyWhiteouts(_ info: LayerInfo, in directory: String) throws {
        let root = try Files.openDirectory(directory)
        for path in info.whiteouts {
            let (parent, name) = try reach(path, from: root, make: true)
            switch try Files.status(at: parent, name)?.kind {
            case nil:
                let code = Files.makeWhiteout(at: parent, name)
                guard code == 0 else { throw ImageError.system(operation: "make whiteout", path: path, errno: code) }
            case .directory?:
                // Hidden and made anew by the same layer: nothing of the old one may show.
                try makeOpaque(Files.openDirectory(at: parent, name), path)
            default: break
            }
        }
        // The root's own is the store's matter: the layers below are not stacked at all.
        for path in info.opaque where !path.isEmpty {
            let (parent, name) = try reach(path, from: root, make: true)
            if try Files.status(at: parent, name) == nil { try Files.makeDirectory(at: parent, name) }
            try makeOpaque(Files.openDirectory(at: parent, name), path)
        }
    }

    private static func makeOpaque(_ directory: Descriptor, _ path: String) throws {
        let code = Files.setAttribute(directory, opaqueAttribute, "y")
        guard code == 0 else { throw ImageError.system(operation: "set \(opaqueAttribute)", path: path, errno: code) }
    }

    /// The layers as one tree: files are hard links to theirs, directories are new.
    /// - Parameter layers: the lowest first.
    static func merge(_ layers: [(root: String, info: LayerInfo)], into directory: String) throws {
        let target = try Files.openDirectory(directory)
        for (path, info) in layers {
            if info.opaque.contains("") { try Files.removeContents(of: target) }
            for path in info.opaque where !path.isEmpty {
                if let (parent, name) = try find(path, from: target), let inner = try? Files.openDirectory(at: parent, name) {
                    try Files.removeContents(of: inner)
                }
            }
            for path in info.whiteouts {
                if let (parent, name) = try find(path, from: target) { try Files.removeTree(at: parent, name) }
            }
            try lay(Files.openDirectory(path), over: target)
        }
    }

    private static func lay(_ source: Descriptor, over target: Descriptor) throws {
        for name in try Files.names(source) {
            guard let status = try Files.status(at: source, name) else { continue }
            // Whiteout devices were honoured by `merge` from the layer's list.
            if status.kind == .other { continue }
            let below = try Files.status(at: target, name)
            if let below, below.kind != .directory || status.kind != .directory {
                try Files.removeTree(at: target, name)
            }
            if status.kind == .directory {
                if below?.kind != .directory { try Files.makeDirectory(at: target, name) }
                let (from, to) = (try Files.openDirectory(at: source, name), try Files.openDirectory(at: target, name))
                try Files.setMode(to, status.mode)
                try lay(from, over: to)
            } else {
                try link(name, status, source, target)
            }
        }
    }

    private static func link(_ name: String, _ status: FileStatus, _ source: Descriptor, _ target: Descriptor) throws {
        do {
            try Files.makeHardLink(at: target, name, from: source, name)
        } catch ImageError.system(_, _, EMLINK) {
            // A file that has as many names as its file system allows.
            if status.kind == .link { return try Files.makeLink(at: target, name, to: Files.readLink(at: source, name)) }
            try copy(name, status, source, target)
        }
    }

    static func copy(_ name: String, _ status: FileStatus, _ source: Descriptor, _ target: Descriptor) throws {
        let (from, to) = (try Files.openFile(at: source, name), try Files.createFile(at: target, name))
        while case let chunk = try Files.read(from, count: 1 << 18), !chunk.isEmpty { try Files.write(to, chunk[...]) }
        try Files.setMode(to, status.mode)
        Files.setTime(at: target, name, seconds: status.modifiedNs / 1_000_000_000)
    }

    /// Makes a tree that packages have written fit to be kept: no set-id bits, nothing others may write, no devices.
    /// - Returns: entries and bytes.
    static func makeSafe(_ directory: Descriptor, depth: Int = 200) throws -> (entries: Int, bytes: Int) {
        guard depth > 0 else {
            throw ImageError.tooLarge(item: "root filesystem", found: "directories more than 200 deep", limit: "200")
        }
        var (entries, bytes) = (0, 0)
        for name in try Files.names(directory) {
            guard let status = try Files.status(at: directory, name) else { continue }
            entries += 1
            switch status.kind {
            case .directory:
                let inner = try Files.openDirectory(at: directory, name)
                try Files.setMode(inner, safeMode(status.mode, directory: true))
                let below = try makeSafe(inner, depth: depth - 1)
                (entries, bytes) = (entries + below.entries, bytes + below.bytes)
            case .file:
                bytes += status.size
                let mode = safeMode(status.mode, directory: false)
                if mode != status.mode { try Files.setMode(Files.openFile(at: directory, name), mode) }
            case .link: break
            case .other: try Files.remove(at: directory, name)
            }
        }
        return (entries, bytes)
    }

    /// The directory that holds `path`, and its last name. Directories on the way are made where they are missing.
    private static func reach(_ path: String, from root: Descriptor, make: Bool) throws -> (Descriptor, String) {
        var parts = path.split(separator: "/").map(String.init)
        let name = parts.removeLast()
        var directory = root
        for part in parts {
            if make, try Files.status(at: directory, part) == nil { try Files.makeDirectory(at: directory, part) }
            directory = try Files.openDirectory(at: directory, part)
        }
        return (directory, name)
    }

    /// The same, or `nil` where the way does not exist.
    private static func find(_ path: String, from root: Descriptor) throws -> (Descriptor, String)? {
        do {
            return try reach(path, from: root, make: false)
        } catch ImageError.system(_, _, let code) where code == ENOENT || code == ENOTDIR || code == ELOOP {
            return nil
        }
    }
}
