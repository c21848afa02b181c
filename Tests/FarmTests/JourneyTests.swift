// A job's way from its request to its result: the steps it becomes, and the verdict on them.

import Logging
import SandboxCore
import Synchronization
import Testing

@testable import Farm

@Suite("A job's journey", .timeLimit(.minutes(5)))
struct JourneyTests {
    @Test("A command runs in a sandbox of its own, and its result says where the time went")
    func command() async throws {
        let farm = try TestFarm()
        try farm.submit(.command("first"))
        let first = await farm.backend.nextStep()
        let id = try farm.submit(.command("second").with { $0.labels = Labels(rollout: "r", group: "g") })
        farm.time.advance(milliseconds: 30)
        first.end()
        let second = await farm.backend.nextStep()
        #expect(second.plan.arguments == ["second"])
        farm.time.advance(milliseconds: 7)
        second.end(.signaled(signal: 11))
        _ = await farm.ends.next()
        let end = await farm.ends.next()
        let result = try #require(end.end.result)
        #expect(end.job == id && result.job == id && result.outcome == .signaled(signal: 11) && result.phase == .run)
        #expect(result.labels == Labels(rollout: "r", group: "g") && result.compile == nil && result.tests == nil)
        #expect(result.usage.stages.queuedMs == 30 && result.usage.stages.runMs == 7 && result.usage.stages.setupMs == 0)
        #expect(farm.backend.counts.made == 2 && farm.backend.counts.alive == 0 && farm.backend.counts.mostAlive == 1)
    }

    @Test("Source in a compiled language is compiled and run in the same sandbox, under limits of their own")
    func compiled() async throws {
        let farm = try TestFarm()
        try farm.submit(JobRequest(
            work: .source(text: "int main;", language: "c", arguments: ["x"]), stdin: .bytes([7]),
            files: [FileIn(path: "data", content: .bytes([1]))], collect: [FileOut(pattern: "out")],
            limits: Limits(cpuTimeMs: 100)))
        let compile = await farm.backend.nextStep()
        #expect(compile.plan.arguments == ["cc", "-o", "main", "main.c"] && compile.plan.limits.cpuTimeMs == 7_000)
        #expect(compile.plan.files.map(\.path) == ["data", "main.c"] && compile.plan.collect.isEmpty && compile.plan.stdin == .empty)
        farm.time.advance(milliseconds: 50)
        compile.end()
        let run = await farm.backend.nextStep()
        #expect(run.plan.arguments == ["./main", "x"] && run.plan.limits.cpuTimeMs == 100 && run.plan.files.isEmpty)
        #expect(run.plan.stdin == .bytes([7]) && run.plan.collect == [FileOut(pattern: "out")])
        run.end(.exited(code: 3))
        let result = try #require(await farm.ends.next().end.result)
        #expect(result.outcome == .exited(code: 3) && result.phase == .run)
        #expect(result.compile?.outcome == .exited(code: 0) && result.compile?.usage.stages.runMs == 50)
        #expect(result.usage.stages.runMs == 50 && farm.backend.counts.made == 1)
    }

    @Test("A source that does not compile is a result of the compile phase, and nothing is run")
    func compileError() async throws {
        let farm = try TestFarm(
            backend: ScriptedBackend { _ in
                StepReport(
                    outcome: .exited(code: 1), stderr: Output(head: Array("error".utf8)),
                    denied: [DeniedSyscall(syscall: "mount", count: 2)])
            })
        try farm.submit(JobRequest(work: .source(text: "", language: "c", arguments: [])))
        let result = try #require(await farm.ends.next().end.result)
        #expect(result.outcome == .exited(code: 1) && result.phase == .compile)
        #expect(result.compile?.stderr.head == Array("error".utf8) && result.stderr == Output())
        #expect(result.denied == [DeniedSyscall(syscall: "mount", count: 2)] && farm.backend.plans.count == 1)
    }

