// `paddock serve --metrics`: what a scraper gets of a real daemon.

import Foundation
import FoundationNetworking
import SandboxCore
import Testing
import Wire

@Suite("paddock serve --metrics", .serialized) struct MetricsTests {
    let place: Place
    init() throws { place = try Place() }

    /// Where a daemon that was given port 0 says that it serves metrics.
    private func address(_ daemon: TestDaemon) throws -> String {
        try #require(daemon.running.errorSoFar.split(separator: "address=").dropFirst().first.map { String($0.prefix { !$0.isWhitespace }) })
    }

    private func ask(_ address: String, _ path: String) async throws -> (status: Int, body: String) {
        let (data, response) = try await URLSession(configuration: .ephemeral).data(from: URL(string: "http://\(address)\(path)")!)
        return ((response as? HTTPURLResponse)?.statusCode ?? 0, String(decoding: data, as: UTF8.self))
    }

    @Test("jobs, refusals and stages are counted, and every line is of the format")
    func counted() async throws {
        let daemon = try await TestDaemon("--metrics", "0", in: place)
        let address = try address(daemon)
        #expect(address.hasPrefix("127.0.0.1:"))
        let client = try await Client.connect(path: place.socket)
        for command in [["true"], ["sh", "-c", "exit 3"], ["sh", "-c", "kill -SEGV $$"], ["sleep", "9"]] {
            _ = try await client.call(.jobRun(JobRequest(work: .command(command), limits: Limits(wallTimeMs: 200))))
        }
        for request in [JobRequest(work: .command(["true"]), policy: "nonesuch"), JobRequest(work: .command(["true"]), pool: "nonesuch\"} 1")] {
            await #expect(throws: (any Error).self) { try await client.call(.jobRun(request)) }
        }
        // A sandbox's teardown goes on after the answer.
        let body = try await eventually { try await ask(address, "/metrics").body } until: {
            $0.contains(#"paddock_stage_seconds_count{pool="default",stage="teardown"} 4"#)
        }
        for line in [
            #"paddock_jobs_submitted_total{pool="default"} 4"#, #"paddock_jobs_ended_total{pool="default",outcome="exited"} 2"#,
            #"paddock_jobs_ended_total{pool="default",outcome="signaled"} 1"#, #"paddock_jobs_ended_total{pool="default",outcome="limit_exceeded"} 1"#,
            #"paddock_jobs_limit_exceeded_total{pool="default",limit="wall_time"} 1"#, #"paddock_rejections_total{reason="unknown_policy"} 1"#,
            #"paddock_rejections_total{reason="unknown_pool"} 1"#, #"paddock_jobs{pool="default",state="running"} 0"#,
            #"paddock_stage_seconds_count{pool="default",stage="run"} 4"#, #"paddock_stage_seconds_bucket{pool="default",stage="queue",le="+Inf"} 4"#,
            "paddock_warden_restarts_total 0", #"paddock_compile_cache_lookups_total{result="miss"} 0"#, "paddock_compile_cache_bytes 0", "paddock_connections 1", "paddock_draining 0",
        ] { #expect(body.contains("\n\(line)\n"), "\(line)") }
        // Nothing a client says makes a series.
        #expect(!body.contains("nonesuch"))
        #expect(body.hasSuffix("\n"))
        let sample = /([a-z_]+)(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [-+0-9.e]+/
        var family = ""
        var series: Set<Substring> = []
        for line in body.split(separator: "\n") {
            if line.hasPrefix("# TYPE ") { family = String(line.split(separator: " ")[2]) }
            if line.hasPrefix("#") { continue }
            let name = try #require(try sample.wholeMatch(in: line), "\(line)").output.1
            #expect([family, "\(family)_bucket", "\(family)_sum", "\(family)_count"].contains(String(name)))
            #expect(series.insert(line.prefix { $0 != " " }).inserted, "twice: \(line)")
        }
        await client.close()
        #expect(await daemon.stop().code == 0)
    }

    @Test("docs/metrics.md lists every metric there is, and no other")
    func documented() async throws {
        let daemon = try await TestDaemon("--metrics", ":0", in: place)
        let body = try await ask(try address(daemon), "/metrics").body
        let served = Set(body.split(separator: "\n").filter { $0.hasPrefix("# TYPE ") }.map { $0.split(separator: " ")[2] })
        let text = try String(contentsOfFile: "\(Running.repository)/docs/metrics.md", encoding: .utf8)
        let listed = Set(text.split(separator: "\n").compactMap { $0.firstMatch(of: /^\| `((paddock|process)_[a-z_]+)`/)?.output.1 })
        #expect(served == listed, "\(served.symmetricDifference(listed))")
        #expect(await daemon.stop().code == 0)
    }

    @Test("health is told while jobs are drained, and nothing is served afterwards")
    func health() async throws {
        let daemon = try await TestDaemon("--metrics", "localhost:0", in: place)
        let address = try address(daemon)
        #expect(try await ask(address, "/healthz") == (200, "ok\n"))
        let client = try await Client.connect(path: place.socket)
        let job = Task { try await client.call(.jobRun(JobRequest(work: .command(["sleep", "30"]), limits: Limits(wallTimeMs: 60_000)))) }
        _ = try await eventually { try await client.stats() } until: { $0.running == 1 }
        daemon.running.send(SIGTERM)
        _ = try await eventually { try await ask(address, "/healthz") } until: { $0.status != 200 }
        #expect(try await ask(address, "/healthz") == (503, "draining\n"))
        #expect(try await ask(address, "/metrics").body.contains("\npaddock_draining 1\n"))
        guard case .jobs(let jobs) = try await client.call(.jobList(JobFilter())) else { throw CancellationError() }
        _ = try await client.call(.jobCancel(jobs.jobs[0].job))
        _ = try? await job.value
        #expect(await daemon.running.end().code == 0)
        await #expect(throws: (any Error).self) { try await ask(address, "/healthz") }
    }

    @Test("what is no address is refused, of the option and of the file", arguments: [
        "1.2.3", "host:80", "127.0.0.1:", "127.0.0.1:65536", "::1:80", "[::1]", "-1", "[127.0.0.1]:1", "127.0.0.1:+1",
    ])
    func addresses(_ text: String) async throws {
        let said = try await place.run("serve", "--metrics=\(text)", "--check")
        #expect(said.code == 2 && said.error.contains("--metrics: found \"\(text)\", expected HOST:PORT, :PORT or PORT"), "\(said.error)")
        try place.write("farm.yaml", "version: 1\nmetrics: \"\(text)\"\n")
        let file = try await place.run("serve", "--config", "farm.yaml", "--check")
        #expect(file.code == 2 && file.error.contains("farm.yaml:2: metrics: found \"\(text)\", expected HOST:PORT"), "\(file.error)")
    }

    @Test("an address that is taken ends the daemon before it serves; the file names one as the option does")
    func taken() async throws {
        try place.write("farm.yaml", "version: 1\nmetrics: 127.0.0.1:0\n")
        let daemon = try await TestDaemon("--config", "farm.yaml", in: place)
        let address = try address(daemon)
        #expect(try await ask(address, "/healthz").status == 200)
        let other = try await place.run(
            "serve", "--socket", "\(place.path)/other.sock", "--metrics", address, environment: ["PADDOCK_HOME": "\(place.path)/other"])
        #expect(other.code == 3 && other.error.contains("error: cannot serve metrics at \(address): "), "\(other.error)")
        #expect(await daemon.stop().code == 0)
    }
}
