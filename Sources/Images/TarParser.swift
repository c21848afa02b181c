// Reads a tar stream (ustar, GNU long names, pax) piece by piece. Pure: bytes in, entries out to a sink; every field
// comes from outside and is bounded. What a path may be is the sink's decision, what a tar may be is decided here.

/// One member of an archive, as its header has it.
struct TarEntry: Equatable {
    enum Kind: Equatable { case file, directory, symbolicLink, hardLink, device, fifo }

    var path: String
    var kind: Kind
    var mode: Int
    var size: Int
    /// Target of a link.
    var link: String
    /// Seconds since 1970.
    var modified: Int
    /// Where its content starts in the stream.
    var offset: Int
}

/// Takes what a `TarParser` finds, in the archive's order.
protocol TarSink {
    mutating func entry(_ entry: TarEntry) throws
    mutating func data(_ bytes: ArraySlice<UInt8>) throws
    /// After the last byte of an entry that has content.
    mutating func endEntry() throws
}

/// A tar stream, read by feeding it.
struct TarParser {
    static let maxPath = 4096
    static let maxExtension = 1 << 20
    static let maxContent = 1 << 50
    static let block = 512

    private enum State {
        case header
        /// Content of a member (or of an extension header when `collecting`), then padding.
        case content(left: Int, padding: Int, collecting: UInt8?)
        case ended
    }

    /// What messages call the archive.
    let name: String
    private var state = State.header
    private var pending: [UInt8] = []
    private var collected: [UInt8] = []
    private var longName: String?
    private var longLink: String?
    private var pax: [String: String] = [:]
    private(set) var offset = 0

    init(name: String) { self.name = name }

