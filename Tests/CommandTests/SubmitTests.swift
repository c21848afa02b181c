// `paddock submit`: batches, their bad lines, their results and their end.

import Foundation
import Testing

@Suite("paddock submit", .serialized) struct SubmitTests {
    let place: Place
    init() throws { place = try Place() }

    private func results(_ name: String) throws -> [[String: Any]] {
        try (place.read(name) ?? "").split(separator: "\n").map { try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]) }
    }

    @Test("answers each line by a line, with its number and its own id")
    func good() async throws {
        let daemon = try await TestDaemon(in: place)
        try place.write("jobs.jsonl", (1...50).map { "{\"id\": \"t\($0)\", \"command\": [\"echo\", \"\($0)\"]}\n" }.joined())
        let said = try await place.run("submit", "jobs.jsonl", "--out", "results.jsonl")
        #expect(said.code == 0, "\(said.error)")
        #expect(said.out.contains("ok"))
        #expect(said.out.contains("50 jobs in"))
        let results = try results("results.jsonl").sorted { ($0["line"] as? Int ?? 0) < ($1["line"] as? Int ?? 0) }
        #expect(results.compactMap { $0["line"] as? Int } == Array(1...50))
        for (index, line) in results.enumerated() {
            #expect(line["id"] as? String == "t\(index + 1)")
            let result = try #require(line["result"] as? [String: Any])
            #expect((result["stdout"] as? [String: Any])?["text"] as? String == "\(index + 1)\n")
        }
        #expect(await daemon.stop().code == 0)
    }

    @Test("reports bad lines with their place and field, and runs the others")
    func bad() async throws {
        let daemon = try await TestDaemon(in: place)
        try place.write("jobs.jsonl", """
            {"command": ["true"]}
            {"id": 7, "comand": ["true"]}
            {nope

            {"command": ["true"], "limits": {"memory_bytes": -1}, "id": "x"}
            {"command": ["true"], "pool": "nosuch"}
            {"id": {}, "command": ["true"]}
            {"command": ["false"]}
            """)
        let said = try await place.run("submit", "jobs.jsonl", "--out", "results.jsonl")
        #expect(said.code == 2)
        for message in [
            "jobs.jsonl:2: comand: unknown key", "jobs.jsonl:3: byte 1", "jobs.jsonl:5: limits.memory_bytes: ", "jobs.jsonl:6: pool: found 'nosuch'",
            "jobs.jsonl:7: id: expected a string or a number",
        ] { #expect(said.error.contains(message), "\(said.error)") }
        let results = try results("results.jsonl")
        #expect(results.count == 7)
        #expect(results.filter { $0["result"] != nil }.count == 2)
        let second = try #require(results.first { $0["line"] as? Int == 2 })
        #expect(second["id"] as? Int == 7)
        #expect(((second["error"] as? [String: Any])?["data"] as? [String: Any])?["field"] as? String == "comand")
        #expect(await daemon.stop().code == 0)
    }

    @Test("takes standard input and gives standard output, the summary apart from the results")
    func pipes() async throws {
        let daemon = try await TestDaemon(in: place)
        let said = try await place.run("submit", "-", "--out", "-", input: "{\"command\": [\"false\"]}\n{\"command\": [\"true\"]}")
        #expect(said.code == 1)
        #expect(said.out.split(separator: "\n").count == 2)
        #expect(said.error.contains("2 jobs in"))
        #expect(await daemon.stop().code == 0)
    }

    @Test("waits for a full queue instead of losing jobs")
    func full() async throws {
        try place.write("farm.yaml", "version: 1\npools:\n  - {name: default, size: 1, queue: 1}\n")
        let daemon = try await TestDaemon("--config", "farm.yaml", in: place)
        try place.write("jobs.jsonl", String(repeating: "{\"command\": [\"true\"]}\n", count: 30))
        let said = try await place.run("submit", "jobs.jsonl", "--concurrency", "16")
        #expect(said.code == 0, "\(said.error)")
        #expect(said.out.contains("30 jobs in"))
        #expect(await daemon.stop().code == 0)
    }

    @Test("^C ends the jobs under way on the farm too")
    func interrupt() async throws {
        let daemon = try await TestDaemon(in: place)
        let marker = "5432.\(UInt32.random(in: .min ... .max))"
        try place.write("jobs.jsonl", String(repeating: "{\"command\": [\"sleep\", \"\(marker)\"]}\n", count: 4))
        let running = try place.start(["submit", "jobs.jsonl"])
        while !lives("\(marker)") {}
        running.send(SIGINT)
        let said = await running.end()
        #expect(said.code == 1)
        #expect(said.error.contains("interrupted"))
        #expect(await daemon.stop().code == 0)
        #expect(!lives(marker))
    }

    @Test("with --retry a batch survives the daemon's end and return, and no job runs twice")
    func retry() async throws {
        let first = try await TestDaemon(in: place)
        try place.write("jobs.jsonl", String(repeating: "{\"command\": [\"sleep\", \"0.05\"]}\n", count: 60))
        let running = try place.start(["submit", "jobs.jsonl", "--retry", "--concurrency", "4", "--out", "results.jsonl"])
        while (place.read("results.jsonl") ?? "").isEmpty {}
        first.running.send(SIGKILL)
        _ = await first.running.end()
        let second = try await TestDaemon(in: place)
        let said = await running.end()
        #expect(said.code == 0, "\(said.error) \(said.out)")
        #expect(try results("results.jsonl").count == 60)
        #expect(await second.stop().code == 0)
    }

    @Test("refuses what it cannot read or must not overwrite", arguments: [
        (["nosuch.jsonl"], "nosuch.jsonl: No such file"), (["."], "is a directory"), (["jobs.jsonl", "--out", "jobs.jsonl"], "is the file of jobs itself"),
        (["jobs.jsonl", "--out", "no/such/dir"], "--out: no/such/dir: No such file"), (["jobs.jsonl", "--concurrency", "0"], "--concurrency: found 0"),
    ])
    func wrong(_ arguments: [String], _ message: String) async throws {
        let daemon = try await TestDaemon(in: place)
        try place.write("jobs.jsonl", "{\"command\": [\"true\"]}\n")
        let said = try await place.start(["submit"] + arguments).end()
        #expect(said.code == 2)
        #expect(said.error.contains(message), "\(said.error)")
        #expect(place.read("jobs.jsonl") == "{\"command\": [\"true\"]}\n")
        #expect(await daemon.stop().code == 0)
    }
}
