// Templates of the machine's own Python for tests.

import Foundation
import Policy
import ProcessBackend
import SandboxCore
import TemplateRuntime
import Testing

enum Templates {
    /// `PADDOCK_TEST_TEMPLATES=1` runs every Python job of these tests from a template: what holds for jobs has to hold
    /// for forks.
    static let areForAll = ProcessInfo.processInfo.environment["PADDOCK_TEST_TEMPLATES"] == "1"

    static let filter = try! TemplateFilter.compile()

    static func python(
        _ name: String = "python", preload: [String] = ["json", "random", "ctypes", "socket", "threading"], warmUp: String? = nil,
        memoryBytes: Int = 256 << 20, recycleForks: Int = 10_000, known: KnownSources = KnownSources()
    ) -> TemplateSpec {
        TemplateDeclaration(
            name: name, command: ["python3"], preload: preload, warmUp: warmUp, memoryBytes: memoryBytes, recycleForks: recycleForks
        ).spec(environment: Harness.environment, seccomp: filter, known: known)
    }

    /// A backend, and sandboxes of one template that is loaded.
    static func with<T>(
        _ template: TemplateSpec = python(), mostSpare: Int = 2, _ body: (ProcessBackend, SandboxSpec) async throws -> T
    ) async throws -> T {
        let backend = try Harness.backend(mostSpare: mostSpare)
        let spec = Harness.spec { ($0.template, $0.pool) = (template, "forks") }
        backend.prepare([spec], pool: spec.pool)
        do {
            _ = await status(of: backend) { $0.state != .loading }
            let result = try await body(backend, spec)
            await backend.shutdown()
            return result
        } catch {
            await backend.shutdown()
            throw error
        }
    }

    /// Waits until the one template is as `wanted`, a minute at most.
    static func status(of backend: ProcessBackend, _ wanted: (TemplateStatus) -> Bool) async -> TemplateStatus? {
        let end = ContinuousClock.now + .seconds(60)
        while true {
            let now = backend.templates(pool: "forks").first
            if let now, wanted(now) || .now > end { return now }
            if .now > end { return now }
            await Task.yield()
        }
    }

    static func run(_ arguments: [String], on backend: ProcessBackend, _ spec: SandboxSpec, fork: Bool = true, change: (inout LaunchPlan) -> Void = { _ in }) async throws -> StepReport {
        try await Harness.run(arguments, spec: spec, on: backend) {
            ($0.fork, $0.isLast) = (fork, true)
            change(&$0)
        }
    }
}
