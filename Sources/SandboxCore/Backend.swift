// A way to make sandboxes. Processes, containers, pods and simulators differ only behind this border.

public protocol Backend: Sendable {
    /// What results of this backend's sandboxes call unenforced on this host.
    var unenforced: [Mechanism] { get }

    /// How many sandboxes are made and wait for a job of this pool. Asked under the farm's lock: answered from memory.
    func readySandboxes(pool: String) -> Int

    /// Why it does not enforce one of these, where it knows more than the name.
    func lack(of mechanism: Mechanism) -> HostLack?

    /// What it has counted, where sandboxes have a life beyond `destroy`; `nil` where its end is the sandbox's.
    func figures() -> BackendFigures?

    /// How the templates of this pool's sandboxes are. Asked under the farm's lock: answered from memory.
    func templates(pool: String) -> [TemplateStatus]

    /// Such sandboxes of a pool will be wanted: begins to load their templates. Others of this pool end when nobody has
    /// asked for them for a while.
    func prepare(_ specs: [SandboxSpec], pool: String)

    /// Makes a sandbox. It takes its first step at once, but may still be under way: then that step waits for it, says how
    /// long, and throws what making it came to.
    func makeSandbox(_ spec: SandboxSpec) async throws(FarmError) -> any Sandbox

    /// Ends everything this backend started. No sandbox survives it.
    func shutdown() async
}

extension Backend {
    /// A backend that makes each sandbox when its job is due keeps none ready.
    public func readySandboxes(pool: String) -> Int { 0 }
    public func lack(of mechanism: Mechanism) -> HostLack? { nil }
    public func figures() -> BackendFigures? { nil }
    public func templates(pool: String) -> [TemplateStatus] { [] }
    public func prepare(_ specs: [SandboxSpec], pool: String) {}
}

/// What a host lacks for a mechanism, and how to mend that.
public struct HostLack: Sendable, Equatable, CustomStringConvertible {
    public var found: String
    public var fix: String

    public init(_ found: String, fix: String) {
        self.found = found
        self.fix = fix
    }

    public var description: String { "\(found); \(fix)" }
}

/// An isolated place that runs steps one after the other until it is destroyed.
public protocol Sandbox: Sendable {
    /// Whether it can still run a step, as far as that is known: its backend may have lost it. Asked under the farm's lock:
    /// answered from memory.
    var isUsable: Bool { get }

    /// Runs one step to its end. Whatever the program does is in the report; only the farm's own failure throws.
    /// - Parameter onOutput: called in order with what the program writes, when the plan says `stream`.
    func run(_ plan: LaunchPlan, onOutput: (@Sendable (OutputStream, [UInt8]) -> Void)?) async throws(FarmError) -> StepReport

    /// Ends the step that is running; `run` then reports `cancelled(by:)`. Does nothing when none is running.
    func cancel(by: Canceller)

    /// Ends every process in it and gives back what it held. When it returns, nothing that ran in it is left, and
    /// nothing it wrote can be read.
    func destroy() async
}
