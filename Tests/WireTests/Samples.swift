// Values that use every field once: what the round trips and the mutations start from.

import SandboxCore

@testable import Wire

enum Samples {
    static let sum = String(repeating: "a1", count: 32)

    static let jobs: [JobRequest] = [
        JobRequest(work: .command(["true"])),
        JobRequest(
            work: .command(["python3", "-c", "print(\"é😀\\n\")\n"]), stdin: .bytes([0, 255, 10]), environment: ["A": "1", "Z_é": "\t"],
            workingDirectory: "/tmp",
            files: [
                FileIn(path: "a/b.py", content: .bytes(Array("import os\n".utf8))),
                FileIn(path: "bin", content: .bytes([0xff, 0xfe]), mode: 0o755), FileIn(path: "c", content: .blob(sum), mode: 0),
            ],
            collect: [FileOut(pattern: "out/**/*.txt"), FileOut(pattern: "log", maxBytes: 0)],
            limits: Limits(
                cpuTimeMs: 1, wallTimeMs: 604_800_000, memoryBytes: 1 << 44, processes: 1, diskBytes: 1 << 20, diskInodes: 64,
                outputBytes: 0, openFiles: 64, stackBytes: 1 << 16, fileSizeBytes: 0),
            policy: "strict", image: "host", pool: "p", labels: Labels(rollout: "r", group: "g"), priority: -100,
            deadlineMs: 1, stream: true, idempotencyKey: "key", compileCache: false, surviveDisconnect: true),
        JobRequest(work: .source(text: "int main(){}", language: "c", arguments: ["-x", ""]), stdin: .blob(sum)),
        JobRequest(
            work: .testsOnly,
            tests: TestRequest(framework: .pytest, paths: ["tests"], arguments: ["-x"], failToPass: ["a::b"], passToPass: [])),
        JobRequest(work: .command(["make"]), tests: TestRequest(framework: .junit, report: "out/junit.xml")),
    ]

    static let calls: [Call] =
        jobs.map(Call.jobRun) + jobs.map(Call.jobSubmit) + [
            .jobWait(JobID("j-1"), timeoutMs: 0), .jobWait(JobID("j-1"), timeoutMs: nil), .jobGet(JobID("j-2")),
            .jobList(JobFilter()), .jobList(JobFilter(state: .running, pool: "p", limit: 7)), .jobCancel(JobID("j-3")),
            .blobPut(BlobPut(bytes: Array("text".utf8), sha256: sum)), .blobPut(BlobPut(bytes: [0xff])), .blobHas([]),
            .blobHas([sum]), .farmInfo, .farmStats, .poolList, .poolSet(PoolChange(pool: "p")),
            .poolSet(PoolChange(pool: "p", size: 1, queue: 2, image: "i", policy: "q", reuse: .group)), .poolDrain("p"), .poolResume("p"),
        ]

    static let usage: Usage = {
        var usage = Usage()
        usage.wallTimeMs = 12.125
        usage.cpuTimeMs = 9.8
        usage.peakMemoryBytes = 6_291_456
        usage.peakProcesses = 1
        usage.diskBytes = 4_096
        usage.diskInodes = 3
        usage.throttledMs = 0.4
        usage.stages.queuedMs = 0.2
        usage.stages.setupMs = 1.9
        usage.stages.runMs = 12.125
        usage.stages.teardownMs = 0.001
        return usage
    }()

    static let outcomes: [Outcome] = [
        .exited(code: 0), .exited(code: 255), .signaled(signal: 11), .signaled(signal: 34), .signaled(signal: 64), .signaled(signal: 99),
        .limitExceeded(limit: .memory, asked: 1 << 28, used: 1 << 28 + 1), .limitExceeded(limit: .fileSize, asked: 0, used: 1),
        .syscallDenied(syscall: "mount"), .cancelled(by: .deadline), .cancelled(by: .disconnect),
    ]

