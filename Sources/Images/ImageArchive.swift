// An archive to import from, as named members that can be read in any order: a directory, or a tar that is indexed
// once. Nothing of it is believed: names are looked up exactly, links are followed inside the archive only.

import Foundation

/// A part of an open file.
struct ArchiveMember {
    let name: String
    let file: Descriptor
    let offset: Int
    let size: Int

    /// Its bytes in order, in pieces.
    func read(_ onBytes: ([UInt8]) throws -> Void) throws {
        var done = 0
        while done < size {
            let chunk = try Files.read(file, at: offset + done, count: min(1 << 18, size - done))
            guard !chunk.isEmpty else {
                throw ImageError.malformed(item: name, found: "an end after \(done) bytes", expected: "\(size) bytes")
            }
            try onBytes(chunk)
            done += chunk.count
        }
    }
}

struct ImageArchive {
    private enum Form {
        case directory(String)
        case tar(Descriptor, [String: TarIndex.Member])
    }

    let path: String
    private let form: Form

    /// - Parameter work: where a compressed archive is unpacked.
    init(_ path: String, work: StoreWork, bounds: ImportBounds) async throws {
        self.path = path
        guard let status = Files.status(path) else { throw ImageError.system(operation: "open", path: path, errno: 2) }
        if status.kind == .directory {
            form = .directory(path)
            return
        }
        var file = try Files.openFile(path)
        guard try Files.status(file).kind == .file else {
            throw ImageError.malformed(item: path, found: "a special file", expected: "a directory or a tar archive")
        }
        if let compression = Compression.detect(try Files.read(file, at: 0, count: 6)) {
            file = try await compression.unpack(
                ArchiveMember(name: path, file: file, offset: 0, size: status.size), work: work, limit: bounds.layerBytes)
        }
        form = .tar(file, try TarIndex.read(file, name: path))
    }

    /// The member of that name; `nil` if there is none.
    func find(_ name: String) throws -> ArchiveMember? {
        guard isRelativePath(name) else {
            throw ImageError.hostile(item: "\(path), member \(quoted(name))", reason: "its name reaches outside the archive")
        }
        switch form {
        case .tar(let file, let members):
            guard let member = try TarIndex.follow(name, in: members, archive: path) else { return nil }
            return ArchiveMember(name: "\(path), \(name)", file: file, offset: member.offset, size: member.size)
        case .directory(let path):
            var parts = name.split(separator: "/").map(String.init)
            let base = parts.removeLast()
            do {
                var directory = try Files.openDirectory(path)
                for part in parts { directory = try Files.openDirectory(at: directory, part) }
                let file = try Files.openFile(at: directory, base)
                let status = try Files.status(file)
                guard status.kind == .file else {
                    throw ImageError.malformed(item: "\(path)/\(name)", found: "not a regular file", expected: "a regular file")
                }
                return ArchiveMember(name: "\(path)/\(name)", file: file, offset: 0, size: status.size)
            } catch ImageError.system(_, _, ENOENT) {
                return nil
            }
        }
    }

    func member(_ name: String) throws -> ArchiveMember {
        if let member = try find(name) { return member }
        throw ImageError.malformed(item: path, found: "no member \(quoted(name))", expected: "one, because the archive names it")
    }

    /// A whole small member.
    func document(_ name: String, limit: Int) throws -> [UInt8] {
        let member = try member(name)
        guard member.size <= limit else {
            throw ImageError.tooLarge(item: member.name, found: "\(member.size) bytes", limit: "\(limit) bytes")
        }
        var bytes: [UInt8] = []
        try member.read { bytes += $0 }
        return bytes
    }
}

/// Where the members of a tar lie.
struct TarIndex: TarSink {
    struct Member {
        var offset: Int
        var size: Int
        var link: String?
    }

    private static let maxMembers = 100_000
    private let name: String
    private var members: [String: Member] = [:]

    private init(name: String) { self.name = name }

