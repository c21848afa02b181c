// One stream of a job: the head and the tail of what it writes are kept, the rest is counted.

import Glibc
import LinuxSystem
import SandboxCore

struct OutputCapture {
    let keep: Int
    private(set) var total = 0
    private var head: [UInt8] = []
    /// A ring once it is full; `start` is its oldest byte.
    private var tail: [UInt8] = []
    private var start = 0

    init(keep: Int) { self.keep = keep }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        total += bytes.count
        var rest = bytes[...]
        if head.count < keep {
            let n = min(keep - head.count, rest.count)
            head.append(contentsOf: rest.prefix(n))
            rest = rest.dropFirst(n)
        }
        if keep == 0 { return }
        // Only the last `keep` bytes can matter.
        for byte in rest.suffix(keep) {
            if tail.count < keep {
                tail.append(byte)
            } else {
                tail[start] = byte
                start = start + 1 == keep ? 0 : start + 1
            }
        }
    }

    var output: Output {
        Output(head: head, tail: Array(tail[start...] + tail[..<start]), totalBytes: total)
    }
}
