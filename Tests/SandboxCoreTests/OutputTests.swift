// Outputs that are cut.

import SandboxCore
import Testing

@Suite("A cut output")
struct OutputTests {
    private func trimmed(_ head: [UInt8], _ tail: [UInt8] = []) -> Output {
        Output(head: head, tail: tail, totalBytes: head.count + tail.count + 100).withoutHalfCharacters
    }

    @Test("loses the parts of a character at its borders", arguments: [
        ([0x61, 0xc3], 1), ([0x61, 0xe2, 0x82], 1), ([0x61, 0xf0, 0x9f, 0x98], 1), ([0x61, 0xf0], 1), ([0xc3, 0xa9], 2), ([0x61], 1), ([], 0),
        // Not text anyway, or too little to say.
        ([0xff, 0x61, 0xc3], 3), ([0x61, 0x80, 0x80], 3), ([0x61, 0xff], 2), ([0xc3], 1), ([0x61, 0x80, 0x80, 0x80, 0x80], 5),
    ] as [([UInt8], Int)])
    func heads(bytes: [UInt8], kept: Int) {
        #expect(trimmed(bytes).head == Array(bytes.prefix(kept)))
        #expect(trimmed(bytes).totalBytes == bytes.count + 100)
    }

    @Test("keeps the end of what is text", arguments: [
        ([0xa9, 0x61], 1), ([0x82, 0xac, 0x61], 1), ([0x9f, 0x98, 0x80, 0x61], 1), ([0x80, 0x80, 0x80, 0x80, 0x61], 5), ([0xc3, 0xa9], 2),
        ([0xa9, 0xff], 2), ([0xa9], 1), ([], 0),
    ] as [([UInt8], Int)])
    func tails(bytes: [UInt8], kept: Int) { #expect(trimmed([], bytes).tail == Array(bytes.suffix(kept))) }

    @Test("is not touched where nothing was dropped, and cut again only where it is longer")
    func whole() {
        let whole = Output(head: [0x61, 0xc3], tail: [0xa9])
        #expect(whole.withoutHalfCharacters == whole && whole.cut(to: 2) == whole)
        let text = Array("éééé".utf8)
        #expect(Output(head: text).cut(to: 3) == Output(head: Array("é".utf8), tail: Array("é".utf8), totalBytes: 8))
    }
}
