// What only a backend can count: what becomes of sandboxes beside the jobs' own path. Asked for when somebody looks.

public struct BackendFigures: Sendable, Equatable {
    /// Of one pool, since the backend started.
    public struct Pool: Sendable, Equatable {
        /// Cells made, sandboxes made in a cell that had served one before, and cells given up.
        public var made = 0
        public var renewed = 0
        public var discarded = 0
        /// For each sandbox in which something ran: the stage `teardown`.
        public var teardown = Histogram()

        public init() {}
    }

    public var pools: [String: Pool]
    /// Wardens that ended unexpectedly and were replaced.
    public var wardenRestarts: Int
    /// Why it can make no sandbox any more.
    public var failure: FarmError?

    public init(pools: [String: Pool] = [:], wardenRestarts: Int = 0, failure: FarmError? = nil) {
        self.pools = pools
        self.wardenRestarts = wardenRestarts
        self.failure = failure
    }
}
