// What is kept of what a program writes.

/// What a program wrote to one stream. Of an output longer than what is kept, head and tail remain.
public struct Output: Sendable, Equatable {
    public var head: [UInt8]
    public var tail: [UInt8]
    /// Everything the program wrote, kept or not.
    public var totalBytes: Int

    public init(head: [UInt8] = [], tail: [UInt8] = [], totalBytes: Int? = nil) {
        self.head = head
        self.tail = tail
        self.totalBytes = totalBytes ?? head.count + tail.count
    }

    public var truncated: Bool { totalBytes > head.count + tail.count }
}

extension Output {
    /// The same output with at most `bytes` of its beginning and as many of its end.
    public func cut(to bytes: Int) -> Output {
        guard head.count + tail.count > 2 * bytes else { return self }
        let whole = truncated ? nil : head + tail
        return Output(
            head: Array((whole ?? head).prefix(bytes)), tail: Array((whole ?? (tail.isEmpty ? head : tail)).suffix(bytes)),
            totalBytes: totalBytes
        ).withoutHalfCharacters
    }

    /// The same output without the parts of a character that the cut went through, so that text stays text. Bytes that
    /// are no UTF-8 anyway stay as they are.
    public var withoutHalfCharacters: Output {
        guard truncated else { return self }
        var output = self
        let begun = Self.beginningOfCharacter(atEndOf: head)
        if begun > 0, Self.isText(head.dropLast(begun)) { output.head.removeLast(begun) }
        let rest = tail.prefix(3).prefix { $0 & 0xc0 == 0x80 }.count
        if rest > 0, Self.isText(tail.dropFirst(rest)) { output.tail.removeFirst(rest) }
        return output
    }

    /// How many bytes at the end begin a character that needs more than that.
    private static func beginningOfCharacter(atEndOf bytes: [UInt8]) -> Int {
        for (count, byte) in zip(1...3, bytes.reversed()) where byte & 0xc0 != 0x80 {
            let length =
                switch byte {
                case 0xc2...0xdf: 2
                case 0xe0...0xef: 3
                case 0xf0...0xf4: 4
                default: 1
                }
            return length > count ? count : 0
        }
        return 0
    }

    /// Whether it is UTF-8, and anything at all: next to nothing, a few bytes say nothing of what they are a part of.
    private static func isText(_ bytes: ArraySlice<UInt8>) -> Bool {
        !bytes.isEmpty && String(validating: bytes, as: UTF8.self) != nil
    }
}
