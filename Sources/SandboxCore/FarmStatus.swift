// What the farm tells of itself: what it is, and its figures. The engine fills these, the protocol writes them.

/// `farm.info`: what this farm is and can do. Nothing in it changes while the daemon runs but pools and images.
public struct FarmInfo: Sendable, Equatable {
    public var version: String
    /// The version of the protocol, 1.
    public var protocolVersion: Int
    public var pid: Int
    public var uptimeMs: Int
    public var host: HostFacts
    public var pools: [String]
    public var policies: [String]
    public var images: [String]
    public var languages: [String]
    /// Mechanisms this host cannot enforce, in the words of `paddock doctor`.
    public var unenforced: [String]

    public init(
        version: String, protocolVersion: Int = 1, pid: Int, uptimeMs: Int, host: HostFacts, pools: [String] = [],
        policies: [String] = [], images: [String] = [], languages: [String] = [], unenforced: [String] = []
    ) {
        self.version = version
        self.protocolVersion = protocolVersion
        self.pid = pid
        self.uptimeMs = uptimeMs
        self.host = host
        self.pools = pools
        self.policies = policies
        self.images = images
        self.languages = languages
        self.unenforced = unenforced
    }
}

/// The machine the farm runs on.
public struct HostFacts: Sendable, Equatable {
    /// The kernel's release, as `uname -r` prints it.
    public var kernel: String
    public var architecture: String
    public var cpus: Int
    public var memoryBytes: Int
    /// `v1`, `v2` or `none`.
    public var cgroup: String
    public var root: Bool

    public init(kernel: String, architecture: String, cpus: Int, memoryBytes: Int, cgroup: String, root: Bool) {
        self.kernel = kernel
        self.architecture = architecture
        self.cpus = cpus
        self.memoryBytes = memoryBytes
        self.cgroup = cgroup
        self.root = root
    }
}

/// `farm.stats`: counts since the daemon started, and what it holds now.
public struct FarmStats: Sendable, Equatable {
    public var uptimeMs: Int
    public var submitted: Int
    public var rejected: Int
    /// Jobs that ended with a result, by the result's `outcome`.
    public var outcomes: [String: Int]
    /// Jobs the farm failed, by the error's `code`.
    public var farmErrors: [String: Int]
    public var queued: Int
    public var running: Int
    /// Jobs ended per second, over the last ten seconds.
    public var jobsPerSecond: Double
    /// Where the time of all jobs that had a result went, by the stage's word; and the same by pool.
    public var stages: [String: StageTimes]
    public var stagesByPool: [String: [String: StageTimes]]
    public var connections: Int
    /// Resident memory of the daemon.
    public var memoryBytes: Int
    public var keptResults: Int
    public var keptResultBytes: Int
    public var blobs: Int
    public var blobBytes: Int
    public var compileCache: CompileCacheFigures

    public init(
        uptimeMs: Int, submitted: Int = 0, rejected: Int = 0, outcomes: [String: Int] = [:],
        farmErrors: [String: Int] = [:], queued: Int = 0, running: Int = 0, jobsPerSecond: Double = 0,
        stages: [String: StageTimes] = [:], stagesByPool: [String: [String: StageTimes]] = [:], connections: Int = 0, memoryBytes: Int = 0, keptResults: Int = 0,
        keptResultBytes: Int = 0, blobs: Int = 0, blobBytes: Int = 0, compileCache: CompileCacheFigures = CompileCacheFigures()
    ) {
        self.uptimeMs = uptimeMs
        self.submitted = submitted
        self.rejected = rejected
        self.outcomes = outcomes
        self.farmErrors = farmErrors
        self.queued = queued
        self.running = running
        self.jobsPerSecond = jobsPerSecond
        self.stages = stages
        self.stagesByPool = stagesByPool
        self.connections = connections
        self.memoryBytes = memoryBytes
        self.keptResults = keptResults
        self.keptResultBytes = keptResultBytes
        self.blobs = blobs
        self.blobBytes = blobBytes
        self.compileCache = compileCache
    }
}

/// Compile steps that were not run because an equal one was. All zero where none are kept.
public struct CompileCacheFigures: Sendable, Equatable {
    /// Steps that were answered from those kept.
    public var hits: Int
    /// Steps that were answered from one that ran just then for another job.
    public var shared: Int
    /// Steps that were run, although they might have been kept.
    public var misses: Int
    /// Those that had to go to make room.
    public var evicted: Int
    /// What is kept now.
    public var entries: Int
    public var bytes: Int

    public init(hits: Int = 0, shared: Int = 0, misses: Int = 0, evicted: Int = 0, entries: Int = 0, bytes: Int = 0) {
        self.hits = hits
        self.shared = shared
        self.misses = misses
        self.evicted = evicted
        self.entries = entries
        self.bytes = bytes
    }
}
