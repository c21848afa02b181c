// The typed view of a parsed line: each function takes a value of one kind or says which field is wrong, what was found
// and what was expected. Every rule about shapes and ranges goes through here, so all errors read alike.

import SandboxCore

struct FieldReader {
    let json: JSONDocument
    /// The value that paths in errors start from: `params`, or a result's outermost object.
    let origin: Int
    /// A key that is not this reader's business: `object` does not visit it.
    var passedOver: Int?

    /// Where `value` stands, in the words of `error.data.field`.
    func path(_ value: Int) -> String { json.path(to: value, from: origin) }

    func wrong(_ value: Int, expected: String) -> Rejected {
        wrong(value, "expected \(expected), found \(json.describe(value))")
    }

    func wrong(_ value: Int, _ problem: String) -> Rejected {
        let path = path(value)
        return Rejected(.invalidRequest, "\(path.isEmpty ? "params" : path): \(problem)", field: path.isEmpty ? "params" : path)
    }

    func missing(_ key: String, in object: Int, _ what: String) -> Rejected {
        let path = path(object)
        let field = path.isEmpty ? key : "\(path).\(key)"
        return Rejected(.invalidRequest, "\(field): missing, expected \(what)", field: field)
    }

    /// Visits each member of an object that may have the keys of `Key` and no others.
    func object<Key: WireKey>(
        _ value: Int, _: Key.Type, _ visit: (Key, Int) throws(Rejected) -> Void
    ) throws(Rejected) {
        guard json.nodes[value].kind == .object else { throw wrong(value, expected: "an object") }
        let table = Key.table
        var index = value + 1
        let end = Int(json.nodes[value].extent)
        while index < end {
            defer { index = json.next(after: index + 1) }
            if index == passedOver { continue }
            guard let key = table.find(json.contents(of: index)) else {
                throw unknownKey(index, known: Key.allCases.map(\.rawValue))
            }
            try visit(key, index + 1)
        }
    }

    func unknownKey(_ key: Int, known: [String]) -> Rejected {
        if known.isEmpty { return wrong(key, "unknown key, expected none") }
        let name = json.excerpt(of: key)
        if let near = nearestName(to: name, among: known) {
            return wrong(key, "unknown key, the nearest known one is \"\(near)\"")
        }
        return wrong(key, "unknown key, expected one of \(known.joined(separator: ", "))")
    }

    /// Visits each element of an array.
    func array(_ value: Int, of what: String, _ visit: (Int) throws(Rejected) -> Void) throws(Rejected) {
        guard json.nodes[value].kind == .array else { throw wrong(value, expected: "an array of \(what)") }
        var index = value + 1
        let end = Int(json.nodes[value].extent)
        while index < end {
            try visit(index)
            index = json.next(after: index)
        }
    }

    func count(_ value: Int) -> Int { Int(json.nodes[value].start) }

    // MARK: Scalars

    func bytes(_ value: Int, _ expected: String = "a string") throws(Rejected) -> ArraySlice<UInt8> {
        guard json.nodes[value].kind == .string else { throw wrong(value, expected: expected) }
        return json.contents(of: value)
    }

    /// Any string, NUL included.
    func text(_ value: Int) throws(Rejected) -> String { String(decoding: try bytes(value), as: UTF8.self) }

    /// A string that is handed to the kernel, where NUL would end it early.
    func kernelText(_ value: Int, bytes range: ClosedRange<Int> = 0...Int.max) throws(Rejected) -> String {
        let contents = try bytes(value)
        guard !contents.contains(0) else { throw wrong(value, "a NUL byte, expected a string without one") }
        guard range.contains(contents.count) else { throw wrongLength(value, contents.count, range) }
        return String(decoding: contents, as: UTF8.self)
    }

    /// A name of something the farm or the client keeps: short, and printable in one line of a log.
    func name(_ value: Int) throws(Rejected) -> String {
        let contents = try bytes(value)
        guard (1...256).contains(contents.count) else { throw wrongLength(value, contents.count, 1...256) }
        guard contents.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else {
            throw wrong(value, "a control character, expected printable text")
        }
        return String(decoding: contents, as: UTF8.self)
    }

    func job(_ value: Int) throws(Rejected) -> JobID { JobID(try name(value)) }

    func bool(_ value: Int) throws(Rejected) -> Bool {
        switch json.nodes[value].kind {
        case .true: true
        case .false: false
        default: throw wrong(value, expected: "true or false")
        }
    }

    func integer(_ value: Int, in range: ClosedRange<Int> = Int.min...Int.max) throws(Rejected) -> Int {
        guard json.nodes[value].kind == .number, let number = try? json.integer(at: value), range.contains(number) else {
            let bounds = range.lowerBound == .min ? "" : " from \(range.lowerBound) to \(range.upperBound)"
            throw wrong(value, expected: "an integer\(bounds)")
        }
        return number
    }

    /// One of the words of an enum.
    func word<Word: RawRepresentable & CaseIterable>(
        _ value: Int, _: Word.Type
    ) throws(Rejected) -> Word where Word.RawValue == String {
        if json.nodes[value].kind == .string,
            let word = Word(rawValue: String(decoding: json.contents(of: value), as: UTF8.self))
        {
            return word
        }
        let known = Word.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
        throw wrong(value, expected: "one of \(known)")
    }

    func base64(_ value: Int) throws(Rejected) -> [UInt8] {
        guard let bytes = Base64.decode(try bytes(value)) else {
            throw wrong(value, "not base64, expected the standard alphabet with padding and nothing else")
        }
        return bytes
    }

    func sha256(_ value: Int) throws(Rejected) -> String {
        let contents = try bytes(value)
        guard Hex.isSHA256(contents) else {
            throw wrong(value, expected: "64 lower-case hexadecimal digits")
        }
        return String(decoding: contents, as: UTF8.self)
    }

    func strings(_ value: Int, of element: (Int) throws(Rejected) -> String) throws(Rejected) -> [String] {
        var result: [String] = []
        if json.nodes[value].kind == .array { result.reserveCapacity(count(value)) }
        try array(value, of: "strings") { (item) throws(Rejected) in result.append(try element(item)) }
        return result
    }

    private func wrongLength(_ value: Int, _ found: Int, _ range: ClosedRange<Int>) -> Rejected {
        let expected = range.upperBound == .max ? "at least \(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
        return wrong(value, "\(found) bytes long, expected \(expected)")
    }
}
