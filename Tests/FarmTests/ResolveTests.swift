// What is turned away, and with which words; and what an accepted request is turned into.

import SandboxCore
import Testing

@testable import Farm

@Suite("Requests", .timeLimit(.minutes(5)))
struct ResolveTests {
    struct Bad: Sendable, CustomTestStringConvertible {
        var field: String
        var says: [String]
        var code = Rejected.Code.invalidRequest
        var change: @Sendable (inout JobRequest) -> Void
        var testDescription: String { field + " " + says.joined(separator: " ") }
    }

    private static func file(_ path: String) -> FileIn { FileIn(path: path, content: .bytes([])) }

    static let bad: [Bad] = [
        Bad(field: "files[1].path", says: ["'/etc/passwd'", "not begin with '/'"]) { $0.files = [file("a"), file("/etc/passwd")] },
        Bad(field: "files[0].path", says: ["'a/../../b'", "without '..'"]) { $0.files = [file("a/../../b")] },
        Bad(field: "files[0].path", says: ["empty"]) { $0.files = [file("")] },
        Bad(field: "files[0].path", says: ["NUL"]) { $0.files = [file("a\0b")] },
        Bad(field: "files[0].path", says: ["4096"]) { $0.files = [file(String(repeating: "a/", count: 2_048) + "b")] },
        Bad(field: "files[0].path", says: ["255"]) { $0.files = [file(String(repeating: "é", count: 128))] },
        Bad(field: "files[0].path", says: ["'a//b'"]) { $0.files = [file("a//b")] },
        Bad(field: "files[0].path", says: ["'./a'"]) { $0.files = [file("./a")] },
        Bad(field: "files[0].path", says: ["'a/'"]) { $0.files = [file("a/")] },
        Bad(field: "files[2].path", says: ["'x'", "files[0]"]) { $0.files = [file("x"), file("y"), file("x")] },
        Bad(field: "files[0].path", says: ["'d/e/f'", "files[2] is the file 'd/e'"]) { $0.files = [file("d/e/f"), file("d/e-"), file("d/e")] },
        Bad(field: "files[0].mode", says: ["04755", "0777"]) { $0.files = [FileIn(path: "a", content: .bytes([]), mode: 0o4755)] },
        Bad(field: "files", says: ["2000000 bytes", "1048576"]) { $0.files = [FileIn(path: "a", content: .bytes([UInt8](repeating: 0, count: 2_000_000)))] },
        Bad(field: "files", says: ["101 files", "100"]) { $0.files = (0...100).map { file("f\($0)") } },
        Bad(field: "files", says: ["10001"]) { $0.files = (0...10_000).map { file("f\($0)") } },
        Bad(field: "files[0].blob", says: ["'ABC'", "SHA-256"]) { $0.files = [FileIn(path: "a", content: .blob("ABC"))] },
        Bad(field: "files[0].blob", says: ["put it first"], code: .unknownBlob) {
            $0.files = [FileIn(path: "a", content: .blob(String(repeating: "a", count: 64)))]
        },
        Bad(field: "stdin.blob", says: ["put it first"], code: .unknownBlob) { $0.stdin = .blob(String(repeating: "a", count: 64)) },
        Bad(field: "collect[0].path", says: ["'/etc/*'"]) { $0.collect = [FileOut(pattern: "/etc/*")] },
        Bad(field: "collect[1].path", says: ["without '..'"]) { $0.collect = [FileOut(pattern: "a"), FileOut(pattern: "**/..")] },
        Bad(field: "collect[0].max_bytes", says: ["-1"]) { $0.collect = [FileOut(pattern: "a", maxBytes: -1)] },
        Bad(field: "limits.memory_bytes", says: ["134217729", "'default' allows 134217728"]) { $0.limits.memoryBytes = (128 << 20) + 1 },
        Bad(field: "limits.cpu_time_ms", says: ["found 0", "1 to"]) { $0.limits.cpuTimeMs = 0 },
        Bad(field: "limits.open_files", says: ["-5"]) { $0.limits.openFiles = -5 },
        Bad(field: "priority", says: ["101"]) { $0.priority = 101 },
        Bad(field: "deadline_ms", says: ["found 0"]) { $0.deadlineMs = 0 },
        Bad(field: "idempotency_key", says: ["0 characters"]) { $0.idempotencyKey = "" },
        Bad(field: "idempotency_key", says: ["129"]) { $0.idempotencyKey = String(repeating: "k", count: 129) },
        Bad(field: "labels.group", says: ["300"]) { $0.labels.group = String(repeating: "g", count: 300) },
        Bad(field: "cwd", says: ["''"]) { $0.workingDirectory = "" },
        Bad(field: "cwd", says: ["NUL"]) { $0.workingDirectory = "a\0" },
        Bad(field: "env", says: ["'A=B'"]) { $0.environment = ["A=B": "c"] },
        Bad(field: "env.A", says: ["NUL"]) { $0.environment = ["A": "\0"] },
        Bad(field: "env.A", says: ["131071"]) { $0.environment = ["A": String(repeating: "x", count: 131_072)] },
        Bad(field: "command", says: ["nothing"]) { $0.work = .command([]) },
        Bad(field: "command", says: ["empty program"]) { $0.work = .command(["", "x"]) },
        Bad(field: "command", says: ["NUL", "argument 1"]) { $0.work = .command(["a", "b\0"]) },
        Bad(field: "env", says: ["bytes of arguments and environment"]) { job in
            job.environment = Dictionary(uniqueKeysWithValues: (0..<200_000).map { ("V\($0)", "") })
        },
        Bad(field: "command", says: ["argument 1", "131071"]) { $0.work = .command(["a", String(repeating: "x", count: 131_072)]) },
        Bad(field: "command", says: ["arguments and environment"]) {
            $0.work = .command(["a"] + Array(repeating: String(repeating: "x", count: 100_000), count: 30))
        },
        Bad(field: "command", says: ["one of command, source and tests"]) { $0.work = .testsOnly },
        Bad(field: "source.language", says: ["'cobol'", "'c', 'java', 'python'"], code: .unknownLanguage) {
            $0.work = .source(text: "", language: "cobol", arguments: [])
        },
        Bad(field: "files[0].path", says: ["main.py", "source"]) {
            $0.work = .source(text: "", language: "python", arguments: [])
            $0.files = [file("main.py")]
        },
        Bad(field: "files[0].path", says: ["'main.py/x'", "source"]) {
            $0.work = .source(text: "", language: "python", arguments: [])
            $0.files = [file("main.py/x")]
        },
        Bad(field: "tests", says: ["stand alone"]) {
            $0.work = .source(text: "", language: "python", arguments: [])
            $0.tests = TestRequest(framework: .pytest)
        },
        Bad(field: "tests.paths[0]", says: ["bad"]) {
            $0.work = .testsOnly
            $0.tests = TestRequest(framework: .pytest, paths: ["bad"])
        },
        Bad(field: "pool", says: ["'gpu'", "'default'"], code: .unknownPool) { $0.pool = "gpu" },
        Bad(field: "policy", says: ["'lax'", "'default'"], code: .unknownPolicy) { $0.policy = "lax" },
        Bad(field: "image", says: ["'moon'"], code: .unknownImage) { $0.image = "moon" },
    ]

