// The values in a tar header, as its writers put them down: octal or binary numbers, names with or without an end, and
// pax records. Where in a header they stand is TarParser's business.

extension TarParser {
    /// Records of the form `<length> <key>=<value>\n`; only the keys that matter here are kept.
    func readPax(_ records: ArraySlice<UInt8>) throws -> [String: String] {
        var values: [String: String] = [:]
        var rest = records
        while !rest.isEmpty {
            guard let space = rest.prefix(8).firstIndex(of: 32),
                let length = Int(String(decoding: rest[..<space], as: UTF8.self)),
                length > space - rest.startIndex + 1, length <= rest.count,
                rest[rest.startIndex + length - 1] == 10,
                let equals = rest[space..<(rest.startIndex + length)].firstIndex(of: UInt8(ascii: "="))
            else { throw malformed("a pax header that cannot be read", "records of '<length> <key>=<value>'") }
            let key = String(decoding: rest[(space + 1)..<equals], as: UTF8.self)
            let value = rest[(equals + 1)..<(rest.startIndex + length - 1)]
            if ["path", "linkpath", "size", "mtime"].contains(key) || key.hasPrefix("GNU.sparse") {
                guard !value.contains(0) else { throw malformed("a NUL byte in pax \(key)", "text") }
                values[key] = try text(value)
            }
            rest = rest.dropFirst(length)
        }
        return values
    }

    /// Octal digits, or GNU's base 256 for large values.
    func number(_ field: ArraySlice<UInt8>, _ what: String) throws -> Int {
        if let first = field.first, first & 0x80 != 0 {
            // A time before 1970 is the only negative number writers produce; its exact value matters to nobody.
            if first & 0x40 != 0 && what == "mtime" { return 0 }
            var value = Int(first & 0x7f)
            for byte in field.dropFirst() {
                guard value <= Int.max >> 9 else { throw malformed("\(what) beyond 63 bits", "a smaller number") }
                value = value << 8 | Int(byte)
            }
            return value
        }
        var value = 0
        for byte in field {
            if byte == 0 || byte == 32 { if value == 0 { continue } else { break } }
            guard (48...55).contains(byte) else { throw malformed("\(what) with byte \(byte)", "octal digits") }
            value = value << 3 | Int(byte - 48)
        }
        return value
    }

    func text(_ field: ArraySlice<UInt8>) throws -> String {
        let bytes = field.prefix { $0 != 0 }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw malformed("a name that is not UTF-8: \(quoted(String(decoding: bytes, as: UTF8.self)))", "UTF-8")
        }
        return text
    }
}
