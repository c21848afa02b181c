// What makes two compile steps the same: a digest over everything the step can see. Two steps with one key may differ in
// the moment they are run at, and in nothing else.

import Crypto
import SandboxCore

struct CompileKey: Hashable, Sendable {
    private let digest: SHA256.Digest

    /// - Parameters:
    ///   - plan: the compile step's. Its files are those of `files`, with their contents at hand.
    ///   - files: by their digests, so that what was uploaded is not read and hashed again.
    ///   - output: what is kept of it.
    ///   - toolchain: what the step finds in an image that can change while the farm runs.
    init(_ plan: LaunchPlan, files: [FileIn], output: [String], in spec: SandboxSpec, toolchain: String) {
        var hash = FieldHash()
        hash.add("paddock compile 1")
        hash.add(plan, files: files)
        hash.add(output) { $0.add($1) }
        hash.add(spec)
        hash.add(toolchain)
        digest = hash.finish()
    }
}

/// Fields one after the other, each with its length or its count before it, so that no two sequences look alike.
private struct FieldHash {
    private var hash = SHA256()

    mutating func add(_ number: Int) { hash.update(data: (0..<8).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }) }
    mutating func add(_ flag: Bool) { add(flag ? 1 : 0) }
    mutating func add(_ text: String) { add(Array(text.utf8)) }

    mutating func add(_ bytes: [UInt8]) {
        add(bytes.count)
        hash.update(data: bytes)
    }

    mutating func add<Element>(_ list: [Element], _ each: (inout FieldHash, Element) -> Void) {
        add(list.count)
        for element in list { each(&self, element) }
    }

    func finish() -> SHA256.Digest { hash.finalize() }
}

extension FieldHash {
    mutating func add(_ plan: LaunchPlan, files: [FileIn]) {
        add(plan.arguments) { $0.add($1) }
        add(plan.environment) { $0.add($1) }
        add(plan.workingDirectory)
        switch plan.stdin {
        case .empty: add("empty")
        case .bytes(let bytes): add(bytes)
        // Nobody knows what will come from it.
        case .descriptor(let number): add("descriptor \(number)")
        }
        // All of the job's: a source can include any of them.
        add(files.sorted { $0.path < $1.path }) {
            $0.add($1.path)
            $0.add($1.mode)
            $0.add($1.content.sha256)
        }
        add(plan.limits)
        add(plan.keepOutputBytes)
    }

    /// Each of them: one that a step did not reach may be one that it is told of.
    private mutating func add(_ limits: EnforcedLimits) {
        let all = [
            limits.cpuTimeMs, limits.wallTimeMs, limits.memoryBytes, limits.processes, limits.diskBytes, limits.diskInodes,
            limits.outputBytes, limits.openFiles, limits.stackBytes, limits.fileSizeBytes,
        ]
        add(all) { $0.add($1) }
    }

    /// All but the pool, which a sandbox knows nothing of.
    mutating func add(_ spec: SandboxSpec) {
        // A layer's files never change under its path; what is bound over them can, and `toolchain` has that.
        add(spec.root.layers) { $0.add($1) }
        add(spec.root.binds) {
            $0.add($1.source)
            $0.add($1.target)
        }
        add(spec.root.writable != nil)
        add(spec.root.writable ?? []) { $0.add($1) }
        add(spec.hostname)
        add(spec.network.rawValue)
        add(spec.proc.rawValue)
        add(spec.pty)
        add(spec.seccomp?.bpf ?? [])
        add(spec.seccomp?.notifies ?? false)
        add(spec.seccomp?.onDenied.rawValue ?? "")
        add(spec.seccomp?.permitsKeys ?? false)
        add(Int(spec.seccomp?.countedNetlink ?? 0))
        add(spec.user.uid)
        add(spec.user.gid)
        add(spec.tolerateMissing.map(\.rawValue).sorted()) { $0.add($1) }
    }
}

extension Content {
    /// The same for bytes that came with the request and for the blob they would be.
    fileprivate var sha256: String {
        switch self {
        case .bytes(let bytes): hexadecimal(SHA256.hash(data: bytes))
        case .blob(let digest): digest
        }
    }
}
