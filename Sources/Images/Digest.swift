// SHA-256 in the form everything here is named by: 64 lower-case hexadecimal digits.

import Crypto

/// A digest that is fed piece by piece.
struct SHA256Stream {
    private var hash = SHA256()

    mutating func update(_ bytes: [UInt8]) { hash.update(data: bytes) }
    mutating func update(_ bytes: ArraySlice<UInt8>) { bytes.withUnsafeBytes { hash.update(bufferPointer: $0) } }

    func finish() -> String { hexadecimal(Array(hash.finalize())) }
}

func sha256(_ bytes: [UInt8]) -> String {
    var stream = SHA256Stream()
    stream.update(bytes)
    return stream.finish()
}

func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}

/// `sha256:<hex>` to the bare digits.
func parseDigest(_ text: String, item: String) throws -> String {
    let bare = text.hasPrefix("sha256:") ? String(text.dropFirst(7)) : ""
    guard isSHA256(bare) else {
        throw ImageError.malformed(item: item, found: quoted(text), expected: "'sha256:' and 64 hexadecimal digits")
    }
    return bare
}

func isSHA256(_ text: String) -> Bool {
    text.utf8.count == 64
        && text.utf8.allSatisfy {
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
        }
}
