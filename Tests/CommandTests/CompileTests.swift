// Compiles that are not run twice, by a real daemon: with the machine's own g++, and with compilers that are shell
// commands, which show what is kept of one whatever it leaves.

import Foundation
import SandboxCore
import Testing
import Wire

@Suite("paddock serve and compiles", .serialized) struct CompileTests {
    let place: Place
    init() throws { place = try Place() }

    /// A daemon whose language table has these besides the shipped ones, each as a line of YAML.
    private func daemon(_ languages: String..., settings: String = "") async throws -> (TestDaemon, Client) {
        let shipped = try String(contentsOfFile: "\(Running.share["PADDOCK_SHARE"]!)/images/languages.yaml", encoding: .utf8)
        try place.write("images/languages.yaml", shipped + languages.map { "  - \($0)\n" }.joined())
        try place.write("farm.yaml", "version: 1\nimages: images\n\(settings)\n")
        let daemon = try await TestDaemon("--config", "farm.yaml", in: place)
        return (daemon, try await Client.connect(path: place.socket))
    }

    /// A language whose compiler is a shell command, and so is its program.
    private func shell(_ name: String, compile: String, output: String = "[/tmp/main]", run: String) -> String {
        "{name: \(name), extensions: [\(name)], file: main.\(name), compile: [sh, -c, '\(compile)', x, '{file}'], output: \(output), run: [sh, -c, '\(run)'], check: sh}"
    }

    private func run(
        _ client: Client, _ text: String, _ language: String, _ change: (inout JobRequest) -> Void = { _ in }
    ) async throws -> JobResult {
        var request = JobRequest(work: .source(text: text, language: language, arguments: []))
        change(&request)
        guard case .result(let result) = try await client.call(.jobRun(request)) else { throw CancellationError() }
        return result
    }

    private func hasCompiler(_ client: Client) async throws -> Bool {
        guard case .result(let found) = try await client.call(.jobRun(JobRequest(work: .command(["sh", "-c", "command -v g++"])))) else { return false }
        if found.outcome != .exited(code: 0) { print("skipped: there is no g++ in the host image") }
        return found.outcome == .exited(code: 0)
    }

    private static let adder = "#include <iostream>\nint main() { int a, b; std::cin >> a >> b; std::cout << a + b << std::endl; for (volatile int still = 1; a < 0 && still;); }\n"

