// Compile steps that are not run because an equal one was: what makes two of them equal, and what is kept of one.

import SandboxCore
import Synchronization
import Testing

@testable import Farm

@Suite("A compile that was run before", .timeLimit(.minutes(5)))
struct CompileCacheTests {
    private static let program = CollectedFile(path: "/tmp/main", bytes: [0x7f, 0x45], size: 2, mode: 0o755)
    private static let compiled = StepReport(
        outcome: .exited(code: 0), stderr: Output(head: Array("warning".utf8)), usage: used(8),
        denied: [DeniedSyscall(syscall: "mount", count: 1)], files: [program])

    private static func used(_ cpuTimeMs: Double) -> Usage {
        var usage = Usage()
        usage.cpuTimeMs = cpuTimeMs
        return usage
    }

    /// A catalog whose C leaves its program in /tmp/main.
    static func catalog(_ change: (inout TestCatalog) -> Void = { _ in }) -> TestCatalog {
        var catalog = TestCatalog()
        catalog.languages["c"] = ResolvedLanguage(
            fileName: "main.c", compile: ["cc", "main.c"], output: ["/tmp/main"], run: ["/tmp/main"], compileLimits: Limits(cpuTimeMs: 7_000))
        change(&catalog)
        return catalog
    }

    /// A farm whose compiler answers at once.
    private static func farm(
        _ report: StepReport = compiled, catalog: TestCatalog = catalog(), _ configure: (inout FarmConfiguration) -> Void = { _ in }
    ) throws -> TestFarm {
        try TestFarm(
            backend: ScriptedBackend { $0.arguments.first == "cc" ? report : StepReport(outcome: .exited(code: 3)) }, catalog: catalog, configure)
    }

    static let request = JobRequest(work: .source(text: "int main;", language: "c", arguments: ["x"]), stdin: .bytes([7]))

    private func run(_ farm: TestFarm, _ request: JobRequest = request) async throws -> JobResult {
        try farm.submit(request)
        return try #require(await farm.ends.next().end.result)
    }

    /// How many of the plans so far were of the compiler.
    private func compiles(_ farm: TestFarm) -> Int { farm.backend.plans.count { $0.arguments.first == "cc" } }