    mutating func feed<S: TarSink>(_ bytes: [UInt8], into sink: inout S) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            switch state {
            case .ended:
                return
            case .header:
                let part = rest.prefix(Self.block - pending.count)
                pending += part
                take(part.count, from: &rest)
                if pending.count == Self.block {
                    let header = pending
                    pending.removeAll(keepingCapacity: true)
                    try read(header, into: &sink)
                }
            case .content(let left, let padding, let collecting) where left > 0:
                let part = rest.prefix(left)
                if collecting != nil { collected += part } else { try sink.data(part) }
                take(part.count, from: &rest)
                state = .content(left: left - part.count, padding: padding, collecting: collecting)
                if left == part.count { try finishContent(collecting, into: &sink, padding: padding) }
            case .content(_, let padding, let collecting):
                let part = rest.prefix(padding)
                take(part.count, from: &rest)
                state = padding == part.count
                    ? .header : .content(left: 0, padding: padding - part.count, collecting: collecting)
            }
        }
    }

    /// Whether the archive's end was seen: what follows is not looked at.
    var ended: Bool {
        if case .ended = state { return true }
        return false
    }

    /// How many bytes of content come next that the caller may jump over instead of feeding them; it then must.
    mutating func skipContent() -> Int {
        guard case .content(let left, let padding, nil) = state, left > 0 else { return 0 }
        state = .header
        offset += left + padding
        return left + padding
    }

    /// - Throws: `ImageError.malformed` if the stream ended within a member.
    func finish() throws {
        if case .ended = state { return }
        if case .header = state, pending.isEmpty, offset > 0 { return }
        throw malformed("an end after \(offset) bytes", "a whole tar archive")
    }

    private mutating func take(_ count: Int, from rest: inout ArraySlice<UInt8>) {
        rest = rest.dropFirst(count)
        offset += count
    }

    private mutating func finishContent<S: TarSink>(_ collecting: UInt8?, into sink: inout S, padding: Int) throws {
        if let type = collecting {
            try readExtension(type)
            collected = []
        } else {
            try sink.endEntry()
        }
        if padding == 0 { state = .header }
    }

    private mutating func read<S: TarSink>(_ header: [UInt8], into sink: inout S) throws {
        if header.allSatisfy({ $0 == 0 }) {
            // Two blocks end an archive; one is what some writers leave, and nothing sensible follows it.
            state = .ended
            return
        }
        var sum = 0
        for (index, byte) in header.enumerated() { sum += (148..<156).contains(index) ? 32 : Int(byte) }
        guard try number(header[148..<156], "checksum") == sum else {
            throw malformed("a header with a wrong checksum at byte \(offset - Self.block)", "a tar header")
        }
        var size = try number(header[124..<136], "size")
        let type = header[156]
        if [UInt8(ascii: "L"), UInt8(ascii: "K"), UInt8(ascii: "x"), UInt8(ascii: "g")].contains(type) {
            guard size <= Self.maxExtension else {
                throw ImageError.tooLarge(
                    item: "\(name), extension header", found: "\(size) bytes", limit: "\(Self.maxExtension) bytes")
            }
            collected = []
            state = .content(left: size, padding: padding(size), collecting: type)
            if size == 0 { state = .header }
            return
        }
        var path = try text(header[0..<100])
        if header[257..<262].elementsEqual("ustar".utf8), header[262] == 0 {
            let prefix = try text(header[345..<500])
            if !prefix.isEmpty { path = prefix + "/" + path }
        }
        path = pax["path"] ?? longName ?? path
        if let declared = pax["size"] {
            guard let value = Int(declared), value >= 0 else {
                throw malformed("pax size \(quoted(declared))", "a number of bytes")
            }
            size = value
        }
        guard size <= Self.maxContent else {
            throw ImageError.tooLarge(
                item: "\(name), member \(quoted(path))", found: "\(size) bytes", limit: "\(Self.maxContent) bytes")
        }
        if let sparse = pax.keys.first(where: { $0.hasPrefix("GNU.sparse") }) {
            throw malformed("a sparse file (\(sparse))", "files stored whole")
        }
        let kind = try kind(type, path: path)
        if kind != .file { size = 0 }
        let entry = TarEntry(
            path: path, kind: kind, mode: try number(header[100..<108], "mode") & 0o7777, size: size,
            link: try pax["linkpath"] ?? longLink ?? text(header[157..<257]),
            modified: try modified(header), offset: offset)
        (longName, longLink, pax) = (nil, nil, [:])
        guard entry.path.utf8.count <= Self.maxPath, entry.link.utf8.count <= Self.maxPath else {
            throw ImageError.tooLarge(
                item: "\(name), member \(quoted(entry.path))",
                found: "a path of \(max(entry.path.utf8.count, entry.link.utf8.count)) bytes", limit: "\(Self.maxPath)")
        }
        try sink.entry(entry)
        if kind == .file {
            if size == 0 { try sink.endEntry() } else { state = .content(left: size, padding: padding(size), collecting: nil) }
        }
    }

    private func kind(_ type: UInt8, path: String) throws -> TarEntry.Kind {
        switch type {
        case 0, UInt8(ascii: "0"), UInt8(ascii: "7"): return path.hasSuffix("/") ? .directory : .file
        case UInt8(ascii: "1"): return .hardLink
        case UInt8(ascii: "2"): return .symbolicLink
        case UInt8(ascii: "3"), UInt8(ascii: "4"): return .device
        case UInt8(ascii: "5"): return .directory
        case UInt8(ascii: "6"): return .fifo
        default:
            throw malformed("member \(quoted(path)) of type \(quoted(String(UnicodeScalar(type))))", "a file, directory or link")
        }
    }

    private func modified(_ header: [UInt8]) throws -> Int {
        guard let text = pax["mtime"] else { return try number(header[136..<148], "mtime") }
        return Int(text.prefix { $0 != "." }) ?? 0
    }

    private mutating func readExtension(_ type: UInt8) throws {
        switch type {
        case UInt8(ascii: "L"): longName = try text(collected[...])
        case UInt8(ascii: "K"): longLink = try text(collected[...])
        case UInt8(ascii: "x"): pax = try readPax(collected[...])
        default:
            // A global header may carry a comment (git's do), not change what members are called.
            if let key = try readPax(collected[...]).keys.first(where: { ["path", "linkpath", "size"].contains($0) }) {
                throw malformed("a global header that sets \(key)", "one without")
            }
        }
    }

    private func padding(_ size: Int) -> Int { (Self.block - size % Self.block) % Self.block }

    func malformed(_ found: String, _ expected: String) -> ImageError {
        .malformed(item: name, found: found, expected: expected)
    }
}
