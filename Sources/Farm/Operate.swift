// What operators and clients ask of the farm itself: pools, blobs, figures, and its end.

import SandboxCore
import Scheduling
import Synchronization

extension Farm {
    // MARK: Pools

    /// Changes a pool, or makes it.
    /// - Throws: `invalid_request`, `unknown_image` or `unknown_policy`, with the field.
    public func setPool(_ change: PoolChange) throws(Rejected) -> PoolStatus {
        let name = change.pool
        let characters = Set("abcdefghijklmnopqrstuvwxyz0123456789-_.")
        guard (1...64).contains(name.count), name.allSatisfy(characters.contains) else {
            throw invalid("pool", "found \(quoted(name)), expected 1 to 64 of a-z, 0-9, '-', '_' and '.'")
        }
        if let size = change.size, !(1...100_000).contains(size) {
            throw invalid("size", "found \(size), expected 1 to 100000")
        }
        if let queue = change.queue, !(0...1_000_000).contains(queue) {
            throw invalid("queue", "found \(queue), expected 0 to 1000000")
        }
        let fresh = PoolConfiguration()
        let names = update { (state, _) in state.pools[name] }
        // A pool that exists keeps what it has, even if that is gone from the catalog since.
        if names == nil || change.image != nil { _ = try catalog.lookUpImage(change.image ?? fresh.image) }
        if names == nil || change.policy != nil { _ = try catalog.lookUpPolicy(change.policy ?? fresh.policy) }
        let changed = PoolTerms(
            image: change.image ?? names?.image ?? fresh.image, policy: change.policy ?? names?.policy ?? fresh.policy,
            templates: change.templates ?? names?.templates ?? [],
            reuse: change.reuse ?? names?.reuse ?? fresh.reuse)
        if change.templates != nil || change.image != nil { try checkTemplates(changed) }
        defer { loadTemplates(of: name, changed) }
        return try update { (state, now) throws(Rejected) in
            let counts = state.scheduler.counts(of: name)
            guard counts != nil || state.pools.count < 256 else { throw invalid("pool", "there are 256 pools, the most there can be") }
            state.pools[name] = changed
            if change.reuse == SandboxReuse.none { state.endIdle(pool: name) }
            let actions = state.scheduler.setPool(
                name, size: change.size ?? counts?.size ?? fresh.size, queue: change.queue ?? counts?.queue ?? fresh.queue,
                now: now)
            state.apply(actions, now: now)
            return try status(ofPool: name, state)
        }
    }

    /// The pool takes no new jobs and finishes those it has.
    public func drainPool(_ name: String) throws(Rejected) -> PoolStatus {
        try update { (state, _) throws(Rejected) in
            try state.scheduler.drain(name)
            state.endIdleIfDrained(pool: name)
            return try status(ofPool: name, state)
        }
    }

    public func resumePool(_ name: String) throws(Rejected) -> PoolStatus {
        try update { (state, _) throws(Rejected) in
            try state.scheduler.resume(name)
            return try status(ofPool: name, state)
        }
    }

    /// In the order they were made.
    public func pools() -> [PoolStatus] {
        update { (state, _) in state.scheduler.allCounts.map { status($0, state) } }
    }

    private func status(ofPool name: String, _ state: FarmState) throws(Rejected) -> PoolStatus {
        guard let counts = state.scheduler.counts(of: name) else {
            throw Rejected(.unknownPool, "found \(quoted(name))", field: "pool")
        }
        return status(counts, state)
    }

    private func status(_ counts: PoolCounts, _ state: FarmState) -> PoolStatus {
        PoolStatus(
            name: counts.name, state: state.scheduler.isDraining ? .draining : counts.state, backend: configuration.backendName,
            image: state.pools[counts.name]?.image ?? "", policy: state.pools[counts.name]?.policy ?? "",
            size: counts.size, queue: counts.queue, queued: counts.queued, running: counts.running,
            ready: backend.readySandboxes(pool: counts.name), reuse: state.pools[counts.name]?.reuse ?? .none,
            idle: state.kept.count(pool: counts.name), ended: state.counters.pools[counts.name]?.ends ?? 0,
            templates: backend.templates(pool: counts.name))
    }

    // MARK: Blobs

    /// Keeps content that jobs can name by its SHA-256. Blocks for as long as the disk takes.
    /// - Parameter sha256: what the content's digest has to be, where the client says so.
    /// - Returns: the digest, 64 lower-case hexadecimal digits.
    /// - Throws: `Rejected` (`invalid_request`) or `FarmError` (`storage`).
    public func putBlob(_ bytes: [UInt8], sha256: String? = nil) throws -> String {
        try blobs.put(bytes, expected: sha256)
    }

    /// Those of `digests` that have to be put.
    /// - Throws: `invalid_request` for what is no digest.
    public func missingBlobs(_ digests: [String]) throws(Rejected) -> [String] {
        for (index, digest) in digests.enumerated() { try checkDigest(digest, "blobs[\(index)]") }
        return blobs.missing(digests)
    }

    // MARK: Figures

