// How the farm counts: jobs by their end, and where their time went. Under the farm's lock, at moments when that is held
// anyway; a job costs a few additions.

import SandboxCore

struct Counters: Sendable {
    var pools: [String: JobCounts] = [:]
    var rejected: [Rejected.Code: Int] = [:]
    private let startedAt: Int
    /// Ends in each of the last seconds, by the second modulo the array's length.
    private var seconds = [(second: Int, ends: Int)](repeating: (-1, 0), count: 11)

    init(startedAt: Int) { self.startedAt = startedAt }

    mutating func count(_ end: JobEnd, pool: String, neverStarted: Bool, now: Int) {
        pools[pool, default: JobCounts()].count(end)
        guard !neverStarted else { return }
        let second = now / 1_000_000_000
        let index = second % seconds.count
        if seconds[index].second != second { seconds[index] = (second, 0) }
        seconds[index].ends += 1
    }

    mutating func record(_ times: JobTimes, pool: String) {
        pools[pool, default: JobCounts()].stages.record(times)
    }

    /// Of a job whose times were recorded before.
    mutating func recordTeardown(_ nanoseconds: Int, pool: String) {
        pools[pool, default: JobCounts()].stages.teardown.record(nanoseconds)
    }

    /// Over the last ten whole seconds, or since the start if that is less.
    func jobsPerSecond(now: Int) -> Double {
        let second = now / 1_000_000_000
        let first = max(second - 10, startedAt / 1_000_000_000)
        let recent = seconds.filter { $0.second >= first && $0.second <= second }.reduce(0) { $0 + $1.ends }
        let span = Double(now - max(first * 1_000_000_000, startedAt)) / 1e9
        return span > 0 ? Double(recent) / max(span, 1) : 0
    }
}

/// The moments of one job's way, on the farm's clock, and what its sandbox measured. One moment ends a stage and begins
/// the next, so the stages add up to the whole.
struct JobTimes: Sendable {
    let submitted: Int
    let granted: Int
    /// What it took to read its files, and to wait for what another job compiles, between two moments that belong to `lease`.
    var preparing = 0
    /// There once it has a sandbox.
    var leased: Int?
    /// Of its steps, in nanoseconds: until their programs started, and while these ran.
    private(set) var placing = 0
    private(set) var running = 0
    private(set) var stepsEnded = 0
    /// When its result was whole.
    var concluded = 0

    init(submitted: Int, granted: Int) {
        self.submitted = submitted
        self.granted = granted
    }

    mutating func add(_ steps: StepsRun, ended: Int) {
        stepsEnded = ended
        let compile = steps.compile?.cached == false ? steps.compile?.report : nil
        for report in [compile, steps.run] {
            guard let report else { continue }
            leased = leased.map { $0 + Self.nanoseconds(report.waitedMs) }
            placing += Self.nanoseconds(report.setupMs)
            running += Self.nanoseconds(report.usage.wallTimeMs)
        }
    }

    /// Of a time that another process says it measured: within bounds where sums cannot overflow.
    private static func nanoseconds(_ milliseconds: Double) -> Int { Int(min(max(milliseconds, 0), 1e9) * 1e6) }

    /// As the job's client sees them: its answer does not wait for the teardown.
    var stages: Stages {
        var stages = Stages()
        stages.queuedMs = milliseconds(granted - submitted)
        guard let leased else {
            stages.setupMs = milliseconds(preparing)
            return stages
        }
        stages.setupMs = milliseconds(leased - granted)
        stages.runMs = milliseconds(stepsEnded - leased)
        return stages
    }
}

extension StageHistograms {
    fileprivate mutating func record(_ times: JobTimes) {
        queue.record(times.granted - times.submitted)
        // A job that was cancelled before it had a sandbox says nothing of what sandboxes cost.
        guard let leased = times.leased else { return }
        lease.record(leased - times.granted - times.preparing)
        setup.record(times.preparing + times.placing)
        run.record(times.running)
        // The way to the sandbox and back cannot be told from what was done at its end.
        collect.record(times.concluded - leased - times.placing - times.running)
    }
}
