// Head and tail of a stream, however it arrives.

@testable import Confinement
import SandboxCore
import TestKit
import Testing

@Suite("Output that is kept")
struct OutputCaptureTests {
    private func capture(_ bytes: [UInt8], keep: Int, inPiecesOf size: (inout SeededRandom) -> Int) -> Output {
        var random = SeededRandom(UInt64(bytes.count))
        var capture = OutputCapture(keep: keep)
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = Array(rest.prefix(max(1, size(&random))))
            piece.withUnsafeBytes { capture.append($0) }
            rest = rest.dropFirst(piece.count)
        }
        return capture.output
    }

    @Test("is the beginning and the end, with the true length, whatever the pieces")
    func model() {
        for length in [0, 1, 9, 10, 11, 19, 20, 21, 25, 30, 99, 1000, 5000] {
            for keep in [0, 1, 7, 10, 100] {
                let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31) }
                for piece in [1, 3, 10, 64, 10_000] {
                    let output = capture(bytes, keep: keep) { Int.random(in: 1...piece, using: &$0) }
                    #expect(output.totalBytes == length)
                    #expect(output.truncated == (length > 2 * keep))
                    #expect(output.head == (output.truncated ? Array(bytes.prefix(keep)) : bytes))
                    #expect(output.tail == (output.truncated ? bytes.suffix(keep) : []), "length \(length) keep \(keep) piece \(piece)")
                }
            }
        }
    }

    @Test("text that is cut stays text, with its true length, wherever the cut goes")
    func text() {
        let text = Array(String(repeating: "aé€😀", count: 40).utf8)
        for keep in 8...40 {
            let output = capture(text, keep: keep) { Int.random(in: 1...7, using: &$0) }
            #expect(output.totalBytes == text.count && output.truncated)
            #expect((keep - 3...keep).contains(output.head.count) && (keep - 3...keep).contains(output.tail.count))
            #expect(text.starts(with: output.head) && text.suffix(output.tail.count).elementsEqual(output.tail))
            #expect(String(validating: output.head, as: UTF8.self) != nil && String(validating: output.tail, as: UTF8.self) != nil)
        }
        // All of it is kept: nothing is cut, and one text is told as one.
        #expect(capture(text, keep: 399) { _ in 5 } == Output(head: text))
    }

    @Test("a negative bound keeps nothing")
    func negative() {
        let output = capture([1, 2, 3], keep: -5) { _ in 2 }
        #expect(output.head.isEmpty && output.tail.isEmpty && output.totalBytes == 3)
    }
}