    @Test("A wrong field is named with what was found and what was expected", arguments: bad)
    func wrongFields(bad: Bad) throws {
        let farm = try TestFarm()
        let error = farm.rejection(of: JobRequest.command("true").with(bad.change))
        #expect(error.code == bad.code && error.field == bad.field)
        for words in bad.says { #expect(error.message.contains(words), "\(error.message)") }
        #expect(error.message.utf8.count < 500)
        #expect(farm.farm.list().total == 0 && farm.farm.figures().rejected == [bad.code: 1] && farm.farm.figures().heldBytes == 0)
    }

    @Test("A hostile name comes back bounded and without control characters")
    func hostileNames() throws {
        let farm = try TestFarm()
        let error = farm.rejection(of: .command("true").with { $0.pool = "\u{1B}[2J\n" + String(repeating: "x", count: 1_000_000) })
        #expect(error.message.utf8.count < 500)
        #expect(!error.message.unicodeScalars.contains { $0.value < 32 })
    }

    @Test("Limits a job does not set come from its policy, and never exceed the ceiling")
    func limits() async throws {
        let farm = try TestFarm(backend: ScriptedBackend { _ in StepReport(outcome: .exited(code: 0)) })
        try farm.submit(.command("true").with { $0.limits = Limits(cpuTimeMs: 2_500, processes: 9) })
        _ = await farm.ends.next()
        let limits = try #require(farm.backend.plans.first).limits
        #expect(limits.cpuTimeMs == 2_500 && limits.processes == 9 && limits.wallTimeMs == 5_000)
        #expect(limits.memoryBytes == 64 << 20 && limits.openFiles == Limits.fallback.openFiles)
        #expect(limits.diskBytes == 1 << 20 && limits.diskInodes == 100)
    }

    @Test("The environment is the image's, then the policy's, then the job's, and nothing is inherited")
    func environment() async throws {
        let farm = try TestFarm(backend: ScriptedBackend { _ in StepReport(outcome: .exited(code: 0)) })
        try farm.submit(.command("true").with {
            $0.environment = ["B": "job", "C": "job"]
            $0.workingDirectory = "sub/dir"
        })
        _ = await farm.ends.next()
        let plan = try #require(farm.backend.plans.first)
        #expect(plan.environment == [
            "A=policy", "B=job", "C=job", "FROM=image", "HOME=/workspace", "LANG=C.UTF-8", "PATH=/usr/local/bin:/usr/bin:/bin",
        ])
        #expect(plan.workingDirectory == "/workspace/sub/dir" && plan.stdin == .empty)
    }

    @Test("What a language needs raises the policy's defaults and adds to the environment; the job's own words win")
    func languageNeeds() async throws {
        let farm = try TestFarm(backend: ScriptedBackend { _ in StepReport(outcome: .exited(code: 0)) })
        let job = JobRequest(work: .source(text: "", language: "java", arguments: []), environment: ["J": "job"])
        try farm.submit(job)
        try farm.submit(job.with { $0.limits.memoryBytes = 32 << 20 })
        for _ in 0..<2 { _ = await farm.ends.next() }
        let plans = farm.backend.plans
        #expect(plans.map(\.limits.memoryBytes) == [96 << 20, 32 << 20])
        #expect(plans[0].limits.wallTimeMs == 5_000 && plans[0].limits.processes == 200)
        #expect(plans[0].environment.contains("B=language") && plans[0].environment.contains("J=job"))
    }

    @Test("Contents held in memory are bounded over all jobs")
    func heldBytes() async throws {
        let farm = try TestFarm { $0.heldBytes = 500_000 }
        let large = JobRequest.command("true").with { $0.files = [FileIn(path: "a", content: .bytes([UInt8](repeating: 0, count: 300_000)))] }
        try farm.submit(large)
        let full = farm.rejection(of: large)
        #expect(full.code == .queueFull && full.retryAfterMs != nil)
        let huge = farm.rejection(of: large.with { $0.stdin = .bytes([UInt8](repeating: 0, count: 300_000)) })
        #expect(huge.code == .invalidRequest)
        await farm.backend.nextStep().end()
        _ = await farm.ends.next()
        #expect(farm.farm.figures().heldBytes == 0)
        try farm.submit(large)
        await farm.backend.nextStep().end()
        _ = await farm.ends.next()
    }
}
