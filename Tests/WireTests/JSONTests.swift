// The parser and the writer by themselves: what RFC 8259 allows is read, and nothing else.

import Testing

@testable import Wire

@Suite("JSON")
struct JSONTests {
    private func parse(_ text: String, limits: JSONLimits = JSONLimits()) throws(JSONError) -> JSONDocument {
        try JSONDocument.parse(Array(text.utf8), limits: limits)
    }

    private func string(_ text: String) throws -> String {
        let json = try parse(text)
        #expect(json.nodes[0].kind == .string)
        return String(decoding: json.contents(of: 0), as: UTF8.self)
    }

    private func integer(_ text: String) throws -> Int { try parse(text).integer(at: 0) }

    @Test("valid texts are read", arguments: [
        "null", " true ", "false\r\n", "0", "-0", "10.25e-3", "1E+2", "\"\"", "\"é😀\"", "[]", "{}", "[1,[2,{\"a\":[]}],3]",
        #"{"a":1,"b":{"a":1}}"#, #"{"":0}"#, "\t[ 1 , 2 ]", "\"\u{7f}\"",
    ])
    func valid(_ text: String) throws { _ = try parse(text) }

    @Test("invalid texts are refused at the right byte", arguments: [
        ("", 0), (" ", 1), ("nul", 0), ("nulll", 4), ("{", 1), ("[1", 2), ("[1,]", 3), ("[,1]", 1), ("{\"a\"}", 4),
        ("{\"a\":}", 5), ("{\"a\":1,}", 7), ("{a:1}", 1), ("{1:1}", 1), ("01", 1), ("-", 1), ("+1", 0), ("1.", 2), (".5", 0),
        ("1e", 2), ("1e+", 3), ("0x10", 1), ("NaN", 0), ("Infinity", 0), ("\"", 1), ("\"a", 2), ("\"\\", 2), ("\"\\x\"", 1),
        ("\"\\u12\"", 5), ("\"\\u12g4\"", 5), ("\"\u{01}\"", 1), ("\"a\nb\"", 2), ("1 2", 2), ("'a'", 0), ("[1}", 2),
        ("\"\\ud800\"", 1), ("\"\\udc00\"", 1), ("\"\\ud800\\u0041\"", 1), ("\"\\ud800x\"", 1), ("\u{feff}1", 0), ("1//", 1),
    ])
    func invalid(_ text: String, _ offset: Int) {
        let error = #expect(throws: JSONError.self) { _ = try parse(text) }
        #expect(error?.offset == offset, "\(text): \(error?.message ?? "")")
    }

