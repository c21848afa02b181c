// What names in a request mean. The farm looks policies, images and languages up here and knows nothing of the YAML
// and the store behind them: the composition root adapts the rooms Policy and Images to this border.

import SandboxCore

/// Looks up what a request names. Called for each job on the submitting thread, so it answers from memory.
public protocol Catalog: Sendable {
    /// - Returns: `nil` for a name there is no policy of.
    func policy(named name: String) -> ResolvedPolicy?
    /// - Throws: `unknown_image` for a name there is no image of, or an image that is not built yet.
    func image(named name: String) throws(Rejected) -> ResolvedImage
    /// - Returns: `nil` for a name the language table does not have.
    func language(named name: String) -> ResolvedLanguage?
    /// - Returns: a template of an image for sandboxes of a policy; `nil` where there is none of that name.
    func template(named name: String, image: String, policy: String) -> ResolvedTemplate?
    func templateNames(image: String) -> [String]

    /// What tells one state of an image's toolchain from the next, where its files can change while the farm runs. Asked
    /// for each job that has a compile step, when its turn has come.
    /// - Parameters:
    ///   - program: the compiler, as the command names it.
    ///   - path: the sandbox's PATH.
    func state(of program: String, path: String, in image: ResolvedImage) -> String

    /// The names there are, for `farm.info` and for errors that say what was expected.
    var policyNames: [String] { get }
    var imageNames: [String] { get }
    var languageNames: [String] { get }
}

extension Catalog {
    public func template(named name: String, image: String, policy: String) -> ResolvedTemplate? { nil }
    public func templateNames(image: String) -> [String] { [] }
    /// An image whose files stay as they are has one state.
    public func state(of program: String, path: String, in image: ResolvedImage) -> String { "" }
}

/// What a job can be forked from.
public struct ResolvedTemplate: Sendable, Equatable {
    public var spec: TemplateSpec
    /// The `argv[0]` of the commands it stands for.
    public var program: String

    public init(spec: TemplateSpec, program: String) {
        self.spec = spec
        self.program = program
    }
}

/// What a sandbox may do.
public struct ResolvedPolicy: Sendable, Equatable {
    public var network: NetworkMode
    public var proc: ProcMode
    public var pty: Bool
    /// For the limits a job does not set. Complete: a limit that is missing here gets `Limits.fallback`'s value.
    public var defaults: Limits
    /// The most a job may ask for; a limit that is missing here has no bound but `LimitField.range`.
    public var ceiling: Limits
    public var environment: [String: String]
    public var seccomp: SeccompProgram?
    /// The mechanisms without which its jobs may run all the same.
    public var tolerateMissing: Set<Mechanism>

    public init(
        network: NetworkMode = .loopback, proc: ProcMode = .masked, pty: Bool = false, defaults: Limits,
        ceiling: Limits = Limits(), environment: [String: String] = [:], seccomp: SeccompProgram?,
        tolerateMissing: Set<Mechanism> = []
    ) {
        self.network = network
        self.proc = proc
        self.pty = pty
        self.defaults = defaults
        self.ceiling = ceiling
        self.environment = environment
        self.seccomp = seccomp
        self.tolerateMissing = tolerateMissing
    }
}

/// A root filesystem and the environment its programs expect.
public struct ResolvedImage: Sendable, Equatable {
    public var root: RootFilesystem
    public var environment: [String: String]

    public init(root: RootFilesystem, environment: [String: String] = [:]) {
        self.root = root
        self.environment = environment
    }
}

/// How a source text becomes a running program.
public struct ResolvedLanguage: Sendable, Equatable {
    /// What the source is called in `/workspace`.
    public var fileName: String
    /// The compile command, whole; `nil` for a language that needs none.
    public var compile: [String]?
    /// What the compile command leaves for the run command, as paths or patterns below `/tmp` or relative to `/workspace`:
    /// all that has to be kept of it. Empty where that is not known.
    public var output: [String]
    /// The command that runs the program; the job's arguments are added to it.
    public var run: [String]
    /// Bounds of the compile step, in place of the policy's defaults and under its ceiling.
    public var compileLimits: Limits?
    /// What its tools need in their environment; a job's own variables win.
    public var environment: [String: String]
    /// What its tools need where the policy's defaults are smaller; a limit the job asks for wins.
    public var limits: Limits

    public init(
        fileName: String, compile: [String]?, output: [String] = [], run: [String], compileLimits: Limits? = nil,
        environment: [String: String] = [:], limits: Limits = Limits()
    ) {
        self.fileName = fileName
        self.compile = compile
        self.output = output
        self.run = run
        self.compileLimits = compileLimits
        self.environment = environment
        self.limits = limits
    }
}

extension ResolvedPolicy {
    var completeDefaults: Limits { defaults.filled(from: .fallback) }
}

extension Limits {
    /// What holds where neither the job nor its policy says anything.
    public static let fallback = Limits(
        cpuTimeMs: 10_000, wallTimeMs: 60_000, memoryBytes: 512 << 20, processes: 64, diskBytes: 256 << 20,
        diskInodes: 20_000, outputBytes: 16 << 20, openFiles: 256, stackBytes: 8 << 20, fileSizeBytes: 128 << 20)
}