    @Test("Denied syscalls of both steps are added up")
    func deniedAddUp() async throws {
        let farm = try TestFarm(
            backend: ScriptedBackend { _ in
                StepReport(
                    outcome: .exited(code: 0),
                    denied: [DeniedSyscall(syscall: "bpf", count: 1), DeniedSyscall(syscall: "mount", count: 2)])
            })
        try farm.submit(JobRequest(work: .source(text: "", language: "c", arguments: [])))
        let result = try #require(await farm.ends.next().end.result)
        #expect(result.denied == [DeniedSyscall(syscall: "bpf", count: 2), DeniedSyscall(syscall: "mount", count: 4)])
    }

    @Test("A suite runs as its judge plans it, and the result has the judge's report but not its files")
    func tests() async throws {
        let file = CollectedFile(path: "/tmp/.report", bytes: [], size: 0, mode: 0o600)
        let own = CollectedFile(path: "log", bytes: [], size: 0, mode: 0o600)
        let farm = try TestFarm(
            backend: ScriptedBackend { plan in
                StepReport(
                    outcome: .exited(code: 0), stdout: Output(head: [UInt8](repeating: 65, count: plan.keepOutputBytes)),
                    files: [file, own])
            }
        ) { $0.keepOutputBytes = 100 }
        try farm.submit(
            JobRequest(
                work: .testsOnly, files: [FileIn(path: "test_a.py", content: .bytes([]))], collect: [FileOut(pattern: "*")],
                tests: TestRequest(framework: .pytest, paths: ["test_a.py"])))
        let result = try #require(await farm.ends.next().end.result)
        let plan = try #require(farm.backend.plans.first)
        #expect(plan.arguments == ["harness", "test_a.py"] && plan.files.map(\.path) == ["test_a.py", "/tmp/.harness"])
        #expect(plan.collect.map(\.pattern) == ["/tmp/.report", "*"])
        #expect(result.tests?.passed == true && result.tests?.tests.map(\.id) == ["/tmp/.report", "log"])
        // The judge saw all of the output, the result has the beginning and the end of it.
        #expect(result.tests?.expected == 1 << 20 && result.stdout.totalBytes == 1 << 20)
        #expect(result.stdout.head.count == 100 && result.stdout.tail.count == 100 && result.stdout.truncated)
        #expect(result.files == [own])
    }

    @Test("A suite of more reports than come back is not complete; one with its one report is", arguments: [
        ("reports/*.xml", [], true, false), ("report.xml", [], true, true), ("reports/*.xml", ["reports/\\xff.xml"], false, false),
    ] as [(String, [String], Bool, Bool)])
    func reportsMissing(report: String, skipped: [String], truncated: Bool, complete: Bool) async throws {
        let farm = try TestFarm(
            backend: ScriptedBackend { _ in
                StepReport(
                    outcome: .exited(code: 0), files: [CollectedFile(path: "report.xml", bytes: [], size: 0, mode: 0o600)],
                    filesSkipped: skipped, filesTruncated: truncated)
            })
        try farm.submit(
            JobRequest(work: .command(["x"]), tests: TestRequest(framework: .junit, report: report)))
        let result = try #require(await farm.ends.next().end.result)
        #expect(result.filesSkipped == skipped && result.filesTruncated == truncated)
        #expect(result.tests?.passed == complete && (result.tests?.completion == .complete) == complete)
    }

    @Test("A suite that was cancelled before it began is not resolved")
    func testsNeverBegan() async throws {
        let farm = try TestFarm()
        try farm.submit()
        let id = try farm.submit(
            JobRequest(work: .testsOnly, tests: TestRequest(framework: .pytest, failToPass: ["t"])))
        #expect(try farm.farm.cancel(id) == .queued)
        let report = try #require(await farm.ends.next().end.result?.tests)
        #expect(report.resolved == false && !report.passed && report.completion != .complete && report.tests.isEmpty)
        await farm.backend.nextStep().end()
        _ = await farm.ends.next()
    }

