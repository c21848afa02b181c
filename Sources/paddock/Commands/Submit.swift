// `paddock submit`: a file of jobs through a farm, many at a time, each line answered by a line.

import ArgumentParser
import Foundation
import SandboxCore
import Synchronization
import Wire

struct Submit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a batch of jobs on a farm.",
        discussion: """
            Each line of JOBS is a job as docs/protocol.md describes it, and may have an \
            "id" of its own:
              {"id": "t1", "command": ["python3", "-c", "print(1)"]}
            Each is answered by one line, in the order in which they end:
              {"line": 1, "id": "t1", "result": {…as on the wire…}}
              {"line": 2, "error": {…}}

            A line that is no job is reported with its place; the others go on. A full \
            queue is waited for. ^C ends what is running.

            Exit codes: 0 every program succeeded, 1 some did not, 2 some lines are wrong \
            or were turned away, 3 the farm failed some.

            Examples:
              paddock submit jobs.jsonl --out results.jsonl
              paddock submit --concurrency 256 --retry jobs.jsonl --out results.jsonl
              generate-jobs | paddock submit - --out - | jq .result.outcome
            """)

    @OptionGroup var address: FarmAddress
    @Argument(help: ArgumentHelp("A file with one job per line; - for standard input.", valueName: "jobs"), completion: .file()) var jobs: String
    @Option(help: ArgumentHelp("Where the results go; - for standard output (default: only the summary is shown).", valueName: "file"), completion: .file())
    var out: String?
    @Option(help: ArgumentHelp("Jobs under way at once.", valueName: "n")) var concurrency = 64
    @Flag(help: "Try again what may pass: retryable failures, a farm or pool that drains, lost connections; under the same idempotency key.") var retry = false

    /// Contents of the jobs under way together; a job larger than this goes alone.
    private static let maxBytesUnderWay = 256 << 20

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        guard (1...100_000).contains(concurrency) else { throw UserError("--concurrency: found \(concurrency), expected 1 to 100000") }
        let reader = try LineReader(jobs)
        let connection = try await BatchConnection(path: address.path, retries: retry)
        let output = try ResultFile(out, notOver: jobs)
        let batch = Batch(connection: connection, output: output, name: jobs == "-" ? "stdin" : jobs, size: reader.size)
        let began = ContinuousClock.now
        let work = Task { [concurrency, retry] in await Self.carryOut(batch, reader, concurrency: concurrency, retry: retry) }
        let interrupts = Interrupts { _ in
            if batch.interrupt() > 1 { _exit(130) }
            work.cancel()
            // The farm ends what it runs for a connection that is gone.
            Task { await connection.close() }
        }
        defer { _ = interrupts }
        let ticker = Task {
            while !Task.isCancelled {
                batch.draw()
                try? await Task.sleep(for: .milliseconds(100))
            }
        }
        await work.value
        ticker.cancel()
        await connection.close()
        let tally = batch.finish()
        // The summary must not be mistaken for a result.
        let lines = tally.lines(elapsed: ContinuousClock.now - began, style: Style(out == "-" ? 2 : 1))
        for line in lines { if out == "-" { Console.note(line) } else { Console.out(line) } }
        if let trouble = batch.trouble { throw trouble }
        if batch.isInterrupted {
            Console.note("interrupted: what was running has been cancelled")
            throw ExitCode(Exit.failed)
        }
        throw ExitCode(tally.exitCode)
    }

    /// Reads lines and has them carried out, as many at once as is allowed.
    private static func carryOut(_ batch: Batch, _ reader: LineReader, concurrency: Int, retry: Bool) async {
        var reader = reader
        let prefix = "batch-\(String(UInt64.random(in: .min ... .max), radix: 36))"
        await withTaskGroup(of: Int.self) { group in
            var underWay = 0
            var bytes = 0
            func settle() async {
                guard let size = await group.next() else { return }
                underWay -= 1
                bytes -= size
            }
            reading: while !batch.isInterrupted {
                switch batch.next(&reader) {
                case .end: break reading
                case .skipped: continue
                case .job(var job):
                    while underWay > 0, underWay >= concurrency || bytes + job.bytes > maxBytesUnderWay { await settle() }
                    underWay += 1
                    bytes += job.bytes
                    if retry, job.request.idempotencyKey == nil { job.request.idempotencyKey = "\(prefix)-\(job.number)" }
                    group.addTask { [job] in
                        await batch.carryOut(job)
                        return job.bytes
                    }
                }
            }
            while underWay > 0 { await settle() }
        }
    }
}