    @Test("bytes that are not UTF-8 are refused in strings", arguments: [
        [0x80], [0xc0, 0xaf], [0xc1, 0xbf], [0xe0, 0x80, 0x80], [0xed, 0xa0, 0x80], [0xf0, 0x80, 0x80, 0x80],
        [0xf4, 0x90, 0x80, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xff], [0xc3], [0xe2, 0x82], [0xf0, 0x9f, 0x98],
    ] as [[UInt8]])
    func invalidUTF8(_ bytes: [UInt8]) {
        for tail in [[], [UInt8(ascii: "a")]] as [[UInt8]] {
            let error = #expect(throws: JSONError.self) {
                _ = try JSONDocument.parse([UInt8(ascii: "\""), 0x61] + bytes + tail + [UInt8(ascii: "\"")])
            }
            #expect(error?.offset == 2)
        }
        #expect(!UTF8Rules.isValid(bytes))
    }

    @Test("every scalar of Unicode survives the writer and the parser")
    func everyScalar() throws {
        var text = ""
        for value in UInt32(0)...0x10ffff where value < 0x3000 || value % 61 == 0 {
            if let scalar = Unicode.Scalar(value) { text.unicodeScalars.append(scalar) }
        }
        var writer = JSONWriter()
        writer.string(text)
        let json = try JSONDocument.parse(writer.bytes)
        #expect(String(decoding: json.contents(of: 0), as: UTF8.self) == text)
    }

    @Test("escapes are resolved")
    func escapes() throws {
        #expect(try string(#""\"\\\/\b\f\n\r\t\u0041\u00e9\u20ac\ud83d\ude00z""#) == "\"\\/\u{8}\u{c}\n\r\tAé€😀z")
        #expect(try string(#""\u0000""#) == "\0")
    }

    @Test("depth is bounded, and the bound itself is allowed")
    func depth() throws {
        func nested(_ depth: Int) -> String { String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
        _ = try parse(nested(64))
        let error = #expect(throws: JSONError.self) { _ = try parse(nested(65)) }
        #expect(error == JSONError(offset: 64, message: "nested deeper than 64"))
        #expect(throws: JSONError.self) { _ = try parse(String(repeating: "[{\"a\":", count: 100_000)) }
    }

    @Test("length and number of values are bounded")
    func bounds() throws {
        #expect(throws: JSONError.self) { _ = try parse("[1,2,3]", limits: JSONLimits(maxBytes: 6)) }
        #expect(throws: JSONError.self) { _ = try parse("[1,2,3]", limits: JSONLimits(maxValues: 3)) }
        _ = try parse("[1,2,3]", limits: JSONLimits(maxBytes: 7, maxValues: 4))
        #expect(throws: JSONError.self) { _ = try parse(String(repeating: "1", count: 1_025)) }
    }

    @Test("a key that is in an object twice is refused, in small and large objects, however it is written")
    func duplicateKeys() throws {
        for text in [#"{"a":1,"a":2}"#, #"{"a":1,"b":[{}],"\u0061":2}"#, #"{"x":{"k":1,"l":{},"k":1}}"#] {
            let error = #expect(throws: JSONError.self) { _ = try parse(text) }
            #expect(error?.message.contains("twice") == true)
        }
        let many = (0..<1_000).map { "\"key\($0)\":{\"a\":[1,2]}" }
        _ = try parse("{" + many.joined(separator: ",") + "}")
        let error = #expect(throws: JSONError.self) { _ = try parse("{" + (many + ["\"key500\":0"]).joined(separator: ",") + "}") }
        #expect(error?.message.contains("key500") == true)
    }

    @Test("integers are exact", arguments: [
        ("0", 0), ("-0", 0), ("1e3", 1_000), ("1.50e2", 150), ("1000e-3", 1), ("0e99999999999999999999", 0),
        ("-12.0", -12), ("9223372036854775807", Int.max), ("-9223372036854775808", Int.min), ("9007199254740993", 9_007_199_254_740_993),
        ("0.00001e5", 1), ("92233720368547758070e-1", Int.max), ("123456789012345678", 123_456_789_012_345_678),
    ])
    func integers(_ text: String, _ value: Int) throws { #expect(try integer(text) == value) }

    @Test("what is no integer of 64 bits is none", arguments: [
        "1.5", "1e-1", "9223372036854775808", "-9223372036854775809", "1e19", "1e999999999999", "0.1e-99999999999", "18446744073709551616",
    ])
    func notIntegers(_ text: String) { #expect(throws: NumberError.self) { _ = try integer(text) } }

    @Test("integers and figures are written as they are read")
    func numbers() throws {
        for value in [0, 7, -1, 10, 999, Int.max, Int.min] {
            var writer = JSONWriter()
            writer.integer(value)
            #expect(String(decoding: writer.bytes, as: UTF8.self) == String(value))
        }
        let figures: [(Double, String)] = [
            (0, "0"), (12.1, "12.1"), (0.0004, "0"), (0.0005, "0.001"), (-1.25, "-1.25"), (1_000, "1000"), (3.007, "3.007"),
            (.nan, "null"), (.infinity, "null"), (1e300, "1e+300"), (-0.0001, "0"), (99.9999, "100"),
        ]
        for (value, text) in figures {
            var writer = JSONWriter()
            writer.figure(value)
            #expect(String(decoding: writer.bytes, as: UTF8.self) == text)
        }
    }

    @Test("base64 is the standard one, and only one text stands for some bytes")
    func base64() {
        let pairs = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy")]
        for (plain, coded) in pairs {
            #expect(Base64.encode(Array(plain.utf8)) == Array(coded.utf8))
            #expect(Base64.decode(Array(coded.utf8)[...]) == Array(plain.utf8))
        }
        for bad in ["Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zm9v\n", " Zm9", "Zm-_", "====", "=g==", "Zg==Zg==", "Z===", "Zg=a", "Zm9vYg==="] {
            #expect(Base64.decode(Array(bad.utf8)[...]) == nil, "\(bad)")
        }
        let all = (0...255).map { UInt8($0) } + [0, 255]
        #expect(Base64.decode(Base64.encode(all)[...]) == all)
    }
}
