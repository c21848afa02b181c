// `--json`: what the protocol speaks of is printed exactly as on the wire; what only the command line knows is one JSON
// object with snake_case keys.

import Foundation
import Wire

enum MachineForm {
    /// The `result` of an answer, as it stands in its line.
    static func wire(_ answer: Answer) -> [UInt8] {
        // The envelope is this very process's own writing: its beginning and its end are known to the byte.
        let line = Line.answer(.number(0), answer)
        let head = #"{"jsonrpc":"2.0","id":0,"result":"#.utf8.count
        return Array(line[head..<(line.count - 2)]) + [0x0a]
    }

    /// The `error` object of a failure, without a newline.
    static func wire(_ error: ErrorObject) -> [UInt8] {
        let line = Line.error(.number(0), error)
        let head = #"{"jsonrpc":"2.0","id":0,"error":"#.utf8.count
        return Array(line[head..<(line.count - 2)])
    }

    static func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }
}
