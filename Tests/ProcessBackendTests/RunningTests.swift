import SandboxCore
import Testing

@Suite("A step in a sandbox")
struct RunningTests {
    @Test("returns what the program wrote and how it ended")
    func hello() async throws {
        let report = try await Harness.sh("echo out; echo err >&2; exit 3")
        #expect(report.outcome == .exited(code: 3))
        #expect(report.stdout.text == "out\n")
        #expect(report.stderr.text == "err\n")
        #expect(report.usage.wallTimeMs > 0)
    }
}
