// What the farm knows about its jobs, from admission until their results are forgotten. Everything in here happens
// under the farm's lock; what has to follow outside of it is left in `effects`.

import SandboxCore
import Scheduling

/// A job that was admitted, with all it needs to run.
final class AdmittedJob: Sendable {
    let id: JobID
    let resolved: ResolvedJob
    let submittedAt: Int
    /// Where its task runs; `nil` for where tasks usually do.
    let executor: (any TaskExecutor)?
    let standardInput: Int32?
    let onOutput: OnOutput?

    init(id: JobID, resolved: ResolvedJob, submittedAt: Int, executor: (any TaskExecutor)?, standardInput: Int32?, onOutput: OnOutput?) {
        self.id = id
        self.resolved = resolved
        self.submittedAt = submittedAt
        self.executor = executor
        self.standardInput = standardInput
        self.onOutput = onOutput
    }
}

/// What stays of a job whose result is kept.
final class EndedJob: Sendable {
    let end: JobEnd
    let pool: String
    let labels: Labels
    let submittedAt: Int

    init(_ job: AdmittedJob, _ end: JobEnd) {
        (self.end, pool, labels, submittedAt) = (end, job.resolved.pool, job.resolved.labels, job.submittedAt)
    }
}

/// A job the farm knows. There may be a hundred thousand, in a table that has room for twice as many: what is large is
/// behind a reference, and what another part of it knows is not said again.
struct JobRecord: Sendable {
    enum Life: Sendable {
        case queued(AdmittedJob)
        case running(Lease)
        case done(EndedJob)
    }

    var life: Life
    let sequence: UInt64
    let idempotencyKey: String?
    /// Whether the result stays after it was delivered.
    var keepResult: Bool
    var survivesDisconnect: Bool
    /// The clients without which it is cancelled, unless it survives that.
    var owners: [ClientID] = []
    /// In the order they came.
    var listeners: [(number: UInt64, tell: OnEnd)] = []

    var state: JobState {
        switch life {
        case .queued: .queued
        case .running: .running
        case .done: .done
        }
    }

    var pool: String { about.pool }

    var about: (pool: String, labels: Labels, submittedAt: Int) {
        switch life {
        case .queued(let job): (job.resolved.pool, job.resolved.labels, job.submittedAt)
        case .running(let lease): (lease.job.resolved.pool, lease.job.resolved.labels, lease.job.submittedAt)
        case .done(let job): (job.pool, job.labels, job.submittedAt)
        }
    }
}

/// What an idempotency key stands for.
struct KeyedJob: Sendable {
    let job: JobID
    let digest: RequestDigest
}

struct FarmState: Sendable {
    var scheduler = Scheduler()
    var jobs: [JobID: JobRecord] = [:]
    var keys: [String: KeyedJob] = [:]
    var jobsOfClient: [ClientID: Set<JobID>] = [:]
    var pools: [String: PoolTerms] = [:]
    /// What jobs left for the next of their group.
    var kept: GroupSandboxes
    /// Bytes of the contents of all jobs that have not ended.
    var heldBytes = 0
    var retained: RetainedResults
    var counters: Counters
    var alarm: Alarm?
    var idleWaiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    /// Ends that are being told right now.
    private var undelivered = 0
    private var lastNumber: UInt64 = 0
    private var effects: [Effect] = []

    init(_ configuration: FarmConfiguration, now: Int) {
        retained = RetainedResults(retention: configuration.retention.nanoseconds, capacity: configuration.retainedBytes)
        kept = GroupSandboxes(mostPerPool: configuration.idleSandboxes, longestIdle: configuration.idleTime.nanoseconds)
        counters = Counters(startedAt: now)
    }

    mutating func nextNumber() -> UInt64 {
        lastNumber += 1
        return lastNumber
    }

    mutating func takeEffects() -> [Effect] {
        defer { effects = [] }
        return effects
    }

    // MARK: Carrying out what the scheduler said

    mutating func apply(_ actions: [Action], now: Int) {
        for action in actions {
            switch action {
            case .start(let id):
                guard case .queued(let job)? = jobs[id]?.life else { continue }
                let lease = lease(job, now: now)
                jobs[id]?.life = .running(lease)
                counters.pools[job.resolved.pool, default: JobCounts()].started += 1
                effects.append(.start(lease))
            case .discard(let id, let canceller):
                guard case .queued(let job)? = jobs[id]?.life else { continue }
                var stages = Stages()
                stages.queuedMs = milliseconds(now - job.submittedAt)
                end(job, with: .result(conclude(job, StepsRun(cancelledBy: canceller), stages)), neverStarted: true, now: now)
            case .stop(let id, let canceller):
                guard case .running(let lease)? = jobs[id]?.life else { continue }
                effects.append(.stop(lease, by: canceller))
            }
        }
    }

    /// A place for a job, and the sandbox of its group where one waits. A suite's verdict must not depend on what code
    /// before it left: it has a fresh sandbox in any pool, and leaves none.
    private mutating func lease(_ job: AdmittedJob, now: Int) -> Lease {
        guard pools[job.resolved.pool]?.reuse == .group, job.resolved.suite == nil, let group = job.resolved.labels.group else {
            return Lease(job: job, grantedAt: now)
        }
        while let sandbox = kept.take(job.resolved.terms.spec, group: group) {
            if sandbox.isUsable { return Lease(job: job, grantedAt: now, group: group, kept: sandbox) }
            effects.append(.destroy([sandbox]))
        }
        return Lease(job: job, grantedAt: now, group: group)
    }

