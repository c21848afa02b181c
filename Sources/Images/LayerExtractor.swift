// A layer's tar becomes a directory tree. The archive is hostile until proven otherwise: each member's path is walked
// from the layer's own root one directory at a time without following links, so nothing can be written, linked or
// removed outside it; what a sandbox must not have (devices, set-id bits, attributes) is left out.

import Foundation

/// What an import accepts before it refuses.
public struct ImportBounds: Sendable, Equatable {
    /// Files, directories and links in one layer.
    public var entries = 2_000_000
    /// Bytes of one layer's content, unpacked.
    public var layerBytes = 64 << 30
    public var layers = 256
    /// Bytes of an index, a manifest or a configuration.
    public var documentBytes = 4 << 20
    /// Directories below one another.
    public var depth = 200

    public init() {}
}

/// What a layer holds besides its files: the content of its `layer.json`.
struct LayerInfo: Codable, Equatable {
    /// Paths of the layers below that it hides.
    var whiteouts: [String] = []
    /// Directories that hide what the layers below have in them; `""` is the root.
    var opaque: [String] = []
    var entries = 0
    var sizeBytes = 0
    /// Members that were left out, with the reason; the first hundred.
    var skipped: [String] = []

    mutating func skip(_ text: String) {
        if skipped.count < 100 { skipped.append(text) }
    }
}

/// Permission bits as the store keeps them. The store's files belong to whoever made them, whatever the archive says,
/// and sandboxes run as others: so what its owner may read or run, everyone may, and nobody else may write it, except
/// into a sticky directory. Set-id bits would lend the store owner's rights to every user of the machine.
func safeMode(_ mode: Int, directory: Bool) -> Int {
    let owner = directory ? 7 : (mode >> 6) & 7 | 4
    let sharedDirectory = directory && mode & 0o1002 == 0o1002
    if sharedDirectory { return 0o1777 }
    return owner << 6 | (owner & 5) << 3 | (owner & 5)
}

/// Writes the members it is given below a directory.
struct LayerExtractor: TarSink {
    let name: String
    let bounds: ImportBounds
    let root: Descriptor
    private(set) var info = LayerInfo()
    private var open: (file: Descriptor, parent: Descriptor, name: String, entry: TarEntry)?
    /// The directory of the last member: archives list a directory's files one after the other.
    private var lastParent: (path: [String], directory: Descriptor)?

    /// - Parameters:
    ///   - name: what messages call the layer.
    ///   - directory: empty, and nobody else's.
    init(name: String, into directory: String, bounds: ImportBounds) throws {
        self.name = name
        self.bounds = bounds
        root = try Files.openDirectory(directory)
    }

    mutating func entry(_ entry: TarEntry) throws {
        info.entries += 1
        guard info.entries <= bounds.entries else {
            throw ImageError.tooLarge(item: name, found: "more than \(bounds.entries) members", limit: "\(bounds.entries)")
        }
        var parts = try components(entry.path, of: entry)
        guard let base = parts.popLast() else { return }
        if base.hasPrefix(".wh.") { return try hide(base, in: parts, entry) }
        switch entry.kind {
        case .device: return info.skip("\(quoted(entry.path)): a device")
        case .fifo: return info.skip("\(quoted(entry.path)): a fifo")
        default: break
        }
        let parent = try directory(parts, of: entry)
        if let found = try Files.status(at: parent, base) {
            if entry.kind == .directory && found.kind == .directory {
                return try Files.setMode(Files.openDirectory(at: parent, base), safeMode(entry.mode, directory: true))
            }
            // A member that comes twice: the last one counts.
            lastParent = nil
            try Files.removeTree(at: parent, base)
        }
        switch entry.kind {
        case .directory:
            try Files.makeDirectory(at: parent, base)
            try Files.setMode(Files.openDirectory(at: parent, base), safeMode(entry.mode, directory: true))
        case .symbolicLink:
            guard !entry.link.isEmpty else { throw hostile(entry, "a symbolic link to nothing") }
            try Files.makeLink(at: parent, base, to: entry.link)
            Files.setTime(at: parent, base, seconds: entry.modified)
        case .hardLink:
            try hardLink(entry, parent, base)
        case .file:
            info.sizeBytes += entry.size
            guard info.sizeBytes <= bounds.layerBytes else {
                throw ImageError.tooLarge(
                    item: name, found: "more than \(bounds.layerBytes) bytes of files", limit: "\(bounds.layerBytes)")
            }
            open = (try Files.createFile(at: parent, base, mode: 0o600), parent, base, entry)
        case .device, .fifo: break
        }
    }

