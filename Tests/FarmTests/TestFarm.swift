import FoundationEssentials
import Logging
import SandboxCore
import Synchronization
import Testing

@testable import Farm

/// A farm with a scripted backend, a time of its own and a directory that goes when it goes.
final class TestFarm: Sendable {
    let farm: Farm
    let backend: ScriptedBackend
    let time = ManualTime()
    let ends = Ends()
    private let directory: String

    init(
        size: Int = 1, queue: Int = 100, backend: ScriptedBackend = ScriptedBackend(),
        catalog: TestCatalog = TestCatalog(), logger: Logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
        _ configure: (inout FarmConfiguration) -> Void = { _ in }
    ) throws {
        directory = FileManager.default.temporaryDirectory.path() + "/farm-tests-\(UUID().uuidString)"
        var configuration = FarmConfiguration(
            pools: [PoolConfiguration(size: size, queue: queue)], blobDirectory: directory)
        configure(&configuration)
        self.backend = backend
        farm = try Farm(
            configuration: configuration, backend: backend, catalog: catalog, judge: CountingJudge(), logger: logger,
            time: time)
    }

    var info: FarmInfo {
        farm.info(
            version: "1", pid: 7, host: HostFacts(kernel: "6", architecture: "any", cpus: 1, memoryBytes: 1, cgroup: "none", root: false))
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    @discardableResult
    func submit(_ request: JobRequest = .command("true"), client: UInt64 = 1, keep: Bool = false) throws(Rejected) -> JobID {
        try farm.submit(request, client: ClientID(client), keepResult: keep, onEnd: ends.note)
    }

    /// The rejection of a request that must not be taken.
    func rejection(of request: JobRequest, _ location: SourceLocation = #_sourceLocation) -> Rejected {
        do throws(Rejected) {
            _ = try submit(request)
        } catch {
            return error
        }
        Issue.record("the request was taken", sourceLocation: location)
        return Rejected(.draining, "")
    }
}

/// The ends of jobs in the order they were told.
final class Ends: Sendable {
    private struct State: Sendable {
        var told: [(JobID, JobEnd)] = []
        var taken = 0
        var waiting: CheckedContinuation<(job: JobID, end: JobEnd), Never>?
    }
    private let state = Mutex(State())

    var count: Int { state.withLock { $0.told.count } }
    var all: [(JobID, JobEnd)] { state.withLock { $0.told } }

    var note: OnEnd {
        { job, end in
            self.state.withLock { state in
                state.told.append((job, end))
                guard let waiting = state.waiting else { return nil as CheckedContinuation<(job: JobID, end: JobEnd), Never>? }
                state.waiting = nil
                state.taken += 1
                return waiting
            }?.resume(returning: (job, end))
        }
    }

    /// The next end that was not taken yet.
    func next() async -> (job: JobID, end: JobEnd) {
        await withCheckedContinuation { continuation in
            let end: (JobID, JobEnd)? = state.withLock { state in
                guard state.taken < state.told.count else {
                    state.waiting = continuation
                    return nil
                }
                state.taken += 1
                return state.told[state.taken - 1]
            }
            if let end { continuation.resume(returning: end) }
        }
    }
}

struct TestCatalog: Catalog {
    var policies: [String: ResolvedPolicy] = ["default": .plain]
    var languages: [String: ResolvedLanguage] = [
        "python": ResolvedLanguage(fileName: "main.py", compile: nil, run: ["python3", "main.py"]),
        "c": ResolvedLanguage(
            fileName: "main.c", compile: ["cc", "-o", "main", "main.c"], run: ["./main"],
            compileLimits: Limits(cpuTimeMs: 7_000)),
        "java": ResolvedLanguage(
            fileName: "Main.java", compile: nil, run: ["java", "Main.java"], environment: ["B": "language", "J": "language"],
            limits: Limits(wallTimeMs: 1, memoryBytes: 96 << 20, processes: 200)),
    ]

    /// What it says of each image's toolchain.
    var toolchain: @Sendable () -> String = { "" }

    func state(of program: String, path: String, in image: ResolvedImage) -> String { "\(program) in \(path): \(toolchain())" }
    func policy(named name: String) -> ResolvedPolicy? { policies[name] }
    func language(named name: String) -> ResolvedLanguage? { languages[name] }
    func image(named name: String) throws(Rejected) -> ResolvedImage {
        guard name == "host" || name == "other" else { throw Rejected(.unknownImage, "found '\(name)', expected 'host'") }
        return ResolvedImage(root: RootFilesystem(layers: [name == "host" ? "/" : "/other"]), environment: ["FROM": "image", "A": "image"])
    }
    var policyNames: [String] { policies.keys.sorted() }
    var imageNames: [String] { ["host"] }
    var languageNames: [String] { languages.keys.sorted() }
}

extension ResolvedPolicy {
    static let plain = ResolvedPolicy(
        defaults: Limits(cpuTimeMs: 1_000, wallTimeMs: 5_000, memoryBytes: 64 << 20, diskBytes: 1 << 20, diskInodes: 100),
        ceiling: Limits(cpuTimeMs: 10_000, memoryBytes: 128 << 20), environment: ["A": "policy", "B": "policy"],
        seccomp: nil, tolerateMissing: [.seccomp])
}

/// Passes a suite that exits with 0, and tells what it was given by the number of tests.
struct CountingJudge: TestJudge {
    func plan(for request: TestRequest, command: [String]?) throws(Rejected) -> TestStep {
        guard !request.paths.contains("bad") else {
            throw Rejected(.invalidRequest, "found 'bad'", field: "tests.paths[0]")
        }
        return TestStep(
            arguments: command ?? ["harness"] + request.paths,
            files: [PlacedFile(path: "/tmp/.harness", bytes: [1])], collect: [FileOut(pattern: request.report ?? "/tmp/.report")],
            keepOutputBytes: 1 << 20
        ) { outcome, stdout, files in
            TestReport(
                framework: request.framework, completion: outcome == .exited(code: 0) ? .complete : .endedEarly(reason: "\(outcome)"),
                tests: files.map { TestCase(id: $0.path, outcome: .passed) }, expected: stdout.totalBytes)
        }
    }
}

extension JobRequest {
    static func command(_ arguments: String...) -> JobRequest { JobRequest(work: .command(arguments)) }

    func with(_ change: (inout JobRequest) -> Void) -> JobRequest {
        var copy = self
        change(&copy)
        return copy
    }
}

extension JobEnd {
    var result: JobResult? { if case .result(let result) = self { result } else { nil } }
    var error: FarmError? { if case .failed(let error) = self { error } else { nil } }
}
