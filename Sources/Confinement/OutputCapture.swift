// One stream of a job: the head and the tail of what it writes are kept, the rest is counted.

import SandboxCore

struct OutputCapture {
    let keep: Int
    private(set) var total = 0
    private var head: [UInt8] = []
    /// A ring once it is full; `start` is its oldest byte.
    private var tail: [UInt8] = []
    private var start = 0

    init(keep: Int) { self.keep = max(0, keep) }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        total += bytes.count
        var rest = bytes[...]
        if head.count < keep {
            let n = min(keep - head.count, rest.count)
            head.append(contentsOf: rest.prefix(n))
            rest = rest.dropFirst(n)
        }
        // Only the last `keep` bytes can matter.
        rest = rest.suffix(keep)
        if tail.count < keep {
            let n = min(keep - tail.count, rest.count)
            tail.append(contentsOf: rest.prefix(n))
            rest = rest.dropFirst(n)
        }
        while !rest.isEmpty {
            let n = min(keep - start, rest.count)
            tail.replaceSubrange(start..<(start + n), with: rest.prefix(n))
            start = (start + n) % keep
            rest = rest.dropFirst(n)
        }
    }

    /// What was kept: in one piece where that is all, otherwise cut between characters.
    var output: Output {
        let end = Array(tail[start...] + tail[..<start])
        if head.count + end.count == total { return Output(head: head + end) }
        return Output(head: head, tail: end, totalBytes: total).withoutHalfCharacters
    }
}
