// A process that is loaded once and forked into fresh sandboxes: as an image's definition declares it, and with everything
// decided, the backend's input. A backend that cannot fork starts the job's command instead.

/// A template as an image declares it.
public struct TemplateDeclaration: Sendable, Equatable {
    public var name: String
    /// What starts its runtime; a job is forked from it where its `argv[0]` is this command's.
    public var command: [String]
    /// Modules that are loaded before the first fork.
    public var preload: [String]
    /// Source text that is run once after the modules are loaded, to fill caches.
    public var warmUp: String?
    /// A template that grows beyond this is ended and started anew.
    public var memoryBytes: Int
    /// It is started anew after this many forks, so that what it leaks stays bounded.
    public var recycleForks: Int
    /// And after this many milliseconds; `nil` for never.
    public var recycleMs: Int?

    public init(
        name: String, command: [String], preload: [String] = [], warmUp: String? = nil, memoryBytes: Int = 512 << 20,
        recycleForks: Int = 10_000, recycleMs: Int? = nil
    ) {
        self.name = name
        self.command = command
        self.preload = preload
        self.warmUp = warmUp
        self.memoryBytes = memoryBytes
        self.recycleForks = recycleForks
        self.recycleMs = recycleMs
    }
}

public struct TemplateSpec: Sendable, Equatable {
    /// Within its image.
    public var name: String
    /// What is executed to load it; `argv[0]` is looked up in the environment's PATH.
    public var arguments: [String]
    /// `KEY=value`, whole.
    public var environment: [String]
    /// What it is loaded with, besides the image; absolute paths below `/tmp`. Its forks do not see them.
    public var files: [PlacedFile]
    /// It is confined by this while it loads, on top of having no power and no network. `nil` without seccomp.
    public var seccomp: SeccompProgram?
    /// It may not grow beyond this, and is ended and started anew where it does.
    public var memoryBytes: Int
    /// It is started anew after so many forks, so that what it leaks stays bounded.
    public var recycleForks: Int
    /// And after so many milliseconds; `nil` for never.
    public var recycleMs: Int?

    public init(
        name: String, arguments: [String], environment: [String], files: [PlacedFile] = [], seccomp: SeccompProgram?, memoryBytes: Int,
        recycleForks: Int, recycleMs: Int? = nil
    ) {
        self.name = name
        self.arguments = arguments
        self.environment = environment
        self.files = files
        self.seccomp = seccomp
        self.memoryBytes = memoryBytes
        self.recycleForks = recycleForks
        self.recycleMs = recycleMs
    }
}

/// How a template is, for operators.
public struct TemplateStatus: Sendable, Equatable {
    public enum State: String, Sendable, Equatable, CaseIterable {
        /// It is loading; jobs start their commands meanwhile.
        case loading
        case ready
        /// It could not be loaded, or died; it is tried again after a while.
        case failed
    }

    public var name: String
    public var state: State
    /// Jobs that were forked from it, all its lives together.
    public var forks: Int
    /// How often it was loaded.
    public var loads: Int
    /// Why it failed last; `nil` if it never did.
    public var error: String?

    public init(name: String, state: State, forks: Int = 0, loads: Int = 0, error: String? = nil) {
        self.name = name
        self.state = state
        self.forks = forks
        self.loads = loads
        self.error = error
    }
}