    /// - Parameters: what the farm cannot know of the process and the machine it is in.
    public func info(version: String, pid: Int, host: HostFacts) -> FarmInfo {
        update { (state, now) in
            FarmInfo(
                version: version, pid: pid, uptimeMs: (now - startedAt) / 1_000_000, host: host,
                pools: state.scheduler.allCounts.map(\.name), policies: catalog.policyNames, images: catalog.imageNames,
                languages: catalog.languageNames, unenforced: backend.unenforced.map(\.rawValue))
        }
    }

    /// - Parameters: what the farm cannot know of the process it is in.
    public func stats(connections: Int, memoryBytes: Int) -> FarmStats {
        let figures = figures()
        func named<Key: RawRepresentable>(_ counts: [Key: Int]) -> [String: Int] where Key.RawValue == String {
            Dictionary(uniqueKeysWithValues: counts.map { ($0.key.rawValue, $0.value) })
        }
        func times(_ stages: StageHistograms) -> [String: StageTimes] {
            Dictionary(uniqueKeysWithValues: Stage.allCases.map { ($0.rawValue, StageTimes(stages[$0])) })
        }
        return FarmStats(
            uptimeMs: figures.uptimeMs, submitted: figures.submitted, rejected: figures.rejected.values.reduce(0, +),
            outcomes: named(figures.ended), farmErrors: named(figures.failed), queued: figures.queued,
            running: figures.running, jobsPerSecond: figures.jobsPerSecond, stages: times(figures.stages),
            stagesByPool: Dictionary(uniqueKeysWithValues: figures.pools.map { ($0.pool.name, times($0.jobs.stages)) }),
            connections: connections, memoryBytes: memoryBytes, keptResults: figures.retainedResults,
            keptResultBytes: figures.retainedBytes, blobs: figures.blobs, blobBytes: figures.blobBytes,
            compileCache: figures.compileCache)
    }

    /// Under the farm's lock only what has to be read together is read; the arrays in it are not copied there.
    public func figures() -> FarmFigures {
        let blobs = blobs.usage
        let compileCache = compiles?.figures ?? CompileCacheFigures()
        var figures = update { (state, now) in
            FarmFigures(
                uptimeMs: (now - startedAt) / 1_000_000, queued: state.scheduler.queuedCount,
                running: state.scheduler.runningCount, draining: state.scheduler.isDraining,
                rejected: state.counters.rejected, jobsPerSecond: state.counters.jobsPerSecond(now: now),
                heldBytes: state.heldBytes, retainedResults: state.retained.count, retainedBytes: state.retained.bytes,
                blobs: blobs.count, blobBytes: blobs.bytes, compileCache: compileCache,
                pools: state.scheduler.allCounts.map {
                    PoolFigures(pool: status($0, state), jobs: state.counters.pools[$0.name] ?? JobCounts())
                })
        }
        figures.backend = backend.figures()
        guard let pools = figures.backend?.pools else { return figures }
        for index in figures.pools.indices {
            figures.pools[index].jobs.stages.teardown = pools[figures.pools[index].pool.name]?.teardown ?? Histogram()
        }
        return figures
    }

    // MARK: The end

    /// Takes no more jobs, and returns when none is left: those that have not ended after `grace` are cancelled by
    /// `drain`. The backend is still to be shut down then.
    /// - Returns: false when jobs were left after they were cancelled, and in the last `cancelAllowance` hardly any ended: thousands take
    ///   the kernel longer than one would be given.
    @discardableResult
    public func drain(grace: Duration) async -> Bool {
        update { (state, _) in
            state.scheduler.drainAll()
            for pool in state.pools.keys { state.endIdleIfDrained(pool: pool) }
        }
        logger.info("draining", metadata: ["grace": "\(grace)"])
        if await becomesIdle(within: grace) { return true }
        cancelAll()
        while true {
            let before = update { (state, _) in state.unfinished }
            if await becomesIdle(within: configuration.cancelAllowance) { return true }
            let left = update { (state, _) in state.unfinished }
            // A fixed share of them, so that this has an end.
            if left > before - max(1, before / 8) {
                logger.error("jobs are left after they were cancelled", metadata: ["jobs": "\(left)"])
                return false
            }
        }
    }

    /// Cancels every job by `drain`: for a drain that is not to wait for the rest of its grace.
    public func cancelAll() {
        update { (state, now) in state.apply(state.scheduler.cancelAll(by: .drain), now: now) }
    }

    private func becomesIdle(within span: Duration) async -> Bool {
        let moment = time.now + span.nanoseconds
        let number = update { (state, _) in state.nextNumber() }
        var alarm: Task<Void, Never>?
        // Whoever comes first wakes the waiter: the last job's end, or the time.
        await withCheckedContinuation { continuation in
            update { (state, _) in state.addIdleWaiter(number, continuation) }
            alarm = Task { [time] in
                guard (try? await time.sleep(until: moment)) != nil else { return }
                self.update { (state, _) in state.wake(number) }
            }
        }
        alarm?.cancel()
        return update { (state, _) in state.isIdle }
    }
}
