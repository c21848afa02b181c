// The engine: takes jobs in, queues them, runs each in a sandbox and delivers its end exactly once.
//
// A job's journey, one file per station:
//
//     JobRequest ─Resolve→ ResolvedJob ─Submit→ (queue) ─Scheduling→ Lease ─Launch→ SandboxSpec, LaunchPlans
//     JobEnd ←Records─ JobResult ←Conclude─ StepReports ←Run─ Sandbox ←──────────────────────────┘
//
// All state is in `FarmState` behind one mutex. What has to happen outside of it (starting a task, ending a step,
// calling back) leaves it as a list of effects. A task exists only for a job that runs, and one for the next alarm.

import FoundationEssentials
import Logging
import SandboxCore
import Scheduling
import Synchronization

public final class Farm: Sendable {
    let configuration: FarmConfiguration
    let backend: any Backend
    let catalog: any Catalog
    let judge: any TestJudge
    let logger: Logger
    let time: any TimeSource
    let startedAt: Int
    /// Tells the jobs of this farm from those of one that ran before it.
    let instance: String
    let blobs: BlobStore
    /// `nil` where the operator wants none.
    let compiles: CompileCache?
    let terms: TermsCache
    private let state: Mutex<FarmState>

    /// - Throws: `Rejected` for a pool that makes no sense, with its field; `FarmError` (`storage`) when the blob
    ///   directory cannot be used.
    public convenience init(
        configuration: FarmConfiguration, backend: any Backend, catalog: any Catalog, judge: any TestJudge,
        logger: Logger
    ) throws {
        try self.init(
            configuration: configuration, backend: backend, catalog: catalog, judge: judge, logger: logger,
            time: SystemTime())
    }

    init(
        configuration: FarmConfiguration, backend: any Backend, catalog: any Catalog, judge: any TestJudge,
        logger: Logger, time: any TimeSource
    ) throws {
        self.configuration = configuration
        self.backend = backend
        self.catalog = catalog
        self.judge = judge
        self.logger = logger
        self.time = time
        startedAt = time.now
        instance = String(Int(Date().timeIntervalSince1970 * 1_000), radix: 36)
        blobs = try BlobStore(directory: configuration.blobDirectory, capacity: configuration.blobBytes)
        let (bytes, entries) = (configuration.compileCacheBytes, configuration.compileCacheEntries)
        compiles = bytes > 0 && entries > 0 ? CompileCache(capacity: bytes, mostEntries: entries) : nil
        terms = TermsCache(unenforced: backend.unenforced, keepOutputBytes: configuration.keepOutputBytes)
        state = Mutex(FarmState(configuration, now: time.now))
        for pool in configuration.pools {
            _ = try setPool(
                PoolChange(
                    pool: pool.name, size: pool.size, queue: pool.queue, image: pool.image, policy: pool.policy, templates: pool.templates,
                    reuse: pool.reuse))
        }
    }

    /// Reads or changes the state. What `body` wants done outside the lock is done before this returns.
    func update<Value: Sendable, Failure: Error>(
        _ body: (inout FarmState, _ now: Int) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        var effects: [Effect] = []
        defer { perform(effects) }
        return try state.withLock { (state) throws(Failure) -> Value in
            // The time is read under the lock: the state must never see it go back.
            let now = time.now
            state.forgetOldResults(now: now)
            defer {
                effects = state.takeEffects()
                setAlarm(&state)
            }
            return try body(&state, now)
        }
    }

    private func perform(_ effects: [Effect]) {
        var told = 0
        for effect in effects {
            switch effect {
            case .start(let lease):
                Task(executorPreference: lease.job.executor) { await self.run(lease) }
            case .stop(let lease, let canceller):
                stop(lease, by: canceller)
            case .release(let digests):
                blobs.unpin(digests)
            case .tell(let listeners, let job, let end):
                for listener in listeners { listener(job, end) }
                told += 1
            case .destroy(let sandboxes):
                Task { for sandbox in sandboxes { await sandbox.destroy() } }
            case .wake(let waiters):
                for waiter in waiters { waiter.resume() }
            }
        }
        // Only now those ends are delivered, and `drain` may believe that nothing is left.
        if told > 0 { update { (state, _) in state.delivered(told) } }
    }

    // MARK: The alarm

    /// Sees to it that `ring` is called when the next deadline comes, the next result is to be forgotten or the next idle
    /// sandbox is to end.
    private func setAlarm(_ state: inout FarmState) {
        guard let moment = state.nextMoment else { return }
        if let alarm = state.alarm, alarm.moment <= moment { return }
        state.alarm?.task.cancel()
        let task = Task { [weak self, time] in
            guard (try? await time.sleep(until: moment)) != nil else { return }
            self?.ring(moment)
        }
        state.alarm = Alarm(moment: moment, task: task)
    }

    private func ring(_ moment: Int) {
        update { (state, now) in
            if state.alarm?.moment == moment { state.alarm = nil }
            state.apply(state.scheduler.expire(now: now), now: now)
            state.endIdle(now: now)
        }
    }
}

/// A sleeping task that looks after deadlines, retention and idle sandboxes.
struct Alarm: Sendable {
    let moment: Int
    let task: Task<Void, Never>
}

/// What has to be done once the state is unlocked.
enum Effect: Sendable {
    case start(Lease)
    case stop(Lease, by: Canceller)
    /// Blobs a job no longer needs.
    case release([String])
    case tell([OnEnd], JobID, JobEnd)
    /// Sandboxes that wait for no job any more.
    case destroy([any Sandbox])
    case wake([CheckedContinuation<Void, Never>])
}

/// Called exactly once, on any thread, with no lock held.
public typealias OnEnd = @Sendable (JobID, JobEnd) -> Void
/// Called in order with what the job's program writes, and never after the job's end was told.
public typealias OnOutput = @Sendable (JobID, OutputStream, [UInt8]) -> Void
