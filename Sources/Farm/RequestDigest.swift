// What an idempotency key stands for: a digest of the request that came with it first. A second request with the key is
// the same job only if it asks for the same; what it holds is 32 bytes, however large the job.

import Crypto
import SandboxCore

/// The SHA-256 of what is run, with what and where, what comes back, and the labels. Left out is how a job is handled on
/// its way (priority, deadline, streaming, what a disconnect does): a client that tries again may choose that anew.
///
/// A content counts by its own SHA-256, so that it is the same whether it comes with the request or as a blob.
struct RequestDigest: Sendable, Equatable {
    private let words: SIMD4<UInt64>

    init(_ request: JobRequest) {
        var writer = Writer()
        writer.put(request)
        var words = SIMD4<UInt64>()
        for (index, byte) in SHA256.hash(data: writer.bytes).enumerated() { words[index / 8] |= UInt64(byte) << (index % 8 * 8) }
        self.words = words
    }
}

/// A request as bytes that no other request has: every part with its length before it, every list with its count.
private struct Writer {
    var bytes: [UInt8] = []

    mutating func put(_ request: JobRequest) {
        put(request.work)
        put(optional: request.stdin) { $0.put($1) }
        put(list: request.environment.sorted { $0.key < $1.key }) { $0.put($1.key); $0.put($1.value) }
        put(optional: request.workingDirectory) { $0.put($1) }
        put(list: request.files) { $0.put($1.path); $0.put($1.content); $0.put($1.mode) }
        put(list: request.collect) { $0.put($1.pattern); $0.put($1.maxBytes) }
        for field in LimitField.all { put(optional: request.limits[field]) { $0.put($1) } }
        for name in [request.policy, request.image, request.template, request.pool, request.labels.rollout, request.labels.group] {
            put(optional: name) { $0.put($1) }
        }
        put(optional: request.tests) { writer, tests in
            writer.put(tests.framework.rawValue)
            writer.put(list: tests.paths) { $0.put($1) }
            writer.put(list: tests.arguments) { $0.put($1) }
            writer.put(optional: tests.report) { $0.put($1) }
            for list in [tests.failToPass, tests.passToPass] { writer.put(optional: list) { $0.put(list: $1) { $0.put($1) } } }
        }
    }

    private mutating func put(_ work: Work) {
        switch work {
        case .command(let arguments):
            put(0)
            put(list: arguments) { $0.put($1) }
        case .source(let text, let language, let arguments):
            put(1)
            put(text)
            put(language)
            put(list: arguments) { $0.put($1) }
        case .testsOnly: put(2)
        }
    }

    private mutating func put(_ content: Content) {
        switch content {
        // In the words of a blob's name.
        case .bytes(let content): put(hexadecimal(SHA256.hash(data: content)))
        case .blob(let name): put(name)
        }
    }

    private mutating func put(_ text: String) {
        put(text.utf8.count)
        bytes.append(contentsOf: text.utf8)
    }

    private mutating func put(_ number: Int) {
        for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: number >> shift)) }
    }

    private mutating func put<Value>(optional value: Value?, _ each: (inout Writer, Value) -> Void) {
        put(value == nil ? 0 : 1)
        if let value { each(&self, value) }
    }

    private mutating func put<Value>(list: [Value], _ each: (inout Writer, Value) -> Void) {
        put(list.count)
        for value in list { each(&self, value) }
    }
}
