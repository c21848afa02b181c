// A number's literal → what a field wants. Integers never pass through floating point: a byte count that is off by one
// is another byte count.

enum NumberError: Error { case notInteger, outOfRange }

extension JSONDocument {
    /// The exact integer that the literal at `index` writes; `1e3` and `1.50e2` are integers, `1.5` is not.
    func integer(at index: Int) throws(NumberError) -> Int {
        let literal = contents(of: index)
        if literal.count <= 18 {
            // The usual case: plain digits that cannot overflow.
            var value = 0
            var plain = true
            let negative = literal.first == UInt8(ascii: "-")
            for byte in negative ? literal.dropFirst() : literal {
                let digit = byte &- UInt8(ascii: "0")
                guard digit < 10 else {
                    plain = false
                    break
                }
                value = value * 10 + Int(digit)
            }
            if plain { return negative ? -value : value }
        }
        return try Decimal(literal: literal).integer()
    }

    /// The nearest double to the literal at `index`, as every JSON reader has it.
    func double(at index: Int) -> Double {
        Double(String(decoding: contents(of: index), as: UTF8.self)) ?? .infinity
    }
}

/// A literal taken apart: its digits without the point, and the power of ten they are scaled by.
private struct Decimal {
    var negative = false
    var digits: [UInt8] = []
    var exponent = 0

    init(literal: ArraySlice<UInt8>) {
        var seenPoint = false
        var rest = literal
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "-"): negative = true
            case UInt8(ascii: "."): seenPoint = true
            case UInt8(ascii: "e"), UInt8(ascii: "E"):
                exponent += Decimal.exponent(rest)
                rest = []
            default:
                digits.append(byte - UInt8(ascii: "0"))
                if seenPoint { exponent -= 1 }
            }
        }
        while digits.last == 0 {
            digits.removeLast()
            exponent += 1
        }
        digits = Array(digits.drop { $0 == 0 })
    }

    func integer() throws(NumberError) -> Int {
        if digits.isEmpty { return 0 }
        guard exponent >= 0 else { throw .notInteger }
        guard digits.count + exponent <= 19 else { throw .outOfRange }
        var value: UInt64 = 0
        for digit in digits { value = value * 10 + UInt64(digit) }
        for _ in 0..<exponent { value *= 10 }
        // Nineteen digits fit 64 bits without a sign; the sign is what can be too much.
        if negative, value == UInt64(Int.max) + 1 { return Int.min }
        guard value <= UInt64(Int.max) else { throw .outOfRange }
        return negative ? -Int(value) : Int(value)
    }

    /// An exponent's value, cut to a million: beyond that no literal of at most 1,024 characters is in range.
    private static func exponent(_ text: ArraySlice<UInt8>) -> Int {
        var value = 0
        for byte in text where byte != UInt8(ascii: "+") && byte != UInt8(ascii: "-") {
            value = min(value * 10 + Int(byte - UInt8(ascii: "0")), 1_000_000)
        }
        return text.first == UInt8(ascii: "-") ? -value : value
    }
}
