// The bounds a job asks for. The same names are used for what it measured (`Usage`) and in every verdict.

/// What a job may use. A field that is `nil` is not set here; the policy's value holds.
public struct Limits: Sendable, Equatable {
    /// CPU time of all processes of the job together, in milliseconds. The first judge of a slow program.
    public var cpuTimeMs: Int?
    /// Time since the job's process started, in milliseconds. The guard for a program that waits.
    public var wallTimeMs: Int?
    /// Memory of the whole sandbox, files in its writable layer included, in bytes.
    public var memoryBytes: Int?
    /// Processes and threads alive at once.
    public var processes: Int?
    /// Bytes in the writable layer, `/tmp`, `/workspace` and `/dev/shm` together.
    public var diskBytes: Int?
    /// Files and directories in the writable layer.
    public var diskInodes: Int?
    /// Bytes a program may write to each of its standard output and standard error.
    public var outputBytes: Int?
    /// Open descriptors per process.
    public var openFiles: Int?
    /// Stack of each process, in bytes.
    public var stackBytes: Int?
    /// Size of any single file, in bytes.
    public var fileSizeBytes: Int?

    public init(
        cpuTimeMs: Int? = nil, wallTimeMs: Int? = nil, memoryBytes: Int? = nil, processes: Int? = nil,
        diskBytes: Int? = nil, diskInodes: Int? = nil, outputBytes: Int? = nil, openFiles: Int? = nil,
        stackBytes: Int? = nil, fileSizeBytes: Int? = nil
    ) {
        self.cpuTimeMs = cpuTimeMs
        self.wallTimeMs = wallTimeMs
        self.memoryBytes = memoryBytes
        self.processes = processes
        self.diskBytes = diskBytes
        self.diskInodes = diskInodes
        self.outputBytes = outputBytes
        self.openFiles = openFiles
        self.stackBytes = stackBytes
        self.fileSizeBytes = fileSizeBytes
    }

    /// These limits, with every field that is not set taken from `other`.
    public func filled(from other: Limits) -> Limits {
        var result = self
        for field in LimitField.all where result[field] == nil {
            result[field] = other[field]
        }
        return result
    }

    /// These limits, none below `floor`'s.
    public func raised(to floor: Limits) -> Limits {
        var result = self
        for field in LimitField.all {
            guard let least = floor[field], let own = result[field] else { continue }
            result[field] = max(own, least)
        }
        return result
    }

    /// These limits, none above `ceiling`'s.
    public func clamped(to ceiling: Limits) -> Limits {
        var result = self
        for field in LimitField.all {
            guard let top = ceiling[field] else { continue }
            result[field] = min(result[field] ?? top, top)
        }
        return result
    }
}

/// One field of `Limits`: its name on the wire and in YAML, where it lives, the range that makes sense, and the
/// limit a verdict names. Codecs, the CLI and documentation walk this table instead of repeating ten names.
public struct LimitField: Sendable {
    public enum Unit: Sendable { case milliseconds, bytes, count }

    /// The wire's and YAML's key, unit included: `memory_bytes`.
    public let key: String
    /// The word for it in a verdict and on the command line: `memory`.
    public let name: String
    public let unit: Unit
    public let range: ClosedRange<Int>
    fileprivate let place: Place

    /// Whose row it is. Not a key path: resolving a job asks for each of them several times, and a key path is built at run time.
    fileprivate enum Place { case cpuTime, wallTime, memory, processes, disk, diskInodes, output, openFiles, stack, fileSize }

    public static let all: [LimitField] = [
        .init(key: "cpu_time_ms", name: "cpu_time", unit: .milliseconds, range: 1...86_400_000, place: .cpuTime),
        .init(key: "wall_time_ms", name: "wall_time", unit: .milliseconds, range: 1...604_800_000, place: .wallTime),
        .init(key: "memory_bytes", name: "memory", unit: .bytes, range: 1 << 20...1 << 44, place: .memory),
        .init(key: "processes", name: "processes", unit: .count, range: 1...1_000_000, place: .processes),
        .init(key: "disk_bytes", name: "disk", unit: .bytes, range: 1 << 16...1 << 44, place: .disk),
        .init(key: "disk_inodes", name: "disk_inodes", unit: .count, range: 64...100_000_000, place: .diskInodes),
        .init(key: "output_bytes", name: "output", unit: .bytes, range: 0...1 << 34, place: .output),
        .init(key: "open_files", name: "open_files", unit: .count, range: 64...1_048_576, place: .openFiles),
        .init(key: "stack_bytes", name: "stack", unit: .bytes, range: 1 << 16...1 << 40, place: .stack),
        .init(key: "file_size_bytes", name: "file_size", unit: .bytes, range: 0...1 << 44, place: .fileSize),
    ]
}

extension Limits {
    public subscript(field: LimitField) -> Int? {
        get {
            switch field.place {
            case .cpuTime: cpuTimeMs
            case .wallTime: wallTimeMs
            case .memory: memoryBytes
            case .processes: processes
            case .disk: diskBytes
            case .diskInodes: diskInodes
            case .output: outputBytes
            case .openFiles: openFiles
            case .stack: stackBytes
            case .fileSize: fileSizeBytes
            }
        }
        set {
            switch field.place {
            case .cpuTime: cpuTimeMs = newValue
            case .wallTime: wallTimeMs = newValue
            case .memory: memoryBytes = newValue
            case .processes: processes = newValue
            case .disk: diskBytes = newValue
            case .diskInodes: diskInodes = newValue
            case .output: outputBytes = newValue
            case .openFiles: openFiles = newValue
            case .stack: stackBytes = newValue
            case .fileSize: fileSizeBytes = newValue
            }
        }
    }
}
