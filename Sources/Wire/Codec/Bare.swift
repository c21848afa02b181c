// Parts of the protocol's lines by themselves, for who prints them or keeps them in files: what is in them is the same,
// byte for byte and rule for rule, as on the wire.

import SandboxCore

public enum Bare {
    /// The `result` of an answer, without a newline.
    public static func result(_ answer: Answer) -> [UInt8] {
        var writer = JSONWriter()
        writer.answer(answer)
        return writer.bytes
    }

    /// The `error` object of a failure, without a newline.
    public static func error(_ error: ErrorObject) -> [UInt8] {
        var writer = JSONWriter()
        writer.object(error)
        return writer.bytes
    }

    /// A job as a file of jobs has it: what `job.run` takes, and beside its keys `id`, the file's own name for it.
    public struct Job: Sendable, Equatable {
        public var request: JobRequest
        /// A JSON string or number, to be put beside the job's result.
        public var id: [UInt8]?

        /// A text that is no job, and its `id` as far as it had one.
        public struct Invalid: Error, Sendable, Equatable {
            public var id: [UInt8]?
            public var error: ErrorObject
        }

        /// Decodes one JSON text.
        public static func decode(_ text: [UInt8], limits: JSONLimits = JSONLimits()) throws(Invalid) -> Job {
            let json: JSONDocument
            do {
                json = try JSONDocument.parse(text, limits: limits)
            } catch {
                throw Invalid(error: .notJSON("byte \(error.offset): \(error.message)"))
            }
            var id: [UInt8]?
            do {
                let name = json.member("id", of: json.root)
                // A member's key is the node before its value.
                let reader = FieldReader(json: json, origin: json.root, passedOver: name.map { $0 - 1 })
                id = try name.map { (value) throws(Rejected) in try reader.ownName(value) }
                return Job(request: try reader.jobRequest(json.root, surviveDisconnect: false), id: id)
            } catch {
                throw Invalid(id: id, error: ErrorObject(.rejected(error)))
            }
        }
    }
}

extension FieldReader {
    fileprivate func ownName(_ value: Int) throws(Rejected) -> [UInt8] {
        let node = json.nodes[value]
        guard node.kind == .number || node.kind == .string, node.extent <= 256 else {
            throw wrong(value, expected: "a string or a number of at most 256 bytes")
        }
        guard node.kind == .string else { return Array(json.contents(of: value)) }
        var writer = JSONWriter()
        writer.string(utf8: Array(json.contents(of: value)))
        return writer.bytes
    }
}
