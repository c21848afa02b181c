// What a scrape of the farm shows: the farm's own figures, read when they are asked for. docs/metrics.md lists them.

import Farm
import SandboxCore
import Telemetry

struct FarmMetrics: Sendable {
    var figures: FarmFigures
    var process: ProcessFigures
    var connections: Int
    var socket: [SocketTally.Event: Int]

    func text() -> [UInt8] {
        var text = PrometheusText(capacity: 4_096 + 24_576 * figures.pools.count)
        farm(&text)
        jobs(&text)
        pools(&text)
        stages(&text)
        cells(&text)
        templates(&text)
        compiles(&text)
        holdings(&text)
        daemon(&text)
        return text.bytes
    }

    private func farm(_ text: inout PrometheusText) {
        text.begin("paddock_build_info", .gauge, "1, with the daemon's version.")
        text.sample(1, [.version: Version.text])
        text.begin("paddock_draining", .gauge, "Whether the farm takes no more jobs because it is about to end.")
        text.sample(figures.draining ? 1 : 0)
    }

    private func jobs(_ text: inout PrometheusText) {
        text.begin("paddock_jobs_submitted_total", .counter, "Jobs that were admitted.")
        for pool in figures.pools { text.sample(pool.jobs.submitted, [.pool: pool.name]) }
        text.begin("paddock_jobs_ended_total", .counter, "Jobs that ended with a result, by its outcome.")
        for pool in figures.pools {
            for outcome in OutcomeKind.allCases {
                text.sample(pool.jobs.ended[outcome] ?? 0, [.pool: pool.name, .outcome: outcome.rawValue])
            }
        }
        text.begin("paddock_jobs_limit_exceeded_total", .counter, "Jobs that a limit ended, by the limit.")
        for pool in figures.pools {
            for limit in LimitName.allCases {
                text.sample(pool.jobs.limits[limit] ?? 0, [.pool: pool.name, .limit: limit.rawValue])
            }
        }
        text.begin("paddock_farm_errors_total", .counter, "Jobs without a result because the farm failed, by the error's code.")
        for pool in figures.pools {
            for code in FarmError.Code.allCases {
                text.sample(pool.jobs.failed[code] ?? 0, [.pool: pool.name, .code: code.rawValue])
            }
        }
        text.begin("paddock_rejections_total", .counter, "Jobs that were turned away, by the reason.")
        for reason in Rejected.Code.allCases { text.sample(figures.rejected[reason] ?? 0, [.reason: reason.rawValue]) }
    }

    private func pools(_ text: inout PrometheusText) {
        text.begin("paddock_jobs", .gauge, "Jobs that wait and jobs that run.")
        for pool in figures.pools {
            text.sample(pool.pool.queued, [.pool: pool.name, .state: JobState.queued.rawValue])
            text.sample(pool.pool.running, [.pool: pool.name, .state: JobState.running.rawValue])
        }
        text.begin("paddock_pool_size", .gauge, "How many jobs run at once.")
        for pool in figures.pools { text.sample(pool.pool.size, [.pool: pool.name]) }
        text.begin("paddock_pool_queue_size", .gauge, "How many jobs may wait.")
        for pool in figures.pools { text.sample(pool.pool.queue, [.pool: pool.name]) }
        text.begin("paddock_pool_draining", .gauge, "Whether an operator has drained the pool.")
        for pool in figures.pools { text.sample(pool.pool.state == .draining ? 1 : 0, [.pool: pool.name]) }
        text.begin("paddock_sandboxes_ready", .gauge, "Sandboxes that are made and wait for a job.")
        for pool in figures.pools { text.sample(pool.pool.ready, [.pool: pool.name]) }
        text.begin("paddock_sandboxes_idle", .gauge, "Sandboxes that stay with a group and wait for its next job.")
        for pool in figures.pools { text.sample(pool.pool.idle, [.pool: pool.name]) }
    }

    private func stages(_ text: inout PrometheusText) {
        text.begin("paddock_stage_seconds", .histogram, "Where the time of jobs that had a result went.")
        for pool in figures.pools {
            for stage in Stage.allCases { text.sample(pool.jobs.stages[stage], [.pool: pool.name, .stage: stage.rawValue]) }
        }
    }

