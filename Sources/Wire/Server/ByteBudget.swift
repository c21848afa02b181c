// A bound on bytes that many connections share.

import Synchronization

final class ByteBudget: Sendable {
    private let used = Atomic<Int>(0)
    private let limit: Int

    init(_ limit: Int) { self.limit = limit }

    /// Takes `count` bytes of the budget, or none where they do not fit.
    func take(_ count: Int) -> Bool {
        let before = used.add(count, ordering: .relaxed).oldValue
        if before + count <= limit { return true }
        give(count)
        return false
    }

    func give(_ count: Int) { used.subtract(count, ordering: .relaxed) }
}
