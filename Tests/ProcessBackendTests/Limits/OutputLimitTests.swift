// Each stream is bounded; what is kept of it is its head and its tail, and its true length is told.

import SandboxCore
import Testing

@Suite("Output limit")
struct OutputLimitTests {
    @Test("an endless writer is ended, whichever stream it writes to", arguments: ["", " >&2"])
    func endless(redirect: String) async throws {
        let report = try await Harness.sh("yes\(redirect)") { $0.limits.outputBytes = 1 << 20 }
        #expect(report.exceeded?.limit == .output)
        #expect(report.exceeded?.asked == 1 << 20)
        #expect((1 << 20...3 << 20).contains(report.exceeded?.used ?? 0))
        let output = redirect.isEmpty ? report.stdout : report.stderr
        #expect(output.truncated && output.totalBytes > 1 << 20)
        #expect(output.head.count == 64 << 10 && output.tail.count == 64 << 10)
    }

    @Test("the streams are bounded each by itself")
    func each() async throws {
        let report = try await Harness.sh("head -c 900k /dev/zero; head -c 900k /dev/zero >&2") { $0.limits.outputBytes = 1 << 20 }
        #expect(report.outcome == .exited(code: 0))
        #expect(report.stdout.totalBytes == 900 << 10 && report.stderr.totalBytes == 900 << 10)
    }

    @Test("head and tail are kept, the middle is dropped, and the count is true")
    func headAndTail() async throws {
        let report = try await Harness.sh("seq 1 100000") { $0.keepOutputBytes = 1000 }
        let all = (1...100_000).map { "\($0)\n" }.joined().utf8
        #expect(report.outcome == .exited(code: 0))
        #expect(report.stdout.head == Array(all.prefix(1000)))
        #expect(report.stdout.tail == Array(all.suffix(1000)))
        #expect(report.stdout.totalBytes == all.count)
        #expect(report.stdout.truncated)
    }

    @Test("exactly as much as is kept is whole")
    func whole() async throws {
        let report = try await Harness.sh("head -c 2000 /dev/zero | tr '\\0' x") { $0.keepOutputBytes = 1000 }
        #expect(!report.stdout.truncated)
        #expect(report.stdout.head + report.stdout.tail == [UInt8](repeating: 0x78, count: 2000))
    }
}
