// Admission, queues, pools and deadlines: decides which job starts when, and says so in actions. A pure state machine:
// it has no clock, no tasks and no locks; the engine tells it the time and does what it says. This is the queue and
// the lease in a job's journey: ResolvedJob -> ticket -> queue -> start -> finished.

import SandboxCore

/// The queues of all pools. Times are nanoseconds on one clock of the caller's that never goes back.
public struct Scheduler: Sendable {
    private var pools: [Pool] = []
    private var poolIndex: [String: Int] = [:]
    private var jobs = Slab<Entry>()
    private var slots: [JobID: Slot] = [:]
    private var deadlines = DeadlineHeap()
    /// Whether the whole farm takes no more jobs.
    public private(set) var isDraining = false

    public init() {}

    // MARK: A job's way through

    /// Takes a job in, or turns it away; then nothing happened.
    /// - Returns: its `start`, when a place is free.
    /// - Throws: `unknown_pool`; `draining`; `queue_full` with `retryAfterMs`; `invalid_request` for an id that is known.
    public mutating func submit(_ ticket: Ticket, now: Int) throws(Rejected) -> [Action] {
        guard let pool = poolIndex[ticket.pool] else { throw unknownPool(ticket.pool) }
        guard slots[ticket.job] == nil else {
            throw Rejected(.invalidRequest, "job \(ticket.job) is in the farm already", field: "job")
        }
        if isDraining {
            throw Rejected(.draining, "the farm is draining and takes no new jobs", retryAfterMs: Self.drainRetryMs)
        }
        if pools[pool].state == .draining {
            throw Rejected(
                .draining, "pool '\(ticket.pool)' is draining and takes no new jobs", field: "pool",
                retryAfterMs: Self.drainRetryMs)
        }
        if pools[pool].running >= pools[pool].size, pools[pool].queue.count >= pools[pool].bound {
            throw Rejected(
                .queueFull, "pool '\(ticket.pool)' runs \(pools[pool].running) jobs and \(pools[pool].queue.count) wait, its bound",
                field: "pool", retryAfterMs: pools[pool].pace.retryAfterMs(now: now))
        }
        let slot = jobs.insert(
            Entry(job: ticket.job, pool: Int32(pool), state: .queued, priority: ticket.priority))
        slots[ticket.job] = slot
        if let deadline = ticket.deadline { deadlines.insert(slot, deadline: deadline) }
        pools[pool].queue.append(slot, label: ticket.group, in: &jobs)
        return grant(pool, now: now)
    }

    /// A job that was started has ended and gives its place back. Does nothing for a job that holds none.
    public mutating func finished(_ job: JobID, now: Int) -> [Action] {
        guard let slot = slots[job], jobs[slot].state != .queued else { return [] }
        let pool = Int(jobs[slot].pool)
        if pools[pool].running >= pools[pool].size { pools[pool].pace.completedWhileFull(now: now) }
        pools[pool].running -= 1
        forget(slot)
        return grant(pool, now: now)
    }

    /// Ends a job wherever it is. Does nothing for one that is unknown or being stopped already.
    public mutating func cancel(_ job: JobID, by canceller: Canceller) -> [Action] {
        guard let slot = slots[job] else { return [] }
        return end(slot, by: canceller).map { [$0] } ?? []
    }

    /// Ends every job.
    public mutating func cancelAll(by canceller: Canceller) -> [Action] {
        Array(jobs.occupied).compactMap { end($0, by: canceller) }
    }

    /// When `expire` has something to do next.
    public var nextDeadline: Int? { deadlines.next?.deadline }

    /// Ends the jobs whose deadline has come.
    public mutating func expire(now: Int) -> [Action] {
        var actions: [Action] = []
        while let (deadline, slot) = deadlines.next, deadline <= now {
            if let action = end(slot, by: .deadline) { actions.append(action) }
        }
        return actions
    }

    // MARK: Pools

    /// Makes a pool, or changes one's bounds. A pool that shrinks lets what it has run and wait.
    public mutating func setPool(_ name: String, size: Int, queue: Int, now: Int) -> [Action] {
        guard let pool = poolIndex[name] else {
            poolIndex[name] = pools.count
            pools.append(Pool(name: name, size: max(0, size), bound: max(0, queue)))
            return []
        }
        pools[pool].size = max(0, size)
        pools[pool].bound = max(0, queue)
        return grant(pool, now: now)
    }

    /// The pool takes no new jobs and finishes those it has.
    public mutating func drain(_ pool: String) throws(Rejected) { try setState(.draining, of: pool) }

    public mutating func resume(_ pool: String) throws(Rejected) { try setState(.open, of: pool) }

    /// The farm takes no new jobs from now on and finishes those it has.
    public mutating func drainAll() { isDraining = true }

    // MARK: What is there

    public var isIdle: Bool { jobs.isEmpty }
    public var queuedCount: Int { pools.reduce(0) { $0 + $1.queue.count } }
    public var runningCount: Int { pools.reduce(0) { $0 + $1.running } }
    public func counts(of pool: String) -> PoolCounts? { poolIndex[pool].map { pools[$0].counts } }
    /// In the order the pools were made.
    public var allCounts: [PoolCounts] { pools.map(\.counts) }
    public func place(of job: JobID) -> Place? { slots[job].map { jobs[$0].state == .queued ? .queued : .running } }

    /// How long a job for `pool` should stay away that is turned away for a reason outside the scheduler.
    public mutating func retryAfterMs(_ pool: String, now: Int) -> Int {
        poolIndex[pool].map { pools[$0].pace.retryAfterMs(now: now) } ?? Self.drainRetryMs
    }

    // MARK: Within

    /// An operator's decision ends a drain, so there is nothing to reckon with.
    private static let drainRetryMs = 5_000

    /// Starts jobs while places are free.
    private mutating func grant(_ pool: Int, now: Int) -> [Action] {
        var actions: [Action] = []
        while pools[pool].running < pools[pool].size, let slot = pools[pool].queue.popNext(in: &jobs) {
            jobs[slot].state = .running
            pools[pool].running += 1
            if pools[pool].running == pools[pool].size { pools[pool].pace.becameFull(now: now) }
            actions.append(.start(jobs[slot].job))
        }
        return actions
    }

    private mutating func end(_ slot: Slot, by canceller: Canceller) -> Action? {
        let job = jobs[slot].job
        switch jobs[slot].state {
        case .queued:
            pools[Int(jobs[slot].pool)].queue.remove(slot, in: &jobs)
            forget(slot)
            return .discard(job, by: canceller)
        case .running:
            jobs[slot].state = .stopping
            deadlines.remove(slot)
            return .stop(job, by: canceller)
        case .stopping:
            return nil
        }
    }

    private mutating func forget(_ slot: Slot) {
        deadlines.remove(slot)
        slots[jobs[slot].job] = nil
        jobs.remove(slot)
        if slots.isEmpty, slots.capacity > keptWhenEmpty { slots = [:] }
    }

    private mutating func setState(_ state: PoolState, of pool: String) throws(Rejected) {
        guard let index = poolIndex[pool] else { throw unknownPool(pool) }
        pools[index].state = state
    }

    private func unknownPool(_ name: String) -> Rejected {
        let known = pools.prefix(20).map { "'\($0.name)'" }.joined(separator: ", ")
        return Rejected(.unknownPool, "found '\(name.prefix(64))', expected one of \(known)", field: "pool")
    }
}
