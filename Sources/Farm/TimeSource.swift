// The farm's clock: nanoseconds that never go back. Behind a protocol so that deadlines, retention and grace periods
// can be tested by moving the time instead of waiting for it.

protocol TimeSource: Sendable {
    /// Nanoseconds since some fixed moment.
    var now: Int { get }
    /// - Throws: `CancellationError` when the task is cancelled before.
    func sleep(until moment: Int) async throws
}

struct SystemTime: TimeSource {
    private let start = ContinuousClock.now

    var now: Int { (ContinuousClock.now - start).nanoseconds }

    func sleep(until moment: Int) async throws {
        try await ContinuousClock().sleep(until: start + .nanoseconds(moment))
    }
}

extension Duration {
    /// Cut at the ends of `Int`.
    var nanoseconds: Int {
        let (seconds, attoseconds) = components
        let (whole, overflow) = Int(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds < 0 ? .min / 2 : .max / 2 }
        return whole + Int(attoseconds / 1_000_000_000)
    }
}

/// Nanoseconds as milliseconds, for results.
func milliseconds(_ nanoseconds: Int) -> Double { Double(nanoseconds) / 1_000_000 }
