// A parsed line: the compact form between bytes and typed requests. One flat array of nodes in the order of the text,
// twelve bytes a value, strings as ranges of the line itself; nothing is copied until a typed field asks for it.
// A node knows where its value ends, so a path like `files[2].path` is found from the node alone when an error needs it.

/// Bounds of what a line may hold. The defaults are the protocol's.
public struct JSONLimits: Sendable, Equatable {
    public var maxBytes: Int
    public var maxDepth: Int
    /// Values and keys together: a line of the largest size full of `[[],[],…` may not cost ten times its size.
    public var maxValues: Int

    public init(maxBytes: Int = 64 << 20, maxDepth: Int = 64, maxValues: Int = 4 << 20) {
        self.maxBytes = maxBytes
        self.maxDepth = maxDepth
        self.maxValues = maxValues
    }
}

/// Why a text is not JSON as this protocol takes it.
public struct JSONError: Error, Sendable, Equatable {
    /// Of the byte at fault, counted from 0.
    public var offset: Int
    public var message: String
}

public struct JSONDocument: Sendable {
    enum Kind: UInt8 { case null, `false`, `true`, number, string, array, object }

    /// One value or key.
    struct Node {
        var kind: Kind
        /// Of a string: whether its bytes are in `unescaped` instead of `bytes`.
        var inUnescaped = false
        /// Of a number or string: where it begins. Of a container: how many elements or members it has.
        var start: UInt32
        /// Of a number or string: its length. Of a container: the node after its last.
        var extent: UInt32
    }

    let bytes: [UInt8]
    /// The strings that contain escapes, with the escapes resolved, one after the other.
    let unescaped: [UInt8]
    let nodes: [Node]

    /// Parses one JSON text. Pure: the same bytes always give the same answer, and nothing else happens.
    public static func parse(_ bytes: [UInt8], limits: JSONLimits = JSONLimits()) throws(JSONError) -> JSONDocument {
        var parser = JSONParser(bytes: bytes, limits: limits)
        try parser.parseText()
        return JSONDocument(bytes: bytes, unescaped: parser.unescaped, nodes: parser.nodes)
    }

    /// The outermost value is always the first node.
    var root: Int { 0 }

    /// The node that follows `index` and everything in it.
    func next(after index: Int) -> Int {
        let node = nodes[index]
        return node.kind == .array || node.kind == .object ? Int(node.extent) : index + 1
    }

    /// The bytes of a string (escapes resolved) or the literal of a number.
    func contents(of index: Int) -> ArraySlice<UInt8> {
        let node = nodes[index]
        let range = Int(node.start)..<Int(node.start) + Int(node.extent)
        return node.inUnescaped ? unescaped[range] : bytes[range]
    }

    /// Whether the string at `index` is `text`.
    func string(at index: Int, is text: String) -> Bool {
        let node = nodes[index]
        return node.kind == .string && Int(node.extent) == text.utf8.count && contents(of: index).elementsEqual(text.utf8)
    }

    /// The value under `key` of the object at `object`.
    func member(_ key: String, of object: Int) -> Int? {
        guard nodes[object].kind == .object else { return nil }
        var index = object + 1
        let end = Int(nodes[object].extent)
        while index < end {
            if string(at: index, is: key) { return index + 1 }
            index = next(after: index + 1)
        }
        return nil
    }

    /// Where the value at `target` stands within the value at `origin`: `files[2].path`. Empty for `origin` itself.
    func path(to target: Int, from origin: Int) -> String {
        var path = ""
        var container = origin
        while container != target {
            let isObject = nodes[container].kind == .object
            guard isObject || nodes[container].kind == .array else { break }
            let end = Int(nodes[container].extent)
            var index = container + 1
            var position = 0
            while index < end {
                let value = isObject ? index + 1 : index
                let after = next(after: value)
                if target < after {
                    path += isObject ? (path.isEmpty ? "" : ".") + excerpt(of: index) : "[\(position)]"
                    // A key's own path is that of its value.
                    if target == index { return path }
                    container = value
                    break
                }
                index = after
                position += 1
            }
            guard index < end else { break }
        }
        return path
    }

    /// At most 64 bytes of a string or number, for messages: what is found in a request may be any length.
    func excerpt(of index: Int) -> String {
        let contents = contents(of: index)
        guard contents.count > 64 else { return String(decoding: contents, as: UTF8.self) }
        return String(decoding: contents.prefix(61), as: UTF8.self) + "…"
    }

    /// What is at `index`, in the words of an error message.
    func describe(_ index: Int) -> String {
        switch nodes[index].kind {
        case .null: "null"
        case .false: "false"
        case .true: "true"
        case .number: "the number \(excerpt(of: index))"
        case .string: "the string \"\(excerpt(of: index))\""
        case .array: "an array of \(nodes[index].start)"
        case .object: "an object"
        }
    }
}
