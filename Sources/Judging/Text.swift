// The few things all readers do with text: lines, white space, and messages kept to a bound.

extension String {
    /// Without the ASCII white space around it.
    var trimmed: String {
        let blank: (UInt8) -> Bool = { $0 == 0x20 || (0x09...0x0D).contains($0) }
        guard let first = utf8.firstIndex(where: { !blank($0) }), let last = utf8.lastIndex(where: { !blank($0) }) else { return "" }
        return String(self[first..<utf8.index(after: last)])
    }
}

/// Hands over the lines one by one, without what ends them, until `body` says that it has enough.
func eachLine(of bytes: [UInt8], _ body: (ArraySlice<UInt8>) -> Bool) {
    var start = 0
    while start < bytes.count {
        let end = bytes[start...].firstIndex(of: 0x0A) ?? bytes.count
        let line = bytes[start..<end]
        guard body(line.last == 0x0D ? line.dropLast() : line) else { return }
        start = end + 1
    }
}

/// The beginning and the end of a long text, as the harness shortens its messages.
func bounded(_ text: String, _ characters: Int) -> String {
    // A text of few bytes has few characters: counting those is the slow part.
    guard text.utf8.count > characters, text.unicodeScalars.count > characters else { return text }
    let head = String.UnicodeScalarView(text.unicodeScalars.prefix(characters / 4))
    let tail = String.UnicodeScalarView(text.unicodeScalars.suffix(characters - characters / 4))
    return String(head) + "\n[...]\n" + String(tail)
}

/// A string as an error message may show it: bounded, and no control characters.
func quoted(_ text: some StringProtocol) -> String {
    let shown = text.unicodeScalars.prefix(80).map { $0.value < 32 || $0.value == 127 ? "\u{FFFD}" : String($0) }.joined()
    return text.unicodeScalars.count > 80 ? "'\(shown)…'" : "'\(shown)'"
}
