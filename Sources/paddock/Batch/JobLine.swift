// One line of a jobs file → a request. The line is the protocol's job object, with one key more: `id`, the file's own
// name for the job, which comes back beside its result.

import SandboxCore
import Wire

struct JobLine: Sendable {
    var number: Int
    /// As it was written: a JSON string or number.
    var id: [UInt8]?
    var request: JobRequest
    var bytes: Int

    /// A line that is no job.
    struct Bad: Error {
        var number: Int
        var id: [UInt8]?
        var error: ErrorObject
    }

    static func read(_ line: [UInt8], number: Int) throws(Bad) -> JobLine {
        do {
            _ = try JSONDocument.parse(line)
        } catch {
            throw Bad(number: number, error: parseError("byte \(error.offset): \(error.message)"))
        }
        let (rest, id) = Self.takeID(line)
        if let id, !(id.first == UInt8(ascii: "\"") || id.first.map { $0 == UInt8(ascii: "-") || (0x30...0x39).contains($0) } ?? false) || id.count > 256 {
            throw Bad(
                number: number,
                error: ErrorObject(
                    code: -32602, message: "id: expected a string or a number of at most 256 bytes", kind: .rejected, reason: "invalid_request",
                    field: "id"))
        }
        do {
            // The protocol's own decoder judges the job, so that a file and a socket follow the same rules.
            let call = try Request.decode(Array(#"{"jsonrpc":"2.0","id":0,"method":"job.run","params":"#.utf8) + rest + Array("}".utf8)).call
            guard case .jobRun(var request) = call else { throw Bad(number: number, id: id, error: parseError("not a job")) }
            request.stream = false
            return JobLine(number: number, id: id, request: request, bytes: line.count)
        } catch let invalid as Request.Invalid {
            throw Bad(number: number, id: id, error: invalid.error)
        } catch let bad as Bad {
            throw bad
        } catch {
            throw Bad(number: number, id: id, error: parseError("not a job"))
        }
    }

    private static func parseError(_ message: String) -> ErrorObject {
        ErrorObject(code: -32700, message: message, kind: .rejected, reason: "parse_error")
    }

    /// Takes the member `id` out of the outermost object of a valid JSON text.
    private static func takeID(_ line: [UInt8]) -> (rest: [UInt8], id: [UInt8]?) {
        var scan = Scan(line)
        scan.skipBlanks()
        guard scan.take("{") else { return (line, nil) }
        var previousComma: Int?
        while true {
            scan.skipBlanks()
            let begin = scan.index
            guard scan.byte == UInt8(ascii: "\"") else { return (line, nil) }
            scan.skipValue()
            let isID = Array(line[begin..<scan.index]) == Array(#""id""#.utf8)
            scan.skipBlanks()
            guard scan.take(":") else { return (line, nil) }
            scan.skipBlanks()
            let valueBegin = scan.index
            scan.skipValue()
            let value = valueBegin..<scan.index
            scan.skipBlanks()
            let comma = scan.index
            let hasNext = scan.take(",")
            if isID {
                // With the comma after it, or else with the one before.
                let cut = hasNext ? begin..<(comma + 1) : (previousComma ?? begin)..<value.upperBound
                return (Array(line[..<cut.lowerBound]) + Array(line[cut.upperBound...]), Array(line[value]))
            }
            guard hasNext else { return (line, nil) }
            previousComma = comma
        }
    }
}

/// Walks over JSON text that is known to be valid.
private struct Scan {
    let text: [UInt8]
    private(set) var index = 0

    init(_ text: [UInt8]) { self.text = text }

    var byte: UInt8? { index < text.count ? text[index] : nil }

    mutating func skipBlanks() { while let byte, byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d { index += 1 } }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard byte == UInt8(ascii: character) else { return false }
        index += 1
        return true
    }

    mutating func skipValue() {
        switch byte {
        case UInt8(ascii: "\""): skipString()
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            var depth = 0
            repeat {
                switch byte {
                case UInt8(ascii: "\""):
                    skipString()
                    continue
                case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
                case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
                default: break
                }
                index += 1
            } while depth > 0 && index < text.count
        default:
            while let byte, !" \t\r\n,]}".utf8.contains(byte) { index += 1 }
        }
    }

    private mutating func skipString() {
        index += 1
        while let byte, byte != UInt8(ascii: "\"") { index += byte == UInt8(ascii: "\\") ? 2 : 1 }
        index += 1
    }
}
