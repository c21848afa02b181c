// JobRequest -> a place in a queue: what becomes of a submission until it waits for its turn. The other end of a job is
// in Records.

import Logging
import SandboxCore
import Scheduling

extension Farm {
    /// Takes a job in, or turns it away; then nothing happened and neither callback is called.
    ///
    /// A request whose idempotency key stands for a job that is known, and that asks for the same, is that job: its id is
    /// returned, `onEnd` is told its end, `onOutput` is not called.
    /// - Parameters:
    ///   - client: whose disconnect cancels the job, unless `request.surviveDisconnect`.
    ///   - keepResult: whether the result stays for `get` and `wait` after it was told. Always so with a key.
    ///   - executor: where the job's task runs that has little to do but wait: no files to place, nothing to judge. Others
    ///     run where tasks usually do.
    ///   - standardInput: a descriptor in place of `request.stdin`, open until the job ended.
    ///   - onOutput: what the program writes, when `request.stream`. It may be called before `submit` returns.
    ///   - onEnd: how the job ended. It may be called before `submit` returns.
    /// - Throws: `Rejected` with every code but `unknown_job` and `not_permitted`.
    @discardableResult
    public func submit(
        _ request: JobRequest, client: ClientID, keepResult: Bool = false, executor: (any TaskExecutor)? = nil,
        standardInput: Int32? = nil, onOutput: OnOutput? = nil, onEnd: OnEnd? = nil
    ) throws(Rejected) -> JobID {
        let caller = Caller(client: client, survivesDisconnect: request.surviveDisconnect, onEnd: onEnd)
        do throws(Rejected) {
            let key = request.idempotencyKey.map { (name: $0, digest: RequestDigest(request)) }
            if let key, let known = try update({ (state, _) throws(Rejected) in try state.join(key.name, key.digest, caller) }) {
                return known
            }
            let resolved = try resolve(request)
            try pin(resolved)
            return try admit(
                resolved, request, key?.digest, caller, keepResult: keepResult, executor: resolved.isLight ? executor : nil,
                standardInput: standardInput, onOutput: onOutput)
        } catch {
            update { (state, _) in state.counters.rejected[error.code, default: 0] += 1 }
            throw error
        }
    }

    private func resolve(_ request: JobRequest) throws(Rejected) -> ResolvedJob {
        let pool = request.pool ?? "default"
        guard let pooled = update({ (state, _) in state.pools[pool] }) else {
            let known = update { (state, _) in state.pools.keys.sorted() }
            throw Rejected(.unknownPool, "found \(quoted(pool)), expected one of \(listed(known))", field: "pool")
        }
        let resolver = Resolver(catalog: catalog, judge: judge, terms: terms, collectBytes: configuration.collectBytes)
        return try resolver.resolve(request, pool: pool, pooled)
    }

    private func pin(_ job: ResolvedJob) throws(Rejected) {
        guard !job.blobs.isEmpty else { return }
        let sizes: [String: Int]
        do throws(UnknownBlob) {
            sizes = try blobs.pin(job.blobs)
        } catch {
            throw Rejected(.unknownBlob, "blob \(error.digest) is not here: put it first", field: job.field(ofBlob: error.digest))
        }
        do throws(Rejected) {
            try checkFilesFit(job, blobBytes: sizes)
        } catch {
            blobs.unpin(job.blobs)
            throw error
        }
    }