    static let result = JobResult(
        job: JobID("j-1f-2"), outcome: .exited(code: 1), phase: .compile, stdout: Output(head: Array("hé\"\\\u{1}".utf8)),
        stderr: Output(head: [0xff], tail: Array("end".utf8), totalBytes: 1_000_000), usage: usage,
        denied: [DeniedSyscall(syscall: "mount", count: 2)], unenforced: ["cgroup_memory"],
        files: [
            CollectedFile(path: "out.txt", bytes: Array("…".utf8), size: 12, mode: 0o644),
            CollectedFile(path: "b", bytes: [0, 200], size: 2, mode: 0o7),
        ],
        filesSkipped: ["half\\xc3", "d\\xff/"], filesTruncated: true,
        compile: CompileReport(outcome: .exited(code: 1), stdout: Output(), stderr: Output(head: [10]), usage: Usage(), cached: true),
        tests: TestReport(
            framework: .pytest, completion: .endedEarly(reason: "killed"),
            tests: [TestCase(id: "t::a", outcome: .passed, durationMs: 1.25), TestCase(id: "t::b", outcome: .xfailed, message: "why")],
            expected: 3, resolved: false),
        sandbox: .reused, labels: Labels(rollout: nil, group: "g1"))

    static let pool = PoolStatus(
        name: "default", state: .draining, backend: "process", image: "host", policy: "default", size: 64, queue: 10_000,
        queued: 3, running: 2, ready: 1, reuse: .group, idle: 4, ended: 77)

    static let stage = StageTimes(
        count: 3, sumMs: 7.5, p50Ms: 1.5, p90Ms: 2, p99Ms: 3.25, maxMs: 3.25,
        buckets: [.init(upToMs: 0.001, count: 1), .init(upToMs: 2, count: 1), .init(upToMs: nil, count: 1)])

    static let statuses: [JobStatus] = [
        JobStatus(job: JobID("j-1"), state: .queued, pool: "p", submittedMsAgo: 3),
        JobStatus(job: JobID("j-2"), state: .done, pool: "p", labels: Labels(rollout: "r"), submittedMsAgo: 3, end: .result(result)),
        JobStatus(job: JobID("j-3"), state: .done, pool: "p", submittedMsAgo: 9, end: .failed(FarmError(.sandboxLost, "gone", retryable: true))),
    ]

    /// An answer for every method, in every shape it can have.
    static let answers: [(Method, Answer)] =
        outcomes.map { (.jobRun, .result(JobResult(job: JobID("j-1"), outcome: $0))) }
        + statuses.map { (.jobGet, .status($0)) } + [
            (.jobRun, .result(result)), (.jobWait, .result(result)), (.jobWait, .state(JobID("j-1"), .running)),
            (.jobSubmit, .submitted(JobID("j-9"))), (.jobCancel, .state(JobID("j-1"), .done)),
            (.jobList, .jobs(JobList(jobs: statuses, total: 40))), (.blobPut, .blob(sha256: sum, bytes: 9)),
            (.blobHas, .missing([])), (.blobHas, .missing([sum])), (.poolList, .pools([pool, pool])), (.poolSet, .pool(pool)),
            (.farmInfo, .info(FarmInfo(
                version: "1.0.0", pid: 7, uptimeMs: 5,
                host: HostFacts(kernel: "6.1", architecture: "x86_64", cpus: 2, memoryBytes: 1 << 34, cgroup: "v2", root: true),
                pools: ["default"], policies: ["strict"], images: ["host"], languages: ["c", "python"], unenforced: ["overlay"]))),
            (.farmStats, .stats(FarmStats(
                uptimeMs: 5, submitted: 10, rejected: 1, outcomes: ["exited": 7, "signaled": 1], farmErrors: ["launch": 1],
                queued: 1, running: 2, jobsPerSecond: 12.5, stages: ["run": stage], stagesByPool: ["default": ["run": stage], "a\"b": [:]],
                connections: 4, memoryBytes: 1 << 25, keptResults: 3, keptResultBytes: 999, blobs: 2, blobBytes: 17,
                compileCache: CompileCacheFigures(hits: 1, shared: 2, misses: 3, evicted: 4, entries: 5, bytes: 6)))),
        ]
}
