// `--json`: what the protocol speaks of is printed exactly as on the wire; what only the command line knows is one JSON
// object with snake_case keys.

import Foundation
import Wire

enum MachineForm {
    /// The `result` of an answer, as a line.
    static func line(_ answer: Answer) -> [UInt8] { Bare.result(answer) + [0x0a] }

    static func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }
}