    mutating func data(_ bytes: ArraySlice<UInt8>) throws {
        if let open { try Files.write(open.file, bytes) }
    }

    mutating func endEntry() throws {
        guard let (file, parent, name, entry) = open else { return }
        open = nil
        try Files.setMode(file, safeMode(entry.mode, directory: false))
        // Interpreters compare times of sources and caches.
        Files.setTime(at: parent, name, seconds: entry.modified)
    }

    private mutating func hide(_ base: String, in parts: [String], _ entry: TarEntry) throws {
        // As for any other member: the way there is made of directories.
        _ = try directory(parts, of: entry)
        if base == ".wh..wh..opq" { return info.opaque.append(parts.joined(separator: "/")) }
        // `.wh..wh.` begins what AUFS kept for itself.
        if base.hasPrefix(".wh..wh.") { return info.skip("\(quoted(entry.path)): AUFS's own") }
        let hidden = String(base.dropFirst(4))
        guard !["", ".", ".."].contains(hidden) else { throw hostile(entry, "a whiteout of \(quoted(hidden))") }
        info.whiteouts.append((parts + [hidden]).joined(separator: "/"))
    }

    private mutating func hardLink(_ entry: TarEntry, _ parent: Descriptor, _ base: String) throws {
        var parts = try components(entry.link, of: entry)
        guard let source = parts.popLast() else { throw hostile(entry, "a hard link to the root") }
        var directory = root
        for part in parts {
            guard try Files.status(at: directory, part)?.kind == .directory else {
                throw hostile(entry, "a hard link to \(quoted(entry.link)), which is not a file of this layer")
            }
            directory = try Files.openDirectory(at: directory, part)
        }
        let found = try Files.status(at: directory, source)?.kind
        guard found == .file || found == .link else {
            throw hostile(entry, "a hard link to \(quoted(entry.link)), which is not a file of this layer")
        }
        try Files.makeHardLink(at: parent, base, from: directory, source)
    }

    /// The names of a path, checked.
    private func components(_ path: String, of entry: TarEntry) throws -> [String] {
        guard !path.isEmpty else { throw hostile(entry, "an empty path") }
        guard !path.hasPrefix("/") else { throw hostile(entry, "\(quoted(path)) is an absolute path") }
        let parts = path.split(separator: "/").map(String.init).filter { $0 != "." }
        guard !parts.contains("..") else { throw hostile(entry, "\(quoted(path)) has '..' in it") }
        guard parts.count <= bounds.depth else {
            throw ImageError.tooLarge(
                item: "\(name), member \(quoted(entry.path))", found: "\(parts.count) directories deep", limit: "\(bounds.depth)")
        }
        if let long = parts.first(where: { $0.utf8.count > 255 }) {
            throw ImageError.tooLarge(
                item: "\(name), member \(quoted(entry.path))", found: "a name of \(long.utf8.count) bytes", limit: "255")
        }
        return parts
    }

    /// The open directory at `parts`, made where the archive left it out.
    private mutating func directory(_ parts: [String], of entry: TarEntry) throws -> Descriptor {
        if let lastParent, lastParent.path == parts { return lastParent.directory }
        var directory = root
        for part in parts {
            switch try Files.status(at: directory, part)?.kind {
            case .directory?: break
            case nil:
                try Files.makeDirectory(at: directory, part)
                info.entries += 1
            case .link?: throw hostile(entry, "its path goes through the symbolic link \(quoted(part))")
            default: throw hostile(entry, "its path goes through \(quoted(part)), which is not a directory")
            }
            directory = try Files.openDirectory(at: directory, part)
        }
        lastParent = (parts, directory)
        return directory
    }

    private func hostile(_ entry: TarEntry, _ reason: String) -> ImageError {
        .hostile(item: "\(name), member \(quoted(entry.path))", reason: reason)
    }
}