    /// A job has left its sandbox in order: it waits for the next of the group, unless there will be none.
    mutating func keep(_ sandbox: any Sandbox, of lease: Lease, now: Int) {
        guard let group = lease.group, pools[lease.job.resolved.pool]?.reuse == .group else { return effects.append(.destroy([sandbox])) }
        destroy(kept.put(sandbox, lease.job.resolved.terms.spec, group: group, now: now))
    }

    mutating func endIdle(now: Int) { destroy(kept.expire(now: now)) }
    mutating func endIdle(pool: String) { destroy(kept.removeAll(pool: pool)) }

    /// A pool that takes no new jobs still has some to start, which may want what waits for them.
    mutating func endIdleIfDrained(pool: String) {
        guard let counts = scheduler.counts(of: pool), counts.queued == 0, counts.state == .draining || scheduler.isDraining else { return }
        endIdle(pool: pool)
    }

    private mutating func destroy(_ sandboxes: [any Sandbox]) {
        if !sandboxes.isEmpty { effects.append(.destroy(sandboxes)) }
    }

    /// A job that was started has ended.
    mutating func answer(_ lease: Lease, with end: JobEnd, now: Int) {
        self.end(lease.job, with: end, neverStarted: false, now: now)
    }

    /// Its sandbox is gone or waits: it gives its place back.
    mutating func release(_ lease: Lease, now: Int) {
        apply(scheduler.finished(lease.job.id, now: now), now: now)
        if lease.group != nil { endIdleIfDrained(pool: lease.job.resolved.pool) }
        wakeIfIdle()
    }

    private mutating func end(_ job: AdmittedJob, with end: JobEnd, neverStarted: Bool, now: Int) {
        guard var record = jobs[job.id] else { return }
        counters.count(end, pool: job.resolved.pool, neverStarted: neverStarted, now: now)
        heldBytes -= job.resolved.heldBytes
        if !job.resolved.blobs.isEmpty { effects.append(.release(job.resolved.blobs)) }
        for client in record.owners { disown(job.id, by: client) }
        undelivered += 1
        effects.append(.tell(record.listeners.map(\.tell), job.id, end))

        // A key stands for the job that ran. One that did not run to a result through no fault of its program may be
        // tried again under the same key, as a client that lost its connection or met a passing failure will.
        if let key = record.idempotencyKey, end.mayBeTriedAgain(neverStarted: neverStarted) { keys[key] = nil }
        if record.keepResult {
            record.life = .done(EndedJob(job, end))
            record.listeners = []
            record.owners = []
            jobs[job.id] = record
            for id in retained.add(job.id, bytes: end.approximateBytes, now: now) { forget(id) }
        } else {
            forget(job.id)
        }
    }

    // MARK: Who cares for a job

    mutating func own(_ job: JobID, by client: ClientID) {
        guard jobs[job]?.owners.contains(client) == false else { return }
        jobs[job]?.owners.append(client)
        jobsOfClient[client, default: []].insert(job)
    }

    mutating func disown(_ job: JobID, by client: ClientID) {
        jobs[job]?.owners.removeAll { $0 == client }
        jobsOfClient[client]?.remove(job)
        if jobsOfClient[client]?.isEmpty == true { jobsOfClient[client] = nil }
    }

    /// Adds a listener, or tells it at once when the job is done.
    mutating func listen(to job: JobID, _ listener: @escaping OnEnd) throws(Rejected) -> UInt64 {
        if let count = jobs[job]?.listeners.count, count >= Bounds.listeners {
            throw Rejected(.queueFull, "\(count) wait for job \(job) already", field: "job", retryAfterMs: 1_000)
        }
        let number = nextNumber()
        if case .done(let ended)? = jobs[job]?.life {
            undelivered += 1
            effects.append(.tell([listener], job, ended.end))
        } else {
            jobs[job]?.listeners.append((number, listener))
        }
        return number
    }

    // MARK: Forgetting

    mutating func forgetOldResults(now: Int) {
        for id in retained.takeExpired(now: now) { forget(id) }
    }

    private mutating func forget(_ id: JobID) {
        guard let record = jobs.removeValue(forKey: id) else { return }
        if let key = record.idempotencyKey, keys[key]?.job == id { keys[key] = nil }
    }

    // MARK: Idleness and time

    var isIdle: Bool { scheduler.isIdle && undelivered == 0 }

    /// Jobs that wait or run, and ends that nobody was told yet.
    var unfinished: Int { scheduler.queuedCount + scheduler.runningCount + undelivered }

    mutating func delivered(_ count: Int) {
        undelivered -= count
        wakeIfIdle()
    }

    private mutating func wakeIfIdle() {
        guard isIdle, !idleWaiters.isEmpty else { return }
        effects.append(.wake(Array(idleWaiters.values)))
        idleWaiters = [:]
    }

    mutating func addIdleWaiter(_ number: UInt64, _ waiter: CheckedContinuation<Void, Never>) {
        if isIdle { effects.append(.wake([waiter])) } else { idleWaiters[number] = waiter }
    }

    mutating func wake(_ number: UInt64) {
        if let waiter = idleWaiters.removeValue(forKey: number) { effects.append(.wake([waiter])) }
    }

    /// When the alarm has something to do. Results are forgotten a second late, many at a time.
    var nextMoment: Int? {
        let expiry = retained.nextExpiry.map { $0 + 1_000_000_000 }
        return [scheduler.nextDeadline, expiry, kept.nextExpiry].lazy.compactMap { $0 }.min()
    }
}

extension JobEnd {
    fileprivate func mayBeTriedAgain(neverStarted: Bool) -> Bool {
        switch self {
        case .failed(let error): error.retryable
        case .result(let result): neverStarted && result.outcome == .cancelled(by: .disconnect)
        }
    }
}
