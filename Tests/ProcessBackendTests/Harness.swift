// A real backend with a real warden, and a root file system made of this machine's own /usr.

import Foundation
import Logging
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

    /// The host's /usr read-only over a skeleton, in a directory that lasts as long as the tests.
    static let root: RootFilesystem = {
        let base = NSTemporaryDirectory() + "paddock-test-root-\(getpid())"
        let fm = FileManager.default
        for name in ["etc", "usr", "proc", "dev", "tmp", "workspace", "root"] {
            try! fm.createDirectory(atPath: "\(base)/\(name)", withIntermediateDirectories: true)
        }
        for name in ["bin", "sbin", "lib", "lib64"] where (try? fm.destinationOfSymbolicLink(atPath: "/\(name)")) != nil {
            try? fm.createSymbolicLink(atPath: "\(base)/\(name)", withDestinationPath: "usr/\(name)")
        }
        try! "root:x:0:0:root:/:/bin/sh\nsandbox:x:1000:1000::/workspace:/bin/sh\n".write(toFile: "\(base)/etc/passwd", atomically: true, encoding: .utf8)
        return RootFilesystem(layers: [base], binds: [.init(source: "/usr", target: "/usr")])
    }()

    static let wardenDirectory: String = {
        let path = NSTemporaryDirectory() + "paddock-test-warden-\(getpid())"
        try! FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }()

    static func backend(cgroups: Bool = true) throws -> ProcessBackend {
        try ProcessBackend(
            .init(warden: warden, directory: wardenDirectory, cgroups: cgroups, syscallName: { _, n in "syscall-\(n)" }),
            logger: Logger(label: "test"))
    }

    /// One backend for all tests that do not end it.
    static let shared = Result { try backend() }

    static let limits = EnforcedLimits(
        cpuTimeMs: 5_000, wallTimeMs: 10_000, memoryBytes: 256 << 20, processes: 64, outputBytes: 4 << 20, openFiles: 256,
        stackBytes: 8 << 20, fileSizeBytes: 64 << 20)

    static func spec(_ change: (inout SandboxSpec) -> Void = { _ in }) -> SandboxSpec {
        var spec = SandboxSpec(root: root, diskBytes: 64 << 20, diskInodes: 4096, seccomp: nil)
        change(&spec)
        return spec
    }

    /// Runs one command in a fresh sandbox.
    static func run(
        _ arguments: [String], spec: SandboxSpec = spec(), on backend: ProcessBackend? = nil,
        change: (inout LaunchPlan) -> Void = { _ in }
    ) async throws -> StepReport {
        let backend = try backend ?? shared.get()
        var plan = LaunchPlan(arguments: arguments, environment: ["PATH=/usr/bin:/bin", "HOME=/workspace", "LANG=C.UTF-8"], limits: limits)
        change(&plan)
        let sandbox = try await backend.makeSandbox(spec)
        do {
            let report = try await sandbox.run(plan, onOutput: nil)
            await sandbox.destroy()
            return report
        } catch {
            await sandbox.destroy()
            throw error
        }
    }

    static func sh(_ script: String, spec: SandboxSpec = spec(), change: (inout LaunchPlan) -> Void = { _ in }) async throws -> StepReport {
        try await run(["sh", "-c", script], spec: spec, change: change)
    }

    static func python(_ script: String, spec: SandboxSpec = spec(), change: (inout LaunchPlan) -> Void = { _ in }) async throws -> StepReport {
        try await run(["python3", "-c", script], spec: spec, change: change)
    }
}

extension Output {
    var text: String { String(decoding: head + tail, as: UTF8.self) }
}
