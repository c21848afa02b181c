// What an operator decides about a farm, and the bounds that keep it within its machine's memory and disk.

import SandboxCore

public struct FarmConfiguration: Sendable, Equatable {
    /// The pools there are at the start. Jobs that name none run in `default`.
    public var pools: [PoolConfiguration]
    /// What `pool.list` calls the way sandboxes are made.
    public var backendName: String
    /// Holds uploaded blobs; made when missing. Blobs found there at the start are removed. Empty for a farm that takes none.
    public var blobDirectory: String
    /// Bytes of all blobs together; the least recently used go first, but never one a job still needs.
    public var blobBytes: Int
    /// How long a result, and with it the job's id and idempotency key, is kept after the job ended.
    public var retention: Duration
    /// Bytes of all kept results together; the oldest go first.
    public var retainedBytes: Int
    /// Bytes of the contents (files, source, stdin, environment) of all jobs that are queued or running, together.
    public var heldBytes: Int
    /// How much of each output stream a result has: this many bytes of the head and as many of the tail.
    public var keepOutputBytes: Int
    /// The most a job may ask to bring back of one file.
    public var collectBytes: Int
    /// Of all compiles that are kept, together, in memory; 0 keeps none. The least recently used go first.
    public var compileCacheBytes: Int
    /// How many compiles are kept at most.
    public var compileCacheEntries: Int
    /// In pools that use sandboxes again: how many may wait for their groups' next jobs, in each, and for how long.
    public var idleSandboxes: Int
    public var idleTime: Duration
    /// How long `drain` waits for jobs to end after it has cancelled them.
    public var cancelAllowance: Duration

    public init(
        pools: [PoolConfiguration] = [PoolConfiguration()], backendName: String = "process", blobDirectory: String,
        blobBytes: Int = 4 << 30, retention: Duration = .seconds(600), retainedBytes: Int = 256 << 20,
        heldBytes: Int = 1 << 30, keepOutputBytes: Int = 64 << 10, collectBytes: Int = 64 << 20,
        compileCacheBytes: Int = 128 << 20, compileCacheEntries: Int = 10_000, idleSandboxes: Int = 256,
        idleTime: Duration = .seconds(60), cancelAllowance: Duration = .seconds(10)
    ) {
        self.pools = pools
        self.backendName = backendName
        self.blobDirectory = blobDirectory
        self.blobBytes = blobBytes
        self.retention = retention
        self.retainedBytes = retainedBytes
        self.heldBytes = heldBytes
        self.keepOutputBytes = keepOutputBytes
        self.collectBytes = collectBytes
        self.compileCacheBytes = compileCacheBytes
        self.compileCacheEntries = compileCacheEntries
        self.idleSandboxes = idleSandboxes
        self.idleTime = idleTime
        self.cancelAllowance = cancelAllowance
    }
}

/// A named set of equal sandboxes.
public struct PoolConfiguration: Sendable, Equatable {
    /// 1–64 of `a`–`z`, `0`–`9`, `-`, `_` and `.`.
    public var name: String
    /// Jobs that may run at once.
    public var size: Int
    /// Jobs that may wait.
    public var queue: Int
    /// For jobs that name no image or policy of their own.
    public var image: String
    public var policy: String
    /// The image's templates that are kept loaded, the one for jobs that name none first.
    public var templates: [String]
    /// Whether a sandbox serves more than one job.
    public var reuse: SandboxReuse

    public init(
        name: String = "default", size: Int = 2, queue: Int = 10_000, image: String = "host", policy: String = "default",
        templates: [String] = [], reuse: SandboxReuse = .none
    ) {
        self.name = name
        self.size = size
        self.queue = queue
        self.image = image
        self.policy = policy
        self.templates = templates
        self.reuse = reuse
    }
}