    @Test("The farm's own failure is never a result", arguments: [true, false])
    func failures(inSetup: Bool) async throws {
        let error = FarmError(inSetup ? .sandboxSetup : .sandboxLost, "clone3: EAGAIN", retryable: true)
        let backend = ScriptedBackend(
            rule: { _ throws(FarmError) in throw error }, setup: { _ throws(FarmError) in if inSetup { throw error } })
        let farm = try TestFarm(backend: backend)
        try farm.submit()
        #expect(await farm.ends.next().end == .failed(error))
        #expect(backend.counts.alive == 0 && backend.counts.made == (inSetup ? 0 : 1))
        #expect(farm.farm.figures().failed == [error.code: 1] && farm.farm.figures().ended.isEmpty)
    }

    @Test("A policy that insists on what the host lacks makes the farm fail, not the job")
    func hostLacks() async throws {
        let farm = try TestFarm(backend: ScriptedBackend(unenforced: [.seccomp, .cgroupMemory, .outbound]))
        try farm.submit()
        let error = try #require(await farm.ends.next().end.error)
        #expect(error.code == .hostLacks && error.message.contains("cgroup_memory") && error.message.contains("'default'"))
        #expect(!error.message.contains("seccomp") && !error.message.contains("outbound") && !error.retryable)
    }

    @Test("Where the backend knows what is missing and how to mend it, the error says so")
    func hostLack() async throws {
        let farm = try TestFarm(backend: ScriptedBackend(unenforced: [.cgroupMemory], lacks: [.cgroupMemory: HostLack("not mounted", fix: "mount it")]))
        try farm.submit()
        #expect(try #require(await farm.ends.next().end.error).message.contains("insists on cgroup_memory (not mounted; mount it), which"))
    }

    @Test("What the policy tolerates is named in each result")
    func unenforced() async throws {
        let backend = ScriptedBackend(unenforced: [.seccomp, .outbound]) { _ in StepReport(outcome: .exited(code: 0)) }
        let farm = try TestFarm(backend: backend)
        try farm.submit()
        #expect(await farm.ends.next().end.result?.unenforced == ["seccomp"])
    }

    @Test("What a program writes is handed on in order, only when asked for, and not from the compiler")
    func streams() async throws {
        let farm = try TestFarm()
        let seen = Mutex<[String]>([])
        let request = JobRequest(work: .source(text: "", language: "c", arguments: []))
        for stream in [true, false] {
            try farm.farm.submit(
                request.with { $0.stream = stream }, client: ClientID(1),
                onOutput: { job, stream, bytes in seen.withLock { $0.append("\(job) \(stream) \(bytes)") } },
                onEnd: farm.ends.note)
            let compile = await farm.backend.nextStep()
            #expect(compile.onOutput == nil && !compile.plan.stream)
            compile.end()
            let run = await farm.backend.nextStep()
            #expect((run.onOutput != nil) == stream && run.plan.stream == stream)
            run.onOutput?(.stdout, [1])
            run.onOutput?(.stderr, [2])
            run.end()
            let job = await farm.ends.next().job
            #expect(seen.withLock { $0 } == (stream ? ["\(job) stdout [1]", "\(job) stderr [2]"] : []))
            seen.withLock { $0 = [] }
        }
    }

    @Test("Each line the farm logs about a job has the job's id")
    func logs() async throws {
        let lines = Lines()
        let farm = try TestFarm(logger: Logger(label: "test") { _ in LineHandler(lines: lines) })
        let id = try farm.submit()
        _ = await farm.backend.nextStep()
        try farm.farm.cancel(id)
        _ = await farm.ends.next()
        let seen = lines.seen.withLock { $0 }
        #expect(seen.contains { $0.message == "job admitted" } && seen.contains { $0.message == "job ended" })
        #expect(seen.allSatisfy { $0.job == id.text })
    }
}

private final class Lines: Sendable {
    let seen = Mutex<[(message: String, job: String?)]>([])
}

private struct LineHandler: LogHandler {
    let lines: Lines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }
    func log(event: LogEvent) {
        lines.seen.withLock { $0.append((event.message.description, metadata["job"]?.description)) }
    }
}
