// Bytes → nodes: the whole of RFC 8259 and nothing beside it. Strict where JSON leaves a choice, because two readers
// that choose differently are a way around a check: duplicate keys, bad UTF-8 and lone surrogates are errors.

struct JSONParser {
    let bytes: [UInt8]
    private let limits: JSONLimits
    private(set) var position = 0
    private(set) var nodes: [JSONDocument.Node] = []
    private(set) var unescaped: [UInt8] = []

    init(bytes: [UInt8], limits: JSONLimits) {
        self.bytes = bytes
        self.limits = limits
        nodes.reserveCapacity(min(32 + bytes.count / 32, 1 << 12))
    }

    mutating func parseText() throws(JSONError) {
        // Offsets are 32 bits wide.
        guard bytes.count <= min(limits.maxBytes, Int(UInt32.max)) else {
            throw JSONError(offset: limits.maxBytes, message: "the text is longer than \(limits.maxBytes) bytes")
        }
        skipWhitespace()
        try parseValue(depth: 0)
        skipWhitespace()
        guard position == bytes.count else { throw unexpected("the end of the text") }
    }

    private mutating func parseValue(depth: Int) throws(JSONError) {
        guard position < bytes.count else { throw unexpected("a value") }
        switch bytes[position] {
        case UInt8(ascii: "\""): try parseString()
        case UInt8(ascii: "{"): try parseObject(depth: depth + 1)
        case UInt8(ascii: "["): try parseArray(depth: depth + 1)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try parseNumber()
        case UInt8(ascii: "t"): try parseWord("true", .true)
        case UInt8(ascii: "f"): try parseWord("false", .false)
        case UInt8(ascii: "n"): try parseWord("null", .null)
        default: throw unexpected("a value")
        }
    }

    private mutating func parseObject(depth: Int) throws(JSONError) {
        let object = try open(.object, depth: depth)
        var members: UInt32 = 0
        if !consume(UInt8(ascii: "}")) {
            repeat {
                skipWhitespace()
                guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else { throw unexpected("a key") }
                try parseString()
                skipWhitespace()
                guard consume(UInt8(ascii: ":")) else { throw unexpected("':'") }
                skipWhitespace()
                try parseValue(depth: depth)
                members += 1
                skipWhitespace()
            } while consume(UInt8(ascii: ","))
            guard consume(UInt8(ascii: "}")) else { throw unexpected("',' or '}'") }
        }
        close(object, count: members)
        if members > 1 { try rejectDuplicateKeys(of: object) }
    }

    private mutating func parseArray(depth: Int) throws(JSONError) {
        let array = try open(.array, depth: depth)
        var elements: UInt32 = 0
        if !consume(UInt8(ascii: "]")) {
            repeat {
                skipWhitespace()
                try parseValue(depth: depth)
                elements += 1
                skipWhitespace()
            } while consume(UInt8(ascii: ","))
            guard consume(UInt8(ascii: "]")) else { throw unexpected("',' or ']'") }
        }
        close(array, count: elements)
    }

    private mutating func open(_ kind: JSONDocument.Kind, depth: Int) throws(JSONError) -> Int {
        guard depth <= limits.maxDepth else {
            throw JSONError(offset: position, message: "nested deeper than \(limits.maxDepth)")
        }
        let index = nodes.count
        try append(.init(kind: kind, start: 0, extent: 0))
        position += 1
        skipWhitespace()
        return index
    }

    private mutating func close(_ index: Int, count: UInt32) {
        nodes[index].start = count
        nodes[index].extent = UInt32(nodes.count)
    }

    private mutating func append(_ node: JSONDocument.Node) throws(JSONError) {
        guard nodes.count < limits.maxValues else {
            throw JSONError(offset: position, message: "more than \(limits.maxValues) values")
        }
        nodes.append(node)
    }

    private mutating func parseWord(_ word: String, _ kind: JSONDocument.Kind) throws(JSONError) {
        guard bytes[position...].starts(with: word.utf8) else { throw unexpected("a value") }
        try append(.init(kind: kind, start: UInt32(position), extent: UInt32(word.utf8.count)))
        position += word.utf8.count
    }

