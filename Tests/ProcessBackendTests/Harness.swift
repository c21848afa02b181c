// A real backend with a real warden, the shipped policies as the Policy room compiles them, and a root file system made
// of this machine's own /usr.

import Foundation
import Logging
import Policy
import ProcessBackend
import SandboxCore
import Testing

enum Harness {
    /// `paddock-warden` as the build made it, beside the test bundle.
    static let warden: String = {
        if let named = ProcessInfo.processInfo.environment["PADDOCK_WARDEN"] { return named }
        let bundle = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        for directory in [bundle, bundle.deletingLastPathComponent(), URL(fileURLWithPath: "\(FileManager.default.currentDirectoryPath)/.build/debug")] {
            let path = directory.appendingPathComponent("paddock-warden").path
            if FileManager.default.isExecutableFile(atPath: path) { return path }
        }
        return "paddock-warden"
    }()

    /// A directory for what the tests make, gone when the test process ends.
    static let scratch: String = {
        let path = NSTemporaryDirectory() + "paddock-tests-\(getpid())"
        try! FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        chmod(path, 0o755)
        atexit { try? FileManager.default.removeItem(atPath: Harness.scratch) }
        return path
    }()

    /// The host's /usr read-only over a skeleton.
    static let root = makeRoot(at: scratch + "/root")

    /// - Parameter base: a directory to make the skeleton in.
    static func makeRoot(at base: String) -> RootFilesystem {
        let fm = FileManager.default
        for name in ["etc", "usr", "proc", "dev", "tmp", "workspace", "root", "opt", "var/tmp"] {
            try! fm.createDirectory(atPath: "\(base)/\(name)", withIntermediateDirectories: true)
        }
        chmod(base + "/var/tmp", 0o1777)
        for name in ["bin", "sbin", "lib", "lib64"] where (try? fm.destinationOfSymbolicLink(atPath: "/\(name)")) != nil {
            try? fm.createSymbolicLink(atPath: "\(base)/\(name)", withDestinationPath: "usr/\(name)")
        }
        // Debian's java finds its configuration through this one.
        for name in ["java-17-openjdk"] where fm.fileExists(atPath: "/etc/\(name)") {
            try? fm.copyItem(atPath: "/etc/\(name)", toPath: "\(base)/etc/\(name)")
        }
        try! "root:x:0:0:root:/:/bin/sh\nsandbox:x:1000:1000::/workspace:/bin/sh\n".write(toFile: "\(base)/etc/passwd", atomically: true, encoding: .utf8)
        try! "a file of the image\n".write(toFile: "\(base)/etc/canary", atomically: true, encoding: .utf8)
        return RootFilesystem(layers: [base], binds: [.init(source: "/usr", target: "/usr")], writable: ["/var/tmp"])
    }

    /// The same with a writable layer over it, as images have that came from elsewhere.
    static var layeredRoot: RootFilesystem { RootFilesystem(layers: root.layers, binds: root.binds) }

    /// - Parameter outbound: no way out unless a test asks for one: it changes the network of the machine.
    static func backend(
        cgroups: Bool = true, isForOneSandbox: Bool = false, mostSpare: Int = 0, outbound: OutboundSettings = OutboundSettings(tool: "/nowhere/nft")
    ) throws -> ProcessBackend {
        let directory = scratch + "/warden"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        return try ProcessBackend(
            .init(warden: warden, directory: directory, cgroups: cgroups, isForOneSandbox: isForOneSandbox, mostSpare: mostSpare, outbound: outbound) { _, number in
                syscallName(number: Int(number)) ?? "syscall_\(number)"
            }, logger: Logger(label: "test"))
    }

    /// One backend for all tests that do not count what is left. It keeps cells, so that most tests run where another
    /// has run before; `PADDOCK_TEST_SPARE=0` gives each a cell of its own.
    static let shared = Result {
        Guest.settle()
        return try backend(mostSpare: ProcessInfo.processInfo.environment["PADDOCK_TEST_SPARE"].flatMap { Int($0) } ?? 4)
    }

