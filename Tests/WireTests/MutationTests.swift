// Valid requests, broken at random but always in the same way: nothing crashes, and every line has its answer.

import SandboxCore
import TestKit
import Testing

@testable import Wire

@Suite("Broken requests")
struct MutationTests {
    /// Fragments that mean something to the parser, so that damage gets past its first lines.
    private static let fragments: [[UInt8]] = [
        "{", "}", "[", "]", "\"", "\\", ",", ":", "\\u", "\\ud800", "\\u0000", "null", "true", "-", "1e9", "1e999", "0.5", "99999999999999999999",
        "\"command\"", "\"files\"", "\"text\":", "..", "/", "{\"a\":", "[[[[[[[[",
    ].map { Array($0.utf8) } + [[0x00], [0xff], [0xc3], [0xed, 0xa0, 0x80], [0xf4, 0x90], [0x1f]]

    static func damaged(_ line: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
        var line = line
        for _ in 0...Int.random(in: 0..<4, using: &random) {
            let at = Int.random(in: 0...line.count, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0 where at < line.count: line[at] = UInt8.random(in: 0...255, using: &random)
            case 1: line.insert(contentsOf: fragments.randomElement(using: &random)!, at: at)
            case 2: line.removeSubrange(at..<min(line.count, at + Int.random(in: 1...8, using: &random)))
            case 3: line = Array(line[..<at])
            case 4:
                let from = Int.random(in: 0...at, using: &random)
                line.insert(contentsOf: line[from..<at], at: Int.random(in: 0...line.count, using: &random))
            default:
                let other = Int.random(in: 0...line.count, using: &random)
                if at < line.count, other < line.count { line.swapAt(at, other) }
            }
        }
        return line
    }

    @Test("the decoder says what is wrong with each of them, and never crashes", arguments: 0..<4)
    func decoder(_ seed: Int) {
        var random = SeededRandom(UInt64(seed))
        let lines = Samples.calls.map { Array(Request(id: .number(1), call: $0).encode().dropLast()) }
        var refused = 0
        for _ in 0..<3_000 {
            let line = MutationTests.damaged(lines.randomElement(using: &random)!, &random)
            switch Result(catching: { () throws(Request.Invalid) in try Request.decode(line) }) {
            case .success(let request):
                // What is accepted can be written and means the same.
                let again = Result(catching: { () throws(Request.Invalid) in try Request.decode(Array(request.encode().dropLast())) })
                #expect(again == .success(request))
            case .failure(let invalid):
                refused += 1
                #expect([-32700, -32600, -32601, -32602].contains(invalid.error.code))
                #expect(!invalid.error.message.isEmpty)
            }
        }
        #expect(refused > 1_000)
    }

    @Test("a client takes no harm from broken answers")
    func client() {
        var random = SeededRandom(99)
        let lines = Samples.answers.map { ($0.0, Array(Line.answer(.number(1), $0.1).dropLast())) }
        for _ in 0..<3_000 {
            let (method, line) = lines.randomElement(using: &random)!
            let damaged = MutationTests.damaged(line, &random)
            guard let incoming = try? IncomingLine.decode(damaged, limits: JSONLimits()) else { continue }
            if case .result(let value) = incoming.content {
                _ = try? FieldReader(json: incoming.json, origin: value).answer(to: method, value)
            }
        }
    }

    @Test("the server answers each of them and goes on", .timeLimit(.minutes(1)))
    func server() async throws {
        try await withServer { path, _ in
            let client = try await RawClient(path: path)
            var random = SeededRandom(7)
            let valid = Request(id: .number(1), call: .jobRun(Samples.jobs[1])).encode().dropLast()
            var sent: [UInt8] = []
            let count = 2_000
            for _ in 0..<count {
                let line = MutationTests.damaged(Array(valid), &random).filter { $0 != 0x0a }
                sent += line + [0x0a]
            }
            try await client.send(sent)
            for _ in 0..<count {
                let message = try await client.message()
                #expect(message.code != nil || message.string("result", "job") == "j-1")
            }
            try await client.send(Request(id: .number(77), call: .blobHas([])).encode())
            #expect(try await client.message().int("id") == 77)
            await client.close()
        }
    }
}