    private func templates(_ text: inout PrometheusText) {
        let all = figures.pools.flatMap { pool in pool.pool.templates.map { (pool.name, $0) } }
        text.begin("paddock_template_ready", .gauge, "Whether a template is loaded and can be forked.")
        for (pool, template) in all { text.sample(template.state == .ready ? 1 : 0, [.pool: pool, .template: template.name]) }
        text.begin("paddock_template_forks_total", .counter, "Jobs that were forked from a template.")
        for (pool, template) in all { text.sample(template.forks, [.pool: pool, .template: template.name]) }
        text.begin("paddock_template_loads_total", .counter, "How often a template was loaded.")
        for (pool, template) in all { text.sample(template.loads, [.pool: pool, .template: template.name]) }
    }

    private func cells(_ text: inout PrometheusText) {
        guard let backend = figures.backend else { return }
        func counts(_ pool: PoolFigures) -> BackendFigures.Pool { backend.pools[pool.name] ?? BackendFigures.Pool() }
        text.begin("paddock_cells_made_total", .counter, "Cells that were made, each with its first sandbox.")
        for pool in figures.pools { text.sample(counts(pool).made, [.pool: pool.name]) }
        text.begin("paddock_cells_renewed_total", .counter, "Sandboxes made in a cell that had served one before.")
        for pool in figures.pools { text.sample(counts(pool).renewed, [.pool: pool.name]) }
        text.begin("paddock_cells_discarded_total", .counter, "Cells that ended: not needed, not to be used again, or broken.")
        for pool in figures.pools { text.sample(counts(pool).discarded, [.pool: pool.name]) }
        text.begin("paddock_warden_restarts_total", .counter, "Wardens that ended unexpectedly and were replaced.")
        text.sample(backend.wardenRestarts)
    }

    private func compiles(_ text: inout PrometheusText) {
        let cache = figures.compileCache
        text.begin("paddock_compile_cache_lookups_total", .counter, "Compile steps that could be answered from an equal one, by whether they were.")
        for (result, count) in [("hit", cache.hits), ("shared", cache.shared), ("miss", cache.misses)] {
            text.sample(count, [.result: result])
        }
        text.begin("paddock_compile_cache_evicted_total", .counter, "Compiles that were no longer kept, to make room.")
        text.sample(cache.evicted)
        text.begin("paddock_compile_cache_entries", .gauge, "Compiles that are kept.")
        text.sample(cache.entries)
        text.begin("paddock_compile_cache_bytes", .gauge, "Their size.")
        text.sample(cache.bytes)
    }

    private func holdings(_ text: inout PrometheusText) {
        text.begin("paddock_held_bytes", .gauge, "Contents of all jobs that wait or run.")
        text.sample(figures.heldBytes)
        text.begin("paddock_kept_results", .gauge, "Results that are kept for clients to come back for.")
        text.sample(figures.retainedResults)
        text.begin("paddock_kept_result_bytes", .gauge, "Their size.")
        text.sample(figures.retainedBytes)
        text.begin("paddock_blobs", .gauge, "Blobs that are kept.")
        text.sample(figures.blobs)
        text.begin("paddock_blob_bytes", .gauge, "Their size.")
        text.sample(figures.blobBytes)
        text.begin("paddock_connections", .gauge, "Clients of the socket.")
        text.sample(connections)
        text.begin("paddock_connection_events_total", .counter, "What happened on the socket.")
        for event in SocketTally.Event.allCases { text.sample(socket[event] ?? 0, [.event: event.rawValue]) }
    }

    /// Under the names that every scraper's dashboards know.
    private func daemon(_ text: inout PrometheusText) {
        text.begin("process_cpu_seconds_total", .counter, "Processor time of the daemon, without its sandboxes.")
        text.sample(process.cpuSeconds)
        text.begin("process_resident_memory_bytes", .gauge, "Resident memory of the daemon.")
        text.sample(process.residentBytes)
        text.begin("process_open_fds", .gauge, "Descriptors the daemon has open.")
        text.sample(process.openDescriptors)
        text.begin("process_max_fds", .gauge, "Descriptors the daemon may have open.")
        text.sample(process.mostDescriptors)
        text.begin("process_start_time_seconds", .gauge, "When the daemon started, since the epoch.")
        text.sample(process.startedAt)
    }
}

extension PoolFigures {
    fileprivate var name: String { pool.name }
}