    /// The shipped policies, compiled.
    static let policies: [String: (policy: Policy, filter: SeccompProgram)] = {
        let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../policies").path
        let store = try! PolicyStore.load(directory: directory)
        return Dictionary(uniqueKeysWithValues: store.names.map { ($0, (store[$0]!, try! store[$0]!.compile())) })
    }()

    static let limits = EnforcedLimits(
        cpuTimeMs: 5_000, wallTimeMs: 10_000, memoryBytes: 256 << 20, processes: 64, diskBytes: 64 << 20, diskInodes: 4096,
        outputBytes: 4 << 20, openFiles: 256, stackBytes: 8 << 20, fileSizeBytes: 64 << 20)

    static let environment = ["PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/workspace", "LANG=C.UTF-8"]

    /// - Parameter policy: a shipped policy's name; nil for a sandbox without a filter, held by the kernel's rules alone.
    static func spec(_ policy: String? = "default", _ change: (inout SandboxSpec) -> Void = { _ in }) -> SandboxSpec {
        var spec = SandboxSpec(root: root, seccomp: nil, tolerateMissing: [.outbound])
        if let policy, let (found, filter) = policies[policy] {
            (spec.network, spec.proc, spec.pty, spec.seccomp) = (found.network, found.proc, found.pty, filter)
        }
        if Templates.areForAll {
            spec.template = Templates.python()
            if policy == nil { spec.template?.seccomp = nil }
        }
        change(&spec)
        return spec
    }

    static func plan(_ arguments: [String], _ change: (inout LaunchPlan) -> Void = { _ in }) -> LaunchPlan {
        var plan = LaunchPlan(
            arguments: arguments, environment: environment, limits: limits, fork: Templates.areForAll && arguments.first == "python3")
        change(&plan)
        return plan
    }

    /// Runs one command in a fresh sandbox.
    static func run(
        _ arguments: [String], spec: SandboxSpec = spec(), on backend: ProcessBackend? = nil,
        change: (inout LaunchPlan) -> Void = { _ in }
    ) async throws -> StepReport {
        try await with(spec, on: backend) { try await $0.run(plan(arguments, change), onOutput: nil) }
    }

    /// A sandbox for the time of `body`.
    static func with<T>(
        _ spec: SandboxSpec = spec(), on backend: ProcessBackend? = nil, _ body: (any Sandbox) async throws -> T
    ) async throws -> T {
        let sandbox = try await (try backend ?? shared.get()).makeSandbox(spec)
        do {
            let result = try await body(sandbox)
            await sandbox.destroy()
            return result
        } catch {
            await sandbox.destroy()
            throw error
        }
    }

    static func sh(_ script: String, spec: SandboxSpec = spec(), on backend: ProcessBackend? = nil, change: (inout LaunchPlan) -> Void = { _ in }) async throws -> StepReport {
        try await run(["sh", "-c", script], spec: spec, on: backend, change: change)
    }

    static func python(_ script: String, spec: SandboxSpec = spec(), on backend: ProcessBackend? = nil, change: (inout LaunchPlan) -> Void = { _ in }) async throws -> StepReport {
        try await run(["python3", "-c", script], spec: spec, on: backend, change: change)
    }

    static let isRoot = geteuid() == 0
    static let hasCgroups = (try? shared.get().cgroupVersion) != "none"
}

extension Output {
    var text: String { String(decoding: head + tail, as: UTF8.self) }
}

extension StepReport {
    /// The limit that ended it, with what was asked for and used.
    var exceeded: (limit: LimitName, asked: Int, used: Int)? {
        if case .limitExceeded(let limit, let asked, let used) = outcome { (limit, asked, used) } else { nil }
    }
    func denials(of syscall: String) -> Int { denied.first { $0.syscall == syscall }?.count ?? 0 }
}