    private func admit(
        _ resolved: ResolvedJob, _ request: JobRequest, _ digest: RequestDigest?, _ caller: Caller, keepResult: Bool, executor: (any TaskExecutor)?,
        standardInput: Int32?, onOutput: OnOutput?
    ) throws(Rejected) -> JobID {
        var admitted = false
        defer { if !admitted { blobs.unpin(resolved.blobs) } }
        let id: JobID
        (id, admitted) = try update { (state, now) throws(Rejected) -> (JobID, Bool) in
            // Another submission with the same key may have come first while this one was resolved.
            if let key = request.idempotencyKey, let digest, let known = try state.join(key, digest, caller) { return (known, false) }
            try checkRoom(for: resolved, &state, now: now)
            let number = state.nextNumber()
            let id = JobID("j-\(instance)-\(String(number, radix: 36))")
            let actions = try state.scheduler.submit(
                Ticket(
                    job: id, pool: resolved.pool, group: resolved.labels.group, priority: Int8(request.priority),
                    deadline: request.deadlineMs.map { now + $0 * 1_000_000 }),
                now: now)
            state.admit(
                AdmittedJob(id: id, resolved: resolved, submittedAt: now, executor: executor, standardInput: standardInput, onOutput: onOutput),
                sequence: number, key: request.idempotencyKey, digest, keepResult: keepResult, caller)
            state.apply(actions, now: now)
            return (id, true)
        }
        if admitted { debug(id, "job admitted", ["pool": "\(resolved.pool)"]) }
        return id
    }

    /// Jobs that wait hold their contents in memory, so their number alone is no bound.
    private func checkRoom(for job: ResolvedJob, _ state: inout FarmState, now: Int) throws(Rejected) {
        guard job.heldBytes <= configuration.heldBytes else {
            throw Rejected(
                .invalidRequest, "the job's contents take \(job.heldBytes) bytes, the farm holds \(configuration.heldBytes); put them as blobs")
        }
        guard state.heldBytes + job.heldBytes <= configuration.heldBytes else {
            throw Rejected(
                .queueFull, "the contents of queued and running jobs take \(state.heldBytes) of \(configuration.heldBytes) bytes",
                retryAfterMs: state.scheduler.retryAfterMs(job.pool, now: now))
        }
    }
}

/// Who submits, and what they want to hear.
struct Caller: Sendable {
    var client: ClientID
    var survivesDisconnect: Bool
    var onEnd: OnEnd?
}

extension FarmState {
    /// The job that `key` stands for, which the caller now shares.
    /// - Throws: `invalid_request` when it stands for one that was asked for otherwise.
    mutating func join(_ key: String, _ digest: RequestDigest, _ caller: Caller) throws(Rejected) -> JobID? {
        guard let known = keys[key], let record = jobs[known.job] else { return nil }
        guard known.digest == digest else {
            throw invalid("idempotency_key", "found \(quoted(key)), the key of another job with other parameters; expected the same job, or a new key")
        }
        let id = known.job
        if let onEnd = caller.onEnd { _ = try listen(to: id, onEnd) }
        if record.state != .done {
            if caller.survivesDisconnect { jobs[id]?.survivesDisconnect = true }
            own(id, by: caller.client)
        }
        return id
    }

    mutating func admit(
        _ job: AdmittedJob, sequence: UInt64, key: String?, _ digest: RequestDigest?, keepResult: Bool, _ caller: Caller
    ) {
        var record = JobRecord(
            life: .queued(job), sequence: sequence, idempotencyKey: key, keepResult: keepResult || key != nil,
            survivesDisconnect: caller.survivesDisconnect)
        if let onEnd = caller.onEnd { record.listeners = [(nextNumber(), onEnd)] }
        jobs[job.id] = record
        if let key, let digest { keys[key] = KeyedJob(job: job.id, digest: digest) }
        own(job.id, by: caller.client)
        heldBytes += job.resolved.heldBytes
        counters.pools[job.resolved.pool, default: JobCounts()].submitted += 1
    }
}

extension ResolvedJob {
    /// Whether its task has next to no work: nothing to read from disk, to copy at length or to judge.
    fileprivate var isLight: Bool { blobs.isEmpty && heldBytes <= 64 << 10 && collect.isEmpty && suite == nil }

    fileprivate func field(ofBlob digest: String) -> String {
        files.firstIndex { $0.content == .blob(digest) }.map { "files[\($0)].blob" } ?? "stdin.blob"
    }
}
