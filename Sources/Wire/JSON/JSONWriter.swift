// Values → bytes. The caller writes the shape in order; commas are put where they belong. Every answer passes here.

struct JSONWriter {
    private(set) var bytes: [UInt8] = []
    private var needsComma = false

    init(capacity: Int = 512) { bytes.reserveCapacity(capacity) }

    mutating func beginObject() { open(UInt8(ascii: "{")) }
    mutating func endObject() { close(UInt8(ascii: "}")) }
    mutating func beginArray() { open(UInt8(ascii: "[")) }
    mutating func endArray() { close(UInt8(ascii: "]")) }

    /// A key of the protocol, which needs no escapes.
    mutating func key(_ name: String) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        bytes.append(contentsOf: name.utf8)
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    /// A key that came from outside.
    mutating func foreignKey(_ name: String) {
        string(name)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    mutating func string(_ text: String) {
        var text = text
        text.makeContiguousUTF8()
        escaped(text.utf8.span)
    }

    /// A string from bytes that are known to be UTF-8.
    mutating func string(utf8 text: [UInt8]) { escaped(text.span) }

    /// A string that needs no escapes: base64, hexadecimal, one of the protocol's own words.
    mutating func plain(_ text: [UInt8]) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        bytes.append(contentsOf: text)
        bytes.append(UInt8(ascii: "\""))
    }

    mutating func integer(_ value: Int) {
        separate()
        // A buffer for the digits, filled from its end.
        var digits: InlineArray<20, UInt8> = .init(repeating: 0)
        var rest = value.magnitude
        var first = 20
        repeat {
            first -= 1
            digits[first] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        } while rest > 0
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        for index in first..<20 { bytes.append(digits[index]) }
    }

    /// A measured figure, with three decimals at most: milliseconds to the microsecond.
    mutating func figure(_ value: Double) {
        // Beyond this the thousandths are not exact anyway, and what is not finite has no figure.
        guard value.magnitude < 1e12 else { return value.isFinite ? number(value.description) : null() }
        let thousandths = Int((value.magnitude * 1_000).rounded())
        let (whole, fraction) = thousandths.quotientAndRemainder(dividingBy: 1_000)
        separate()
        if value < 0, thousandths > 0 { bytes.append(UInt8(ascii: "-")) }
        needsComma = false
        integer(whole)
        guard fraction > 0 else { return }
        bytes.append(UInt8(ascii: "."))
        var rest = fraction
        for power in [100, 10, 1] where rest > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(rest / power))
            rest %= power
        }
    }

    mutating func bool(_ value: Bool) { number(value ? "true" : "false") }
    mutating func null() { number("null") }

    mutating func newline() {
        bytes.append(0x0a)
        needsComma = false
    }

    private mutating func number(_ text: String) {
        separate()
        bytes.append(contentsOf: text.utf8)
    }

    /// Writes the comma that is due, if one is; the next value will be due one.
    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    private mutating func open(_ bracket: UInt8) {
        separate()
        bytes.append(bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: UInt8) {
        bytes.append(bracket)
        needsComma = true
    }

    private mutating func escaped(_ text: Span<UInt8>) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        var runStart = 0
        for index in text.indices {
            let byte = text[index]
            if byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") { continue }
            append(text, runStart..<index)
            runStart = index + 1
            escape(byte)
        }
        append(text, runStart..<text.count)
        bytes.append(UInt8(ascii: "\""))
    }

    /// Array has no way yet to take a span's elements in one copy but through its buffer.
    private mutating func append(_ text: Span<UInt8>, _ range: Range<Int>) {
        guard !range.isEmpty else { return }
        text.extracting(range).withUnsafeBufferPointer { bytes.append(contentsOf: $0) }
    }

    private mutating func escape(_ byte: UInt8) {
        bytes.append(UInt8(ascii: "\\"))
        switch byte {
        case 0x0a: bytes.append(UInt8(ascii: "n"))
        case 0x09: bytes.append(UInt8(ascii: "t"))
        case 0x0d: bytes.append(UInt8(ascii: "r"))
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes.append(byte)
        default:
            bytes.append(contentsOf: "u00".utf8)
            bytes.append(contentsOf: Hex.text([byte]).utf8)
        }
    }
}
