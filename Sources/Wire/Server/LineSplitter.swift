// Bytes as they arrive → whole lines. No byte is looked at twice for a newline, however a line is cut up by the kernel.

import NIOCore

struct LineSplitter {
    struct TooLong: Error {}

    private let maxLine: Int
    private var buffer = ByteBuffer()
    /// How many bytes at the front of `buffer` are known to hold no newline.
    private var scanned = 0

    init(maxLine: Int) { self.maxLine = maxLine }

    /// What is held and not yet taken as a line.
    var heldBytes: Int { buffer.readableBytes }

    mutating func append(_ bytes: ByteBuffer) {
        if buffer.readableBytes == 0 {
            buffer = bytes
        } else {
            var bytes = bytes
            buffer.writeBuffer(&bytes)
        }
    }

    /// The next whole line without its newline; `nil` when there is none yet.
    mutating func next() throws(TooLong) -> [UInt8]? {
        let view = buffer.readableBytesView
        guard let newline = view[(view.startIndex + scanned)...].firstIndex(of: 0x0a) else {
            scanned = buffer.readableBytes
            if scanned > maxLine { throw TooLong() }
            compact()
            return nil
        }
        let length = newline - view.startIndex
        guard length <= maxLine else { throw TooLong() }
        let line = buffer.readBytes(length: length)!
        buffer.moveReaderIndex(forwardBy: 1)
        scanned = 0
        return line
    }

    /// Drops everything up to and including the next newline. Returns whether there was one.
    mutating func discardLine() -> Bool {
        defer { scanned = 0 }
        guard let newline = buffer.readableBytesView.firstIndex(of: 0x0a) else {
            buffer = ByteBuffer()
            return false
        }
        buffer.moveReaderIndex(to: newline + 1)
        return true
    }

    /// Gives back the memory of lines that were taken, so that a connection at rest holds none.
    private mutating func compact() {
        if buffer.readableBytes == 0 {
            buffer = ByteBuffer()
        } else if buffer.readerIndex > 0 {
            buffer.discardReadBytes()
        }
    }
}
