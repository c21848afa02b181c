// How long a step's threads were ready to run while others ran, added up look by look. What a thread waited between the
// last look and its end is not seen; a thread that waits long is alive when it is looked at.

struct RunDelays {
    private var before: [Int32: Int] = [:]
    /// Nanoseconds in which at least one thread waited, as far as that was seen.
    private(set) var total = 0
    /// Whether a tenth of the time since the last look was spent waiting.
    private(set) var isWaiting = false

    /// However many threads there are, a look takes at most about a millisecond.
    private static let maxProcesses = 64
    private static let maxThreads = 128

    /// - Parameters:
    ///   - elapsed: nanoseconds since the last look.
    ///   - since: nanoseconds since the step began; no more can have been spent waiting.
    mutating func look(at processes: [Int32], elapsed: Int, since: Int) {
        var now: [Int32: Int] = [:]
        var longest = 0
        for pid in processes.suffix(Self.maxProcesses) {
            if now.count >= Self.maxThreads { break }
            for thread in ProcScan.threads(pid, limit: Self.maxThreads - now.count) {
                guard let delay = ProcScan.waitedForCPU(thread, of: pid) else { continue }
                now[thread] = delay
                longest = max(longest, delay - (before[thread] ?? 0))
            }
        }
        before = now
        // A wait is counted when it is over, so one look can see more than has passed since the last.
        total = min(total + longest, since)
        isWaiting = longest > elapsed / 10
    }
}
