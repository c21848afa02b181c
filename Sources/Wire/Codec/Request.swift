// One line of a client → a call with its id. The first thing that looks at bytes from outside, and the entry of the
// fuzzer: a pure function that either returns a request or says what to answer.

import SandboxCore

/// A request as it came over a connection.
public struct Request: Sendable, Equatable {
    public var id: RequestID
    public var call: Call

    public init(id: RequestID, call: Call) {
        self.id = id
        self.call = call
    }

    /// A line that is no request: what to answer, and the id to answer to, where the line had one.
    public struct Invalid: Error, Sendable, Equatable {
        public var id: RequestID?
        public var error: ErrorObject
    }

    /// Decodes one line, without its newline.
    public static func decode(_ line: [UInt8], limits: JSONLimits = JSONLimits()) throws(Invalid) -> Request {
        let json: JSONDocument
        do {
            json = try JSONDocument.parse(line, limits: limits)
        } catch {
            throw Invalid(id: nil, error: .notJSON("byte \(error.offset): \(error.message)"))
        }
        var id: RequestID?
        do {
            id = try decodeID(json)
            let (method, params) = try envelope(json)
            return Request(id: id!, call: try decodeCall(method, params: params, json: json))
        } catch let error {
            throw Invalid(id: id, error: error)
        }
    }

    private enum EnvelopeKey: String, WireKey {
        case jsonrpc, id, method, params
        static let table = KeyTable<Self>()
    }

    /// The id comes first, so that whatever else is wrong can be answered under it.
    private static func decodeID(_ json: JSONDocument) throws(ErrorObject) -> RequestID {
        switch json.nodes[json.root].kind {
        case .object: break
        case .array: throw .notRequest("an array, expected one request object: batches are not accepted")
        default: throw .notRequest("expected a request object, found \(json.describe(json.root))")
        }
        guard let id = json.member("id", of: json.root) else {
            throw .notRequest("id: missing, expected an integer or a string: every call is answered", field: "id")
        }
        guard let decoded = json.requestID(at: id) else {
            let found = json.describe(id)
            throw .notRequest("id: expected an integer or a string of at most 256 bytes, found \(found)", field: "id")
        }
        return decoded
    }

    private static func envelope(_ json: JSONDocument) throws(ErrorObject) -> (Method, params: Int?) {
        var version: Int?
        var method: Int?
        var params: Int?
        do {
            let reader = FieldReader(json: json, origin: json.root)
            try reader.object(json.root, EnvelopeKey.self) { (key, value) throws(Rejected) in
                switch key {
                case .jsonrpc: version = value
                case .id: break
                case .method: method = value
                case .params: params = value
                }
            }
        } catch {
            throw .notRequest(error.message, field: error.field)
        }
        guard let version, json.string(at: version, is: "2.0") else {
            let found = version.map(json.describe) ?? "nothing"
            throw .notRequest("jsonrpc: expected the string \"2.0\", found \(found)", field: "jsonrpc")
        }
        guard let method, json.nodes[method].kind == .string else {
            let found = method.map(json.describe) ?? "nothing"
            throw .notRequest("method: expected a string, found \(found)", field: "method")
        }
        guard let known = Method.table.find(json.contents(of: method)) else {
            let near = nearestName(to: json.excerpt(of: method), among: Method.allCases.map(\.rawValue))
            let hint = near.map { ", the nearest known one is \"\($0)\"" } ?? ""
            throw .unknownMethod("method: unknown method \"\(json.excerpt(of: method))\"\(hint)")
        }
        return (known, params)
    }

    private static func decodeCall(_ method: Method, params: Int?, json: JSONDocument) throws(ErrorObject) -> Call {
        do {
            // A call without parameters may leave them out: it is the same as an empty object.
            guard let params else { return try FieldReader.withoutParams.call(method, params: 0) }
            return try FieldReader(json: json, origin: params).call(method, params: params)
        } catch {
            throw ErrorObject(.rejected(error))
        }
    }
}

extension Method: WireKey {
    static let table = KeyTable<Method>()
}

extension FieldReader {
    /// Reads `{}`.
    fileprivate static let withoutParams = FieldReader(
        json: JSONDocument(bytes: [], unescaped: [], nodes: [.init(kind: .object, start: 0, extent: 1)]), origin: 0)
}

extension JSONDocument {
    func requestID(at index: Int) -> RequestID? {
        switch nodes[index].kind {
        case .number: (try? integer(at: index)).map(RequestID.number)
        case .string where nodes[index].extent <= 256: .string(String(decoding: contents(of: index), as: UTF8.self))
        default: nil
        }
    }
}