    mutating func entry(_ entry: TarEntry) throws {
        guard members.count < Self.maxMembers else {
            throw ImageError.tooLarge(item: name, found: "more than \(Self.maxMembers) members", limit: "\(Self.maxMembers)")
        }
        let path = Self.clean(entry.path)
        switch entry.kind {
        case .file: members[path] = Member(offset: entry.offset, size: entry.size)
        // `docker save` says by a link that two images have the same layer.
        case .symbolicLink:
            let above = path.split(separator: "/").dropLast().joined(separator: "/")
            members[path] = Member(offset: 0, size: 0, link: Self.clean(above + "/" + entry.link))
        case .hardLink: members[path] = Member(offset: 0, size: 0, link: Self.clean(entry.link))
        case .directory, .device, .fifo: break
        }
    }

    mutating func data(_ bytes: ArraySlice<UInt8>) {}
    mutating func endEntry() {}

    static func read(_ file: Descriptor, name: String) throws -> [String: Member] {
        var index = TarIndex(name: name)
        var parser = TarParser(name: name)
        let size = try Files.status(file).size
        while parser.offset < size {
            let chunk = try Files.read(file, at: parser.offset, count: TarParser.block)
            if chunk.isEmpty { break }
            try parser.feed(chunk, into: &index)
            if parser.ended { break }
            _ = parser.skipContent()
        }
        guard parser.offset <= size else {
            throw ImageError.malformed(item: name, found: "an end after \(size) bytes", expected: "a whole tar archive")
        }
        try parser.finish()
        return index.members
    }

    static func follow(_ name: String, in members: [String: Member], archive: String) throws -> Member? {
        var name = name
        for _ in 0..<8 {
            guard let member = members[name] else { return nil }
            guard let link = member.link else { return member }
            name = link
        }
        throw ImageError.hostile(item: "\(archive), member \(quoted(name))", reason: "a chain of more than 8 links")
    }

    /// `./a//b/../c` as `a/c`. Only used to look names up, never to open anything.
    private static func clean(_ path: String) -> String {
        var parts: [Substring] = []
        for part in path.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return parts.joined(separator: "/")
    }
}

/// How a stream is packed.
enum Compression {
    case gzip, zstd

    static func detect(_ start: [UInt8]) -> Compression? {
        if start.starts(with: [0x1f, 0x8b]) { return .gzip }
        if start.starts(with: [0x28, 0xb5, 0x2f, 0xfd]) { return .zstd }
        return nil
    }

    var tool: String { self == .gzip ? "gzip" : "zstd" }

    /// Unpacks a member into a file of the work directory.
    func unpack(_ member: ArchiveMember, work: StoreWork, limit: Int) async throws -> Descriptor {
        let packed = try Self.spool(member, work)
        let name = "unpacked-" + packed.name
        let unpacked = try Files.createFile(at: Files.openDirectory(work.path), name, mode: 0o600)
        try await decompress(packed.file, name: member.name, limit: limit) { try Files.write(unpacked, $0[...]) }
        try Files.removeTree("\(work.path)/\(packed.name)")
        return try Files.openFile("\(work.path)/\(name)")
    }

    /// The unpacked bytes of a file, in pieces.
    func decompress(_ file: Descriptor, name: String, limit: Int, onBytes: ([UInt8]) throws -> Void) async throws {
        var total = 0
        do {
            try await Tools.filter(tool, ["-d", "-c", "-q"], input: file) { bytes in
                total += bytes.count
                guard total <= limit else {
                    throw ImageError.tooLarge(item: name, found: "more than \(limit) bytes unpacked", limit: "\(limit) bytes")
                }
                try onBytes(bytes)
            }
        } catch ImageError.toolFailed(_, let status, _) {
            throw ImageError.malformed(item: name, found: "data that \(tool) cannot unpack (\(status))", expected: "\(tool) data")
        }
    }

    /// A copy of a member as a file of its own, for a program to read.
    static func spool(_ member: ArchiveMember, _ work: StoreWork) throws -> (file: Descriptor, name: String) {
        let name = "packed-\(UInt64.random(in: 0...UInt64.max))"
        let copy = try Files.createFile(at: Files.openDirectory(work.path), name, mode: 0o600)
        try member.read { try Files.write(copy, $0[...]) }
        return (try Files.openFile("\(work.path)/\(name)"), name)
    }
}