    private mutating func parseNumber() throws(JSONError) {
        let start = position
        _ = consume(UInt8(ascii: "-"))
        if !consume(UInt8(ascii: "0")) { try skipDigits() }
        if consume(UInt8(ascii: ".")) { try skipDigits() }
        if consume(UInt8(ascii: "e")) || consume(UInt8(ascii: "E")) {
            if !consume(UInt8(ascii: "-")) { _ = consume(UInt8(ascii: "+")) }
            try skipDigits()
        }
        guard position - start <= 1_024 else {
            throw JSONError(offset: start, message: "a number of \(position - start) characters; at most 1024 are read")
        }
        try append(.init(kind: .number, start: UInt32(start), extent: UInt32(position - start)))
    }

    private mutating func skipDigits() throws(JSONError) {
        let start = position
        while position < bytes.count, bytes[position] &- UInt8(ascii: "0") < 10 { position += 1 }
        guard position > start else { throw unexpected("a digit") }
    }

    /// A string without escapes stays where it is in the line; one with escapes is written out to `unescaped`.
    private mutating func parseString() throws(JSONError) {
        position += 1
        let start = position
        let end = try skipPlain()
        if bytes[end] == UInt8(ascii: "\"") {
            position = end + 1
            return try append(.init(kind: .string, start: UInt32(start), extent: UInt32(end - start)))
        }
        let first = unescaped.count
        var runStart = start
        while true {
            unescaped.append(contentsOf: bytes[runStart..<position])
            if bytes[position] == UInt8(ascii: "\"") { break }
            try parseEscape()
            runStart = position
            _ = try skipPlain()
        }
        position += 1
        let length = UInt32(unescaped.count - first)
        try append(.init(kind: .string, inUnescaped: true, start: UInt32(first), extent: length))
    }

    /// Goes on to the next quote or backslash, which is there when this returns.
    private mutating func skipPlain() throws(JSONError) -> Int {
        var index = position
        let count = bytes.count
        while index < count {
            let byte = bytes[index]
            if byte >= 0x20, byte < 0x80, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
                index += 1
                continue
            }
            if byte >= 0x80 {
                let length = UTF8Rules.sequenceLength(in: bytes, at: index)
                guard length > 0 else { throw JSONError(offset: index, message: "not UTF-8") }
                index += length
                continue
            }
            position = index
            guard byte >= 0x20 else {
                throw JSONError(offset: index, message: "a control character in a string, expected an escape")
            }
            return index
        }
        throw JSONError(offset: count, message: "the text ends within a string")
    }

    private mutating func parseEscape() throws(JSONError) {
        guard position + 1 < bytes.count else {
            throw JSONError(offset: bytes.count, message: "the text ends within a string")
        }
        let offset = position
        position += 2
        switch bytes[offset + 1] {
        case UInt8(ascii: "n"): unescaped.append(0x0a)
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): unescaped.append(bytes[offset + 1])
        case UInt8(ascii: "t"): unescaped.append(0x09)
        case UInt8(ascii: "r"): unescaped.append(0x0d)
        case UInt8(ascii: "b"): unescaped.append(0x08)
        case UInt8(ascii: "f"): unescaped.append(0x0c)
        case UInt8(ascii: "u"):
            var scalar = try parseHex()
            if scalar & 0xfc00 == 0xd800, position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
                bytes[position + 1] == UInt8(ascii: "u")
            {
                position += 2
                let low = try parseHex()
                guard low & 0xfc00 == 0xdc00 else { throw JSONError(offset: offset, message: "half of a surrogate pair") }
                scalar = 0x10000 + (scalar & 0x3ff) << 10 + low & 0x3ff
            }
            guard let unicode = Unicode.Scalar(scalar) else {
                throw JSONError(offset: offset, message: "half of a surrogate pair")
            }
            unescaped.append(contentsOf: UTF8.encode(unicode)!)
        default: throw JSONError(offset: offset, message: "an unknown escape")
        }
    }

    private mutating func parseHex() throws(JSONError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard position < bytes.count, let digit = Hex.value(of: bytes[position]) else {
                throw unexpected("a hexadecimal digit")
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }

    private mutating func skipWhitespace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x0a, 0x0d, 0x09: position += 1
            default: return
            }
        }
    }

    private mutating func consume(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private func unexpected(_ expected: String) -> JSONError {
        guard position < bytes.count else {
            return JSONError(offset: position, message: "expected \(expected), found the end of the text")
        }
        let byte = bytes[position]
        let found = byte > 0x20 && byte < 0x7f ? "'\(Character(Unicode.Scalar(byte)))'" : "byte 0x\(Hex.text([byte]))"
        return JSONError(offset: position, message: "expected \(expected), found \(found)")
    }
}
