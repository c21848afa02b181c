// An answer, an error or a notification → one line. The last step of a job's journey.

import SandboxCore

/// The lines a server sends, each with its newline.
public enum Line {
    public static func answer(_ id: RequestID, _ answer: Answer) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.envelope(id: id)
        writer.key("result")
        writer.answer(answer)
        writer.endObject()
        writer.newline()
        return writer.bytes
    }

    /// - Parameter id: `nil` where the line at fault had none that could be read.
    public static func error(_ id: RequestID?, _ error: ErrorObject) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.envelope(id: id)
        writer.error(error)
        writer.endObject()
        writer.newline()
        return writer.bytes
    }

    public static func output(_ output: JobOutput) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("jsonrpc")
        writer.string("2.0")
        writer.key("method")
        writer.string("job.output")
        writer.key("params")
        writer.beginObject()
        writer.member("job", output.job.text)
        writer.key("request")
        writer.requestID(output.request)
        writer.member("stream", output.stream.rawValue)
        writer.content(output.bytes)
        if output.droppedBytes > 0 { writer.member("dropped_bytes", output.droppedBytes) }
        writer.endObject()
        writer.endObject()
        writer.newline()
        return writer.bytes
    }
}

extension JSONWriter {
    mutating func answer(_ answer: Answer) {
        if case .result(let result) = answer { return self.result(result) }
        if case .status(let status) = answer { return self.status(status) }
        if case .pool(let pool) = answer { return self.pool(pool) }
        if case .info(let info) = answer { return self.info(info) }
        if case .stats(let stats) = answer { return self.stats(stats) }
        beginObject()
        switch answer {
        case .submitted(let job): member("job", job.text)
        case .state(let job, let state):
            member("job", job.text)
            member("state", state.rawValue)
        case .jobs(let list):
            key("jobs")
            beginArray()
            for job in list.jobs { status(job) }
            endArray()
            member("total", list.total)
        case .blob(let sum, let count):
            member("blob", sum)
            member("bytes", count)
        case .missing(let sums): member("missing", sums)
        case .pools(let pools):
            key("pools")
            beginArray()
            for pool in pools { self.pool(pool) }
            endArray()
        case .result, .status, .pool, .info, .stats: break
        }
        endObject()
    }

    /// The member `error` of a message, and of a job's status.
    mutating func error(_ error: ErrorObject) {
        key("error")
        object(error)
    }

    mutating func object(_ error: ErrorObject) {
        beginObject()
        member("code", error.code)
        member("message", error.message)
        key("data")
        beginObject()
        member("kind", error.kind.rawValue)
        member("code", error.reason)
        member("field", error.field)
        member("retry_after_ms", error.retryAfterMs)
        member("retryable", error.retryable)
        endObject()
        endObject()
    }

    private mutating func status(_ status: JobStatus) {
        beginObject()
        member("job", status.job.text)
        member("state", status.state.rawValue)
        member("pool", status.pool)
        labels(status.labels)
        member("submitted_ms_ago", status.submittedMsAgo)
        switch status.end {
        case .result(let result)?:
            key("result")
            self.result(result)
        case .failed(let failure)?: error(ErrorObject(.farm(failure)))
        case nil: break
        }
        endObject()
    }

    private mutating func pool(_ pool: PoolStatus) {
        beginObject()
        member("name", pool.name)
        member("state", pool.state.rawValue)
        member("backend", pool.backend)
        member("image", pool.image)
        member("policy", pool.policy)
        member("size", pool.size)
        member("queue", pool.queue)
        member("queued", pool.queued)
        member("running", pool.running)
        member("ready", pool.ready)
        member("reuse", pool.reuse.rawValue)
        member("idle", pool.idle)
        member("ended", pool.ended)
        key("templates")
        beginArray()
        for template in pool.templates {
            beginObject()
            member("name", template.name)
            member("state", template.state.rawValue)
            member("forks", template.forks)
            member("loads", template.loads)
            if let error = template.error { member("error", error) }
            endObject()
        }
        endArray()
        endObject()
    }

    private mutating func info(_ info: FarmInfo) {
        beginObject()
        member("version", info.version)
        member("protocol", info.protocolVersion)
        member("pid", info.pid)
        member("uptime_ms", info.uptimeMs)
        key("host")
        beginObject()
        member("kernel", info.host.kernel)
        member("architecture", info.host.architecture)
        member("cpus", info.host.cpus)
        member("memory_bytes", info.host.memoryBytes)
        member("cgroup", info.host.cgroup)
        member("root", info.host.root)
        endObject()
        member("pools", info.pools)
        member("policies", info.policies)
        member("images", info.images)
        member("languages", info.languages)
        member("unenforced", info.unenforced)
        endObject()
    }

    private mutating func stats(_ stats: FarmStats) {
        beginObject()
        member("uptime_ms", stats.uptimeMs)
        member("submitted", stats.submitted)
        member("rejected", stats.rejected)
        counts("outcomes", stats.outcomes)
        counts("farm_errors", stats.farmErrors)
        member("queued", stats.queued)
        member("running", stats.running)
        member("jobs_per_second", figure: stats.jobsPerSecond)
        key("stages")
        stages(stats.stages)
        key("stages_by_pool")
        beginObject()
        for (pool, times) in stats.stagesByPool.sorted(by: { $0.key < $1.key }) {
            foreignKey(pool)
            stages(times)
        }
        endObject()
        member("connections", stats.connections)
        member("memory_bytes", stats.memoryBytes)
        member("kept_results", stats.keptResults)
        member("kept_result_bytes", stats.keptResultBytes)
        member("blobs", stats.blobs)
        member("blob_bytes", stats.blobBytes)
        compileCache(stats.compileCache)
        endObject()
    }

    private mutating func compileCache(_ cache: CompileCacheFigures) {
        key("compile_cache")
        beginObject()
        member("hits", cache.hits)
        member("shared", cache.shared)
        member("misses", cache.misses)
        member("evicted", cache.evicted)
        member("entries", cache.entries)
        member("bytes", cache.bytes)
        endObject()
    }

    private mutating func stages(_ stages: [String: StageTimes]) {
        beginObject()
        for (stage, times) in stages.sorted(by: { $0.key < $1.key }) {
            foreignKey(stage)
            beginObject()
            member("count", times.count)
            member("sum_ms", figure: times.sumMs)
            member("p50_ms", figure: times.p50Ms)
            member("p90_ms", figure: times.p90Ms)
            member("p99_ms", figure: times.p99Ms)
            member("max_ms", figure: times.maxMs)
            key("buckets")
            beginArray()
            for bucket in times.buckets {
                beginObject()
                member("up_to_ms", figure: bucket.upToMs)
                member("count", bucket.count)
                endObject()
            }
            endArray()
            endObject()
        }
        endObject()
    }

    private mutating func counts(_ name: String, _ counts: [String: Int]) {
        key(name)
        beginObject()
        for (word, count) in counts.sorted(by: { $0.key < $1.key }) {
            foreignKey(word)
            integer(count)
        }
        endObject()
    }
}
