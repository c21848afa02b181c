// What operators read, back from its line: the mirror of the second half of EncodeAnswer.swift.

import SandboxCore

extension FieldReader {
    func status(_ value: Int) throws(Rejected) -> JobStatus {
        JobStatus(
            job: JobID(try string("job", in: value)), state: try word(try need("state", in: value), JobState.self),
            pool: try string("pool", in: value), labels: try looseLabels(try need("labels", in: value)),
            submittedMsAgo: try number("submitted_ms_ago", in: value), end: try end(value))
    }

    private func end(_ status: Int) throws(Rejected) -> JobEnd? {
        if let result = maybe("result", in: status) { return .result(try jobResult(result)) }
        guard let value = maybe("error", in: status) else { return nil }
        guard case .farm(let error)? = try error(value).failure else { throw wrong(value, expected: "a farm_error") }
        return .failed(error)
    }

    func pool(_ value: Int) throws(Rejected) -> PoolStatus {
        PoolStatus(
            name: try string("name", in: value), state: try word(try need("state", in: value), PoolState.self),
            backend: try string("backend", in: value), image: try string("image", in: value),
            policy: try string("policy", in: value), size: try number("size", in: value),
            queue: try number("queue", in: value), queued: try number("queued", in: value),
            running: try number("running", in: value), ready: try number("ready", in: value),
            reuse: try optional("reuse", in: value) { (v) throws(Rejected) in try word(v, SandboxReuse.self) } ?? .none,
            idle: try optional("idle", in: value) { (v) throws(Rejected) in try integer(v) } ?? 0,
            ended: try number("ended", in: value),
            templates: try list("templates", in: value) { (item) throws(Rejected) in try template(item) })
    }

    private func template(_ value: Int) throws(Rejected) -> TemplateStatus {
        TemplateStatus(
            name: try string("name", in: value), state: try word(try need("state", in: value), TemplateStatus.State.self),
            forks: try number("forks", in: value), loads: try number("loads", in: value),
            error: try optional("error", in: value) { (v) throws(Rejected) in try text(v) })
    }

    func info(_ value: Int) throws(Rejected) -> FarmInfo {
        let host = try need("host", in: value)
        func names(_ key: String) throws(Rejected) -> [String] {
            try list(key, in: value) { (item) throws(Rejected) in try text(item) }
        }
        return FarmInfo(
            version: try string("version", in: value), protocolVersion: try number("protocol", in: value),
            pid: try number("pid", in: value), uptimeMs: try number("uptime_ms", in: value),
            host: HostFacts(
                kernel: try string("kernel", in: host), architecture: try string("architecture", in: host),
                cpus: try number("cpus", in: host), memoryBytes: try number("memory_bytes", in: host),
                cgroup: try string("cgroup", in: host), root: try flag("root", in: host)),
            pools: try names("pools"), policies: try names("policies"), images: try names("images"),
            languages: try names("languages"), unenforced: try names("unenforced"))
    }

    func stats(_ value: Int) throws(Rejected) -> FarmStats {
        var byPool: [String: [String: StageTimes]] = [:]
        try members(try need("stages_by_pool", in: value)) { (pool, times) throws(Rejected) in byPool[pool] = try stages(times) }
        return FarmStats(
            uptimeMs: try number("uptime_ms", in: value), submitted: try number("submitted", in: value),
            rejected: try number("rejected", in: value), outcomes: try counts("outcomes", in: value),
            farmErrors: try counts("farm_errors", in: value), queued: try number("queued", in: value),
            running: try number("running", in: value), jobsPerSecond: try figure(try need("jobs_per_second", in: value)),
            stages: try stages(try need("stages", in: value)), stagesByPool: byPool, connections: try number("connections", in: value),
            memoryBytes: try number("memory_bytes", in: value), keptResults: try number("kept_results", in: value),
            keptResultBytes: try number("kept_result_bytes", in: value), blobs: try number("blobs", in: value),
            blobBytes: try number("blob_bytes", in: value),
            compileCache: try optional("compile_cache", in: value) { (v) throws(Rejected) in try compileCache(v) } ?? CompileCacheFigures())
    }

    private func compileCache(_ value: Int) throws(Rejected) -> CompileCacheFigures {
        CompileCacheFigures(
            hits: try number("hits", in: value), shared: try number("shared", in: value), misses: try number("misses", in: value),
            evicted: try number("evicted", in: value), entries: try number("entries", in: value), bytes: try number("bytes", in: value))
    }

    private func stages(_ value: Int) throws(Rejected) -> [String: StageTimes] {
        var stages: [String: StageTimes] = [:]
        try members(value) { (stage, times) throws(Rejected) in
            stages[stage] = StageTimes(
                count: try number("count", in: times), sumMs: try figure(try need("sum_ms", in: times)),
                p50Ms: try figure(try need("p50_ms", in: times)), p90Ms: try figure(try need("p90_ms", in: times)),
                p99Ms: try figure(try need("p99_ms", in: times)), maxMs: try figure(try need("max_ms", in: times)),
                buckets: try list("buckets", in: times) { (bucket) throws(Rejected) in
                    StageTimes.Bucket(
                        upToMs: try optional("up_to_ms", in: bucket) { (bound) throws(Rejected) in try figure(bound) },
                        count: try number("count", in: bucket))
                })
        }
        return stages
    }

    private func counts(_ key: String, in value: Int) throws(Rejected) -> [String: Int] {
        var counts: [String: Int] = [:]
        try members(try need(key, in: value)) { (word, count) throws(Rejected) in counts[word] = try integer(count) }
        return counts
    }

    /// Visits the members of an object whose keys are data.
    private func members(_ object: Int, _ visit: (String, Int) throws(Rejected) -> Void) throws(Rejected) {
        guard json.nodes[object].kind == .object else { throw wrong(object, expected: "an object") }
        var key = object + 1
        for _ in 0..<count(object) {
            try visit(String(decoding: json.contents(of: key), as: UTF8.self), key + 1)
            key = json.next(after: key + 1)
        }
    }
}
