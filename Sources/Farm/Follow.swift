// What can be asked of a job after it was submitted: its state, its end, and an end to it.

import SandboxCore
import Synchronization

extension Farm {
    /// Calls `onEnd` when the job ends, or at once when it has.
    /// - Returns: what `stopWaiting` takes.
    /// - Throws: `unknown_job`; `queue_full` when too many wait for this job already.
    @discardableResult
    public func wait(_ job: JobID, onEnd: @escaping OnEnd) throws(Rejected) -> WaitID {
        try update { (state, _) throws(Rejected) in
            guard state.jobs[job] != nil else { throw unknown(job) }
            return WaitID(job: job, number: try state.listen(to: job, onEnd))
        }
    }

    /// Calls either `onEnd`, when the job ends or has ended, or `onTimeout` with its state when it did not within
    /// `timeout`. Nothing is left of the wait then.
    /// - Throws: as `wait`.
    public func wait(
        _ job: JobID, timeout: Duration, onEnd: @escaping OnEnd,
        onTimeout: @escaping @Sendable (JobID, JobState) -> Void
    ) throws(Rejected) {
        let alarm = WaitAlarm()
        let id = try wait(job) { job, end in
            alarm.cancel()
            onEnd(job, end)
        }
        let moment = time.now + timeout.nanoseconds
        alarm.set(
            Task { [weak self, time] in
                guard (try? await time.sleep(until: moment)) != nil, let state = self?.stopWaiting(id) else { return }
                onTimeout(job, state)
            })
    }

    /// Gives a wait up.
    /// - Returns: the job's state when the wait was still there, so that its `onEnd` is never called; `nil` when it was
    ///   or is being called.
    public func stopWaiting(_ wait: WaitID) -> JobState? {
        update { (state, _) in
            guard let index = state.jobs[wait.job]?.listeners.firstIndex(where: { $0.number == wait.number }) else { return nil }
            state.jobs[wait.job]?.listeners.remove(at: index)
            return state.jobs[wait.job]?.state
        }
    }

    /// Waits for a job's end.
    /// - Throws: `Rejected` (`unknown_job`), or `CancellationError` when the calling task is cancelled; the job goes on.
    public func end(of job: JobID) async throws -> JobEnd {
        let wait = Mutex<(id: WaitID?, cancelled: Bool)>((nil, false))
        let answer = Mutex<CheckedContinuation<JobEnd, any Error>?>(nil)
        @Sendable func resume(_ result: Result<JobEnd, any Error>) {
            answer.withLock { continuation in
                defer { continuation = nil }
                return continuation
            }?.resume(with: result)
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                answer.withLock { $0 = continuation }
                do throws(Rejected) {
                    let id = try self.wait(job) { _, end in resume(.success(end)) }
                    let cancelled = wait.withLock {
                        $0.id = id
                        return $0.cancelled
                    }
                    if cancelled, stopWaiting(id) != nil { resume(.failure(CancellationError())) }
                } catch {
                    resume(.failure(error))
                }
            }
        } onCancel: {
            let id = wait.withLock {
                $0.cancelled = true
                return $0.id
            }
            if let id, stopWaiting(id) != nil { resume(.failure(CancellationError())) }
        }
    }

    /// Submits a job and waits for its end. Cancelling the calling task cancels the job, whose end is then that.
    /// - Parameter executor: as for `submit`.
    /// - Throws: as `submit`.
    public func run(
        _ request: JobRequest, client: ClientID, executor: (any TaskExecutor)? = nil, standardInput: Int32? = nil, onOutput: OnOutput? = nil
    ) async throws(Rejected) -> JobEnd {
        let life = Mutex<(job: JobID?, cancelled: Bool)>((nil, false))
        let answer: Result<JobEnd, Rejected> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                do throws(Rejected) {
                    let job = try submit(
                        request, client: client, executor: executor, standardInput: standardInput, onOutput: onOutput,
                        onEnd: { _, end in continuation.resume(returning: .success(end)) })
                    let cancelled = life.withLock {
                        $0.job = job
                        return $0.cancelled
                    }
                    if cancelled { _ = try? cancel(job) }
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        } onCancel: {
            let job = life.withLock {
                $0.cancelled = true
                return $0.job
            }
            if let job { _ = try? cancel(job) }
        }
        return try answer.get()
    }

    /// - Throws: `unknown_job`.
    public func get(_ job: JobID) throws(Rejected) -> JobStatus {
        try update { (state, now) throws(Rejected) in
            guard let record = state.jobs[job] else { throw unknown(job) }
            var status = status(job, record, now: now)
            if case .done(let ended) = record.life { status.end = ended.end }
            return status
        }
    }

    /// The newest jobs first, without their ends.
    /// - Returns: at most `limit` jobs, and how many there are in all.
    public func list(state wanted: JobState? = nil, pool: String? = nil, limit: Int = 1_000) -> (jobs: [JobStatus], total: Int) {
        // Sorted outside the lock: there may be a hundred thousand.
        var found = update { (state, _) in
            state.jobs.lazy.filter { (wanted ?? $0.value.state) == $0.value.state && (pool ?? $0.value.pool) == $0.value.pool }
                .map { (sequence: $0.value.sequence, job: $0.key) } as [(sequence: UInt64, job: JobID)]
        }
        found.sort { $0.sequence > $1.sequence }
        let chosen = found.prefix(max(0, limit)).map(\.job)
        let jobs = update { (state, now) in
            chosen.compactMap { job in state.jobs[job].map { status(job, $0, now: now) } }
        }
        return (jobs, found.count)
    }

    /// Ends a job, wherever it is; its end is told as always.
    /// - Returns: the state it was in.
    /// - Throws: `unknown_job`.
    @discardableResult
    public func cancel(_ job: JobID) throws(Rejected) -> JobState {
        try update { (state, now) throws(Rejected) in
            guard let was = state.jobs[job]?.state else { throw unknown(job) }
            state.apply(state.scheduler.cancel(job, by: .client), now: now)
            return was
        }
    }

    /// Cancels the client's jobs, but for those that survive it or have another client.
    public func clientDisconnected(_ client: ClientID) {
        update { (state, now) in
            for job in state.jobsOfClient[client] ?? [] {
                state.disown(job, by: client)
                guard let record = state.jobs[job], record.owners.isEmpty, !record.survivesDisconnect else { continue }
                state.apply(state.scheduler.cancel(job, by: .disconnect), now: now)
            }
        }
    }

    private func status(_ job: JobID, _ record: JobRecord, now: Int) -> JobStatus {
        let (pool, labels, submittedAt) = record.about
        return JobStatus(
            job: job, state: record.state, pool: pool, labels: labels, submittedMsAgo: (now - submittedAt) / 1_000_000)
    }

    private func unknown(_ job: JobID) -> Rejected {
        Rejected(.unknownJob, "found \(quoted(job.text)), expected a job that is queued, running or kept", field: "job")
    }
}

/// A wait's timer, which goes when the wait does, in whichever order the two come to know of each other.
private final class WaitAlarm: Sendable {
    private let state = Mutex<(task: Task<Void, Never>?, cancelled: Bool)>((nil, false))

    func set(_ task: Task<Void, Never>) {
        let cancelled = state.withLock {
            $0.task = task
            return $0.cancelled
        }
        if cancelled { task.cancel() }
    }

    func cancel() {
        state.withLock {
            $0.cancelled = true
            return $0.task
        }?.cancel()
    }
}
