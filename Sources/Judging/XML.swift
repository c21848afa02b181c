// Reads XML as test frameworks write it: elements, attributes, text, CDATA. A pull parser over bytes that refuses what
// makes XML dangerous (document types, entities of its own) and bounds what makes it large (depth, attributes).

/// One step through a document.
enum XMLEvent: Equatable {
    case open(name: String, attributes: [String: String])
    case text(String)
    case close(name: String)
    case end
}

/// What is wrong with a document, and at which byte.
struct XMLError: Error, Equatable {
    var message: String
    var offset: Int
}

struct XMLReader {
    static let maxDepth = 64
    static let maxAttributes = 64
    static let maxName = 256

    private let bytes: [UInt8]
    private var at = 0
    private var open: [String] = []
    /// The end of an element written as `<a/>`.
    private var pendingClose: String?
    private var hadRoot = false

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        // A byte order mark is no content.
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { at = 3 }
    }

    mutating func next() throws(XMLError) -> XMLEvent {
        if let name = pendingClose {
            pendingClose = nil
            open.removeLast()
            return .close(name: name)
        }
        while at < bytes.count {
            if bytes[at] != UInt8(ascii: "<") {
                let text = try text()
                if !open.isEmpty { return .text(text) }
                guard text.utf8.allSatisfy(isSpace) else { throw error("text outside the document's element") }
            } else if looking("<!--") {
                try skip(past: "-->", from: 4, what: "comment")
            } else if looking("<![CDATA[") {
                guard !open.isEmpty else { throw error("CDATA outside the document's element") }
                let start = at + 9
                try skip(past: "]]>", from: 9, what: "CDATA section")
                return .text(try decode(bytes[start..<at - 3]))
            } else if looking("<?") {
                try skip(past: "?>", from: 2, what: "processing instruction")
            } else if looking("<!") {
                throw error("a document type, which is not accepted")
            } else if looking("</") {
                return try closeTag()
            } else {
                return try openTag()
            }
        }
        guard open.isEmpty else { throw error("the document ends inside <\(open[open.count - 1])>") }
        guard hadRoot else { throw error("the document is empty") }
        return .end
    }

    private func error(_ message: String) -> XMLError { XMLError(message: message, offset: at) }

    private func looking(_ word: StaticString) -> Bool { bytes[at...].starts(with: "\(word)".utf8) }

    private mutating func skip(past end: StaticString, from offset: Int, what: String) throws(XMLError) {
        let mark = Array("\(end)".utf8)
        var from = min(at + offset, bytes.count)
        while from + mark.count <= bytes.count {
            if bytes[from] == mark[0], bytes[from..<from + mark.count].elementsEqual(mark) {
                at = from + mark.count
                return
            }
            from += 1
        }
        throw error("a \(what) without an end")
    }

    private mutating func skipSpace() {
        while at < bytes.count, isSpace(bytes[at]) { at += 1 }
    }

    private mutating func text() throws(XMLError) -> String {
        let start = at
        while at < bytes.count, bytes[at] != UInt8(ascii: "<") { at += 1 }
        return try unescape(bytes[start..<at])
    }

    private mutating func name() throws(XMLError) -> String {
        let start = at
        while at < bytes.count, isName(bytes[at]) { at += 1 }
        guard at > start, at - start <= Self.maxName else { throw error("expected a name of 1 to \(Self.maxName) bytes") }
        return try decode(bytes[start..<at])
    }

    private mutating func openTag() throws(XMLError) -> XMLEvent {
        at += 1
        let name = try name()
        guard !open.isEmpty || !hadRoot else { throw error("a second element beside the document's") }
        guard open.count < Self.maxDepth else { throw error("elements nested deeper than \(Self.maxDepth)") }
        var attributes: [String: String] = [:]
        while true {
            let before = at
            skipSpace()
            if looking("/>") {
                at += 2
                pendingClose = name
                break
            }
            if looking(">") {
                at += 1
                break
            }
            guard at > before else { throw error("expected white space, '>' or '/>' in <\(name)>") }
            let key = try self.name()
            skipSpace()
            guard looking("=") else { throw error("attribute \(quoted(key)) of <\(name)> has no value") }
            at += 1
            skipSpace()
            guard looking("\"") || looking("'") else { throw error("the value of \(quoted(key)) of <\(name)> is not quoted") }
            let quote = bytes[at]
            at += 1
            let start = at
            while at < bytes.count, bytes[at] != quote {
                guard bytes[at] != UInt8(ascii: "<") else { throw error("'<' in the value of \(quoted(key)) of <\(name)>") }
                at += 1
            }
            guard at < bytes.count else { throw error("the value of \(quoted(key)) of <\(name)> has no end") }
            let value = try unescape(bytes[start..<at])
            at += 1
            guard attributes.updateValue(value, forKey: key) == nil else { throw error("attribute \(quoted(key)) of <\(name)> twice") }
            guard attributes.count <= Self.maxAttributes else { throw error("more than \(Self.maxAttributes) attributes of <\(name)>") }
        }
        hadRoot = true
        open.append(name)
        return .open(name: name, attributes: attributes)
    }

    private mutating func closeTag() throws(XMLError) -> XMLEvent {
        at += 2
        let name = try name()
        skipSpace()
        guard looking(">") else { throw error("expected '>' after </\(name)") }
        guard let opened = open.last, opened == name else {
            throw error("</\(name)> where \(open.last.map { "</\($0)>" } ?? "no element") would end")
        }
        at += 1
        open.removeLast()
        return .close(name: name)
    }

    private func decode(_ slice: ArraySlice<UInt8>) throws(XMLError) -> String {
        guard let text = String(validating: slice, as: UTF8.self) else { throw error("bytes that are not UTF-8") }
        return text
    }

    /// Text with XML's five entities and character references replaced; any other entity is refused.
    private func unescape(_ slice: ArraySlice<UInt8>) throws(XMLError) -> String {
        guard slice.contains(UInt8(ascii: "&")) else { return try decode(slice) }
        var result: [UInt8] = []
        var from = slice.startIndex
        while from < slice.endIndex {
            guard slice[from] == UInt8(ascii: "&") else {
                result.append(slice[from])
                from += 1
                continue
            }
            guard let end = slice[from...].prefix(12).firstIndex(of: UInt8(ascii: ";")) else { throw error("'&' without an entity") }
            let entity = String(decoding: slice[from + 1..<end], as: UTF8.self)
            switch entity {
            case "amp": result.append(UInt8(ascii: "&"))
            case "lt": result.append(UInt8(ascii: "<"))
            case "gt": result.append(UInt8(ascii: ">"))
            case "quot": result.append(UInt8(ascii: "\""))
            case "apos": result.append(UInt8(ascii: "'"))
            default:
                let number = entity.hasPrefix("#x") ? UInt32(entity.dropFirst(2), radix: 16)
                    : entity.hasPrefix("#") ? UInt32(entity.dropFirst()) : nil
                guard let number, let scalar = Unicode.Scalar(number) else { throw error("unknown entity \(quoted(entity))") }
                result.append(contentsOf: Array(String(scalar).utf8))
            }
            from = end + 1
        }
        return try decode(result[...])
    }
}

private func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }

private func isName(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
        UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: ":"), 0x80...:
        true
    default: false
    }
}
