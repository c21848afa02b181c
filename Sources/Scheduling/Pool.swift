// One pool: how many jobs may run, who waits, and how soon a place in the queue becomes free.

import SandboxCore

/// A job the scheduler knows. About a hundred bytes with its share of the indexes.
struct Entry: Sendable {
    enum State: UInt8 { case queued, running, stopping }

    var job: JobID
    var pool: Int32
    var state: State
    var priority: Int8
    /// Its group in the pool's queue, and its neighbours among the jobs of the same priority there.
    var group = nowhere
    var before = nowhere
    var after = nowhere
}

struct Pool: Sendable {
    let name: String
    var size: Int
    var bound: Int
    var state = PoolState.open
    var running = 0
    var queue = FairQueue()
    var pace = Pace()

    var counts: PoolCounts {
        PoolCounts(
            name: name, state: state, size: size, queue: bound, queued: queue.count, running: running,
            groups: queue.groupCount)
    }
}

/// How fast a full pool gets rid of jobs, and what those that were turned away have been told.
struct Pace: Sendable {
    /// Mean nanoseconds between two completions while the pool was full; the last completions weigh most.
    private var interval: Int?
    /// The last completion, or when the pool became full after that.
    private var mark = 0
    /// Until when places in the queue have been promised to jobs that were turned away.
    private var promised = 0

    /// Without a completion to go by.
    private static let guess = 1_000_000_000
    private static let longest = 60_000_000_000

    mutating func becameFull(now: Int) { mark = max(mark, now) }

    mutating func completedWhileFull(now: Int) {
        let measured = max(0, now - mark)
        interval = interval.map { $0 + (measured - $0) / 8 } ?? measured
        mark = now
    }

    /// How long a job that is turned away now should stay away. Places become free one by one, so each asker gets
    /// the next one: a crowd that is turned away together does not come back together.
    mutating func retryAfterMs(now: Int) -> Int {
        // A pool that has stood still for longer than its mean is as slow as that shows.
        let step = max(interval ?? Self.guess, min(now - mark, Self.longest), 1)
        promised = min(max(promised, now) + step, now + Self.longest)
        return max(1, (promised - now + 999_999) / 1_000_000)
    }
}