    @Test("a C++ source is compiled once; its program runs on each job's own input, under each job's own limits")
    func once() async throws {
        let (daemon, client) = try await daemon()
        guard try await hasCompiler(client) else { return }
        let first = try await run(client, Self.adder, "cpp") { $0.stdin = .bytes(Array("1 2".utf8)) }
        let second = try await run(client, Self.adder, "cpp") { $0.stdin = .bytes(Array("3 4".utf8)) }
        #expect(String(decoding: first.stdout.head + second.stdout.head, as: UTF8.self) == "3\n7\n")
        var report = try #require(first.compile)
        #expect(report.cached == false && report.usage.cpuTimeMs > 0 && second.compile != nil)
        report.cached = true
        #expect(second.compile == report && second.outcome == .exited(code: 0))
        let slow = try await run(client, Self.adder, "cpp") {
            $0.stdin = .bytes(Array("-1 0".utf8))
            $0.limits.cpuTimeMs = 150
        }
        guard case .limitExceeded(.cpuTime, asked: 150, _) = slow.outcome else { return #expect(Bool(false), "\(slow.outcome)") }
        #expect(slow.compile?.cached == true && slow.phase == .run)
        guard case .submitted(let job) = try await client.call(.jobSubmit(JobRequest(work: .source(text: Self.adder, language: "c++", arguments: [])))) else {
            throw CancellationError()
        }
        _ = try await client.call(.jobWait(job, timeoutMs: nil))
        #expect(try await place.run("jobs", "show", job.text).out.contains("succeeded, for an earlier job (cached)"))
        #expect(try await place.run("status").out.contains("1 run, 3 cached, 1 kept"))
        await client.close()
        #expect(await daemon.stop().code == 0)
    }

    @Test("an error of g++ is reported the second time as the first")
    func compileError() async throws {
        let (daemon, client) = try await daemon()
        guard try await hasCompiler(client) else { return }
        var first = try await run(client, "int main() { return x; }\n", "cpp")
        var second = try await run(client, "int main() { return x; }\n", "cpp")
        #expect(first.phase == .compile && first.compile?.cached == false && second.compile?.cached == true)
        let said = String(decoding: try #require(first.compile).stderr.head, as: UTF8.self)
        #expect(said.contains("main.cpp:1:"))
        first.compile?.cached = true
        // No sandbox was made for the second.
        #expect(first.sandbox != nil && second.sandbox == nil)
        second.sandbox = first.sandbox
        // Where each job's own time went is its own.
        (first.job, second.job, first.usage.stages, second.usage.stages) = (JobID(""), JobID(""), Stages(), Stages())
        #expect(second == first)
        await client.close()
        #expect(await daemon.stop().code == 0)
    }

    @Test("another source, flag, variable, header or policy is another compile, and so is one that is asked to be run")
    func others() async throws {
        let (daemon, client) = try await daemon("{name: plain, extensions: [plain], file: main.cpp, compile: [g++, -O0, -o, /tmp/main, '{file}'], output: [/tmp/main], run: [/tmp/main], check: g++}")
        guard try await hasCompiler(client) else { return }
        let text = "#include \"a.h\"\nint main() { return A; }\n"
        func header(_ value: String) -> FileIn { FileIn(path: "a.h", content: .bytes(Array("#define A \(value)\n".utf8))) }
        let changes: [(String, String, (inout JobRequest) -> Void)] = [
            (text, "cpp", { _ in }), (text + "\n", "cpp", { _ in }), (text, "plain", { _ in }), (text, "cpp", { $0.environment = ["CPATH": "/tmp"] }),
            (text, "cpp", { $0.files = [header("7")] }), (text, "cpp", { $0.policy = "build" }), (text, "cpp", { $0.compileCache = false }),
        ]
        for (text, language, change) in changes {
            let result = try await run(client, text, language) {
                $0.files = [header("5")]
                change(&$0)
                $0.limits.memoryBytes = 512 << 20
            }
            #expect(result.compile?.cached == false && [.exited(code: 5), .exited(code: 7)].contains(result.outcome), "\(result.outcome)")
        }
        #expect(try await client.stats().compileCache.entries == changes.count - 1)
        await client.close()
        #expect(await daemon.stop().code == 0)
    }

    @Test("what is kept is what the table names, whole directories too, in a sandbox where nothing else is left")
    func output() async throws {
        let (daemon, client) = try await daemon(shell(
            "tree", compile: "mkdir -p /tmp/out/a/b && head -c 8 /dev/urandom | od -An -tx1 > /tmp/out/a/b/random && cp $1 /tmp/out/ && touch left /tmp/left",
            output: "[\"/tmp/out/**\"]", run: "cd /tmp && find out left -type f 2>/dev/null | sort && cat out/a/b/random && ls /workspace"))
        let first = try await run(client, "text", "tree"), second = try await run(client, "text", "tree")
        let random = String(decoding: first.stdout.head, as: UTF8.self).split(separator: "\n")[3]
        #expect(String(decoding: first.stdout.head, as: UTF8.self) == "left\nout/a/b/random\nout/main.tree\n\(random)\nleft\nmain.tree\n")
        #expect(String(decoding: second.stdout.head, as: UTF8.self) == "out/a/b/random\nout/main.tree\n\(random)\nmain.tree\n")
        #expect(first.compile?.cached == false && second.compile?.cached == true)
        await client.close()
        #expect(await daemon.stop().code == 0)
    }

    @Test("no link, no directory and nothing too large is kept, and no right but to read, write and run", arguments: [
        ("ln -s /usr/bin/true /tmp/main", "0", false), ("mkdir /tmp/main", "0", false), ("mkfifo /tmp/main", "0", false), ("true", "0", false),
        ("truncate -s 40M /tmp/main", "40000000", false), ("cp /usr/bin/true /tmp/main && chmod 6751 /tmp/main", "751", true),
    ])
    func refused(_ compile: String, _ says: String, _ cached: Bool) async throws {
        let (daemon, client) = try await daemon(shell("odd", compile: compile, run: says == "751" ? "stat -c %a /tmp/main" : "echo 0"))
        let first = try await run(client, "", "odd"), second = try await run(client, "", "odd")
        #expect(first.compile?.outcome == .exited(code: 0) && first.compile?.cached == false && second.compile?.cached == cached)
        if cached { #expect(String(decoding: second.stdout.head, as: UTF8.self) == says + "\n") }
        #expect(second.outcome == .exited(code: 0))
        let cache = try await client.stats().compileCache
        #expect(cache.entries == (cached ? 1 : 0) && cache.hits == (cached ? 1 : 0))
        await client.close()
        #expect(await daemon.stop().code == 0)
    }

    @Test("the operator's bounds hold, and 0 keeps nothing")
    func bounds() async throws {
        let language = shell("copy", compile: "cp $1 /tmp/main", run: "cat /tmp/main")
        do {
            let (daemon, client) = try await daemon(language, settings: "compile_cache: {bytes: 1MiB, entries: 2}")
            for text in ["a", "b", "a", "c", "a", "b"] { #expect(try await run(client, text, "copy").stdout.head == Array(text.utf8)) }
            let cache = try await client.stats().compileCache
            #expect((cache.hits, cache.misses, cache.evicted, cache.entries) == (2, 4, 2, 2) && cache.bytes < 1 << 20)
            await client.close()
            #expect(await daemon.stop().code == 0)
        }
        let (daemon, client) = try await daemon(language, settings: "compile_cache: {bytes: 0}")
        for _ in 1...2 { #expect(try await run(client, "a", "copy").compile?.cached == false) }
        #expect(try await client.stats().compileCache == CompileCacheFigures())
        await client.close()
        #expect(await daemon.stop().code == 0)
    }

    @Test("twenty jobs that need the same compile at once run it once")
    func shared() async throws {
        let (daemon, client) = try await daemon(
            shell("slow", compile: "cat /proc/sys/kernel/random/uuid > /tmp/main && sleep 0.3", run: "cat /tmp/main"),
            settings: "pools: [{name: default, size: 20}]")
        let results = try await withThrowingTaskGroup(of: JobResult.self) { group in
            for _ in 1...20 { group.addTask { try await run(client, "", "slow") } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(Set(results.map(\.stdout.head)).count == 1 && results.count { $0.compile?.cached == false } == 1)
        let cache = try await client.stats().compileCache
        #expect(cache.misses == 1 && cache.hits + cache.shared == 19)
        await client.close()
        #expect(await daemon.stop().code == 0)
    }
}
