// Pools as operators see and change them.

/// Whether a pool takes new jobs.
public enum PoolState: String, Sendable, Equatable, CaseIterable {
    case open
    /// Takes no new jobs, finishes those it has.
    case draining
}

/// Whether a sandbox serves more than one job of a pool.
public enum SandboxReuse: String, Sendable, Equatable, CaseIterable {
    /// Each job has a fresh one.
    case none
    /// It stays with the group of its first job, and serves that group's later jobs one after the other.
    case group
}

/// A pool as `pool.list` tells of it.
public struct PoolStatus: Sendable, Equatable {
    public var name: String
    public var state: PoolState
    /// `process`, `docker`, `kubernetes` or `simulator`.
    public var backend: String
    public var image: String
    public var policy: String
    /// How many jobs run at once, and how many may wait.
    public var size: Int
    public var queue: Int
    public var queued: Int
    public var running: Int
    /// Sandboxes that are made and wait for a job.
    public var ready: Int
    public var reuse: SandboxReuse
    /// Sandboxes that stay with a group and wait for its next job.
    public var idle: Int
    /// Its jobs that have ended since the daemon started, in any way and started or not.
    public var ended: Int
    /// What its jobs are forked from, if from anything.
    public var templates: [TemplateStatus]

    public init(
        name: String, state: PoolState = .open, backend: String, image: String, policy: String, size: Int, queue: Int,
        queued: Int = 0, running: Int = 0, ready: Int = 0, reuse: SandboxReuse = .none, idle: Int = 0, ended: Int = 0,
        templates: [TemplateStatus] = []
    ) {
        self.name = name
        self.state = state
        self.backend = backend
        self.image = image
        self.policy = policy
        self.size = size
        self.queue = queue
        self.queued = queued
        self.running = running
        self.ready = ready
        self.reuse = reuse
        self.idle = idle
        self.ended = ended
        self.templates = templates
    }
}

/// What to change of a pool. A field that is `nil` stays as it is; a pool that does not exist is made.
public struct PoolChange: Sendable, Equatable {
    public var pool: String
    /// How many jobs run at once.
    public var size: Int?
    /// How many jobs may wait.
    public var queue: Int?
    public var image: String?
    public var policy: String?
    /// The templates of its image to keep loaded; a job that names none is forked from the first that serves its command.
    public var templates: [String]?
    public var reuse: SandboxReuse?

    public init(
        pool: String, size: Int? = nil, queue: Int? = nil, image: String? = nil, policy: String? = nil, templates: [String]? = nil,
        reuse: SandboxReuse? = nil
    ) {
        self.pool = pool
        self.size = size
        self.queue = queue
        self.image = image
        self.policy = policy
        self.templates = templates
        self.reuse = reuse
    }
}
