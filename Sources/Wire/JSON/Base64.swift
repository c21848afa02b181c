// Standard base64 with padding (RFC 4648, section 4), strict: one text for each sequence of bytes and no other.

enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    /// The six bits each byte stands for; 255 for a byte outside the alphabet.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 256)
        for (value, byte) in alphabet.enumerated() { values[Int(byte)] = UInt8(value) }
        return values
    }()
    private static let padding = UInt8(ascii: "=")

    static func encode(_ bytes: [UInt8]) -> [UInt8] {
        let alphabet = alphabet
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        var index = 0
        while index + 3 <= bytes.count {
            let group = UInt32(bytes[index]) << 16 | UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index + 2])
            text.append(alphabet[Int(group >> 18)])
            text.append(alphabet[Int(group >> 12 & 63)])
            text.append(alphabet[Int(group >> 6 & 63)])
            text.append(alphabet[Int(group & 63)])
            index += 3
        }
        let left = bytes.count - index
        guard left > 0 else { return text }
        let group = UInt32(bytes[index]) << 16 | (left == 2 ? UInt32(bytes[index + 1]) << 8 : 0)
        text.append(alphabet[Int(group >> 18)])
        text.append(alphabet[Int(group >> 12 & 63)])
        text.append(left == 2 ? alphabet[Int(group >> 6 & 63)] : padding)
        text.append(padding)
        return text
    }

    /// - Returns: `nil` for anything that `encode` would not have written.
    static func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        let values = values
        let padded = text.suffix(2).count { $0 == padding }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 4 * 3)
        var index = text.startIndex
        let whole = padded > 0 ? text.endIndex - 4 : text.endIndex
        while index < whole {
            let first = values[Int(text[index])], second = values[Int(text[index + 1])]
            let third = values[Int(text[index + 2])], fourth = values[Int(text[index + 3])]
            guard (first | second | third | fourth) < 64 else { return nil }
            bytes.append(first << 2 | second >> 4)
            bytes.append(second << 4 | third >> 2)
            bytes.append(third << 6 | fourth)
            index += 4
        }
        guard padded > 0 else { return bytes }
        let first = values[Int(text[index])], second = values[Int(text[index + 1])]
        guard (first | second) < 64, text[index + 3] == padding else { return nil }
        bytes.append(first << 2 | second >> 4)
        if padded == 2 { return second & 15 == 0 ? bytes : nil }
        let third = values[Int(text[index + 2])]
        guard third < 64, third & 3 == 0 else { return nil }
        bytes.append(second << 4 | third >> 2)
        return bytes
    }
}