    @Test("It is reported as it was, and its program runs in a fresh sandbox beside the job's own files")
    func hit() async throws {
        let farm = try Self.farm()
        let first = try await run(farm)
        let second = try await run(farm, Self.request.with { $0.stdin = .bytes([8]) })
        #expect(first.compile?.cached == false && second.compile?.cached == true)
        var expected = try #require(first.compile)
        expected.cached = true
        #expect(second.compile == expected && second.outcome == .exited(code: 3) && second.denied == first.denied)
        #expect(compiles(farm) == 1 && farm.backend.counts.made == 2 && farm.backend.counts.alive == 0)
        let plan = try #require(farm.backend.plans.last)
        #expect(plan.files == [
            PlacedFile(path: "main.c", bytes: Array("int main;".utf8)), PlacedFile(path: "/tmp/main", bytes: [0x7f, 0x45], mode: 0o755),
        ])
        var asBefore = farm.backend.plans[1]
        (asBefore.stdin, asBefore.files) = (.bytes([8]), plan.files)
        #expect(plan == asBefore)
        #expect(farm.farm.figures().compileCache == CompileCacheFigures(hits: 1, misses: 1, entries: 1, bytes: 1_024 + 7 + 2 + 9 + 64))
    }

    @Test("An error of the compiler is reported as it was, without a sandbox, and believed for a minute")
    func compileError() async throws {
        let farm = try Self.farm(StepReport(outcome: .exited(code: 1), stderr: Output(head: Array("error".utf8)), usage: Self.used(5)))
        var expected = try await run(farm)
        var second = try await run(farm)
        #expect(farm.backend.counts.made == 1 && second.compile?.cached == true && second.phase == .compile)
        // No sandbox was made for it.
        #expect(second.sandbox == nil)
        second.job = expected.job
        expected.compile?.cached = true
        expected.sandbox = nil
        #expect(second == expected)
        farm.time.advance(milliseconds: 59_999)
        #expect(try await run(farm).compile?.cached == true)
        farm.time.advance(milliseconds: 1)
        #expect(try await run(farm).compile?.cached == false)
    }

    @Test("Of a compile with anything else in it nothing is taken", arguments: [
        "source", "file", "file's mode", "flag", "output", "environment", "image", "toolchain", "limits", "policy",
    ])
    func misses(_ what: String) async throws {
        let toolchain = Mutex("12")
        var changed = Self.request
        let farm = try Self.farm(catalog: Self.catalog { catalog in
            catalog.toolchain = { toolchain.withLock { $0 } }
            for (name, change) in [("flag", { $0.compile = ["cc", "-O2", "main.c"] }), ("output", { $0.output.append("/tmp/other") })]
                as [(String, (inout ResolvedLanguage) -> Void)]
            {
                catalog.languages[name] = catalog.languages["c"]
                change(&catalog.languages[name]!)
            }
            catalog.policies["other"] = .plain
            catalog.policies["other"]?.network = .none
        })
        #expect(try await run(farm, Self.request.with { $0.files = [FileIn(path: "a.h", content: .bytes([1]))] }).compile?.cached == false)
        #expect(try await run(farm).compile?.cached == false)
        switch what {
        case "source": changed.work = .source(text: "int main; ", language: "c", arguments: ["x"])
        case "file": changed.files = [FileIn(path: "a.h", content: .bytes([2]))]
        case "file's mode": changed.files = [FileIn(path: "a.h", content: .bytes([1]), mode: 0o600)]
        case "flag", "output": changed.work = .source(text: "int main;", language: what, arguments: ["x"])
        case "environment": changed.environment = ["CPATH": "/tmp"]
        case "image": changed.image = "other"
        case "toolchain": toolchain.withLock { $0 = "13" }
        // The compile step's own limits are the table's, under the policy's ceiling.
        case "limits": changed = Self.request
        default: changed.policy = "other"
        }
        if what == "limits" {
            let plan = farm.backend.plans[0], spec = farm.backend.specs[0]
            var other = plan
            other.limits.processes += 1
            #expect(key(plan, spec) == key(plan, spec) && key(plan, spec) != key(other, spec))
        } else {
            #expect(try await run(farm, changed).compile?.cached == false)
            #expect(compiles(farm) == 3 && farm.farm.figures().compileCache.entries == 3)
        }
    }

    private func key(_ plan: LaunchPlan, _ spec: SandboxSpec) -> CompileKey {
        CompileKey(plan, files: [], output: [], in: spec, toolchain: "")
    }

    @Test("What the program gets has no part in it: arguments, input, limits, labels, pool")
    func independent() async throws {
        let farm = try Self.farm()
        _ = try farm.farm.setPool(PoolChange(pool: "p"))
        _ = try await run(farm)
        let other = Self.request.with {
            $0.work = .source(text: "int main;", language: "c", arguments: [])
            ($0.stdin, $0.pool, $0.labels, $0.limits) = (nil, "p", Labels(group: "g"), Limits(cpuTimeMs: 5))
            ($0.collect, $0.workingDirectory) = ([FileOut(pattern: "x")], "/tmp")
        }
        #expect(try await run(farm, other).compile?.cached == true)
        #expect(farm.backend.plans.last?.limits.cpuTimeMs == 5)
    }

    @Test("A file that came with the request and the same one as a blob are the same")
    func blob() async throws {
        let farm = try Self.farm()
        let digest = try farm.farm.putBlob([1, 2])
        _ = try await run(farm, Self.request.with { $0.files = [FileIn(path: "a.h", content: .bytes([1, 2]))] })
        let result = try await run(farm, Self.request.with { $0.files = [FileIn(path: "a.h", content: .blob(digest))] })
        #expect(result.compile?.cached == true && farm.backend.plans.last?.files.map(\.path) == ["a.h", "main.c", "/tmp/main"])
    }

    @Test("A job can do without: it takes nothing and leaves nothing")
    func bypass() async throws {
        let farm = try Self.farm()
        for _ in 1...2 { #expect(try await run(farm, Self.request.with { $0.compileCache = false }).compile?.cached == false) }
        #expect(compiles(farm) == 2 && farm.farm.figures().compileCache == CompileCacheFigures())
        #expect(farm.backend.plans.allSatisfy { $0.collect.isEmpty })
    }

    @Test("Nothing is kept where the operator wants none, the table says no output, or the sandbox has a way out", arguments: [
        "bytes", "entries", "output", "outbound",
    ])
    func off(_ why: String) async throws {
        let catalog = Self.catalog {
            if why == "output" { $0.languages["c"]?.output = [] }
            if why == "outbound" { $0.policies["default"]?.network = .outbound }
        }
        let farm = try Self.farm(catalog: catalog) {
            if why == "bytes" { $0.compileCacheBytes = 0 }
            if why == "entries" { $0.compileCacheEntries = 0 }
        }
        for _ in 1...2 { #expect(try await run(farm).compile?.cached == false) }
        #expect(compiles(farm) == 2 && farm.farm.figures().compileCache == CompileCacheFigures())
    }

    @Test("A compile that a limit, a signal or the policy ended is not kept, nor one whose program is missing, cut or too large", arguments: [
        StepReport(outcome: .limitExceeded(limit: .cpuTime, asked: 1, used: 2), files: [program]),
        StepReport(outcome: .signaled(signal: 9), files: [program]), StepReport(outcome: .syscallDenied(syscall: "bpf"), files: [program]),
        StepReport(outcome: .cancelled(by: .client), files: [program]), StepReport(outcome: .exited(code: 0)),
        StepReport(outcome: .exited(code: 0), files: [program], filesTruncated: true),
        StepReport(outcome: .exited(code: 0), files: [CollectedFile(path: "/tmp/main", bytes: [1], size: 2, mode: 0o755)]),
        StepReport(outcome: .exited(code: 0), files: [CollectedFile(path: "/tmp/main", bytes: [UInt8](repeating: 1, count: 5_000), size: 5_000, mode: 0o755)]),
        StepReport(outcome: .exited(code: 1), stderr: Output(head: [UInt8](repeating: 65, count: 5_000))),
    ])
    func notKept(_ report: StepReport) async throws {
        let farm = try Self.farm(report) { $0.compileCacheBytes = 16_384 }
        for _ in 1...2 { #expect(try await run(farm).compile?.cached == false) }
        #expect(compiles(farm) == 2 && farm.farm.figures().compileCache == CompileCacheFigures(misses: 2))
    }

    @Test("A compile during which the toolchain changed is not kept under either")
    func changedMeanwhile() async throws {
        let asked = Mutex(0)
        let farm = try Self.farm(catalog: Self.catalog { $0.toolchain = { "\(asked.withLock { $0 += 1; return $0 })" } })
        _ = try await run(farm)
        #expect(asked.withLock { $0 } == 2 && farm.farm.figures().compileCache == CompileCacheFigures(misses: 1))
    }

    @Test("Every field that a compile step is made from is decided upon in its key")
    func fields() throws {
        func names(_ value: Any) -> [String] { Mirror(reflecting: value).children.compactMap(\.label) }
        let spec = SandboxSpec(
            root: RootFilesystem(layers: []), seccomp: SeccompProgram(bpf: [], notifies: false, onDenied: .errno), tolerateMissing: [])
        // A new field is to be added to CompileKey, or said here to have no part in what a compiler makes: the pool is but
        // a label; when a filter is loaded, and what its supervisor hears of, follows from what is in it; what is brought back and streamed comes after; the last step is never a compile, and a template is for
        // jobs of one step.
        #expect(names(spec) == ["pool", "root", "hostname", "network", "proc", "pty", "seccomp", "user", "tolerateMissing", "template"])
        #expect(names(spec.root) == ["layers", "binds", "writable"] && names(spec.user) == ["uid", "gid"])
        #expect(names(try #require(spec.seccomp)) == ["bpf", "notifies", "onDenied", "permitsKeys", "countedNetlink", "loadsAhead", "permitsSockets", "permitsIPC", "watching"])
        let plan = LaunchPlan(arguments: [], environment: [], limits: EnforcedLimits(.fallback))
        #expect(names(plan) == [
            "arguments", "environment", "workingDirectory", "stdin", "files", "collect", "limits", "keepOutputBytes", "stream", "isLast", "fork",
        ])
        #expect(names(plan.limits).count == 10 && names(FileIn(path: "", content: .bytes([]))) == ["path", "content", "mode"])
    }
}
