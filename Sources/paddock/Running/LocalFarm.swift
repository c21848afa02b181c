// A farm of one place in this very process: what `paddock run` and `paddock doctor` run their jobs in.

import Farm
import Foundation
import Logging
import ProcessBackend
import SandboxCore
import Synchronization

struct LocalFarm: Sendable {
    let engine: Engine

    /// - Parameters:
    ///   - image, policy: of the jobs that will name none.
    ///   - reading: now for who wants to know of every mistake in what jobs could name.
    static func start(
        _ layout: Layout, image: String = "host", policy: String = "default", reading: FarmCatalog.WhenToRead = .whenAsked
    ) async throws -> LocalFarm {
        try layout.makeDirectories()
        // The warden gets ready while policy and, with the first job, image are looked at: neither needs the other, and each takes some milliseconds.
        let backend = try Engine.processBackend(layout, quiet, isForOneSandbox: true)
        do {
            let catalog = try FarmCatalog(layout, reading: reading)
            try catalog.prepare(policies: [policy])
            return LocalFarm(engine: try Engine(backend, catalog: catalog, configuration: configuration(image, policy), logger: quiet))
        } catch {
            await backend.shutdown()
            throw error
        }
    }

    /// Runs a job to its end. `task.cancel()` of the calling task cancels the job.
    func run(_ request: JobRequest, input: JobInput = .empty, relay: OutputRelay? = nil) async throws -> JobResult {
        let end = try await engine.farm.run(request, client: ClientID(1), executor: MainThread.shared, standardInput: input.descriptor) { _, stream, bytes in
            relay?.send(stream, bytes)
        }
        switch end {
        case .result(let result): return result
        case .failed(let error): throw error
        }
    }

    /// Ends everything and leaves nothing behind.
    func stop() async { await engine.backend.shutdown() }

    /// What the backend would be asked to do for a job, and what of it this host does not enforce.
    static func plan(_ request: JobRequest, input: JobInput, _ layout: Layout, image: String, policy: String) async throws -> PlanReport {
        try layout.makeDirectories()
        let real = try Engine.processBackend(layout, quiet, isForOneSandbox: true)
        let unenforced = real.unenforced
        await real.shutdown()
        let planning = PlanningBackend(unenforced: unenforced)
        let farm = try Farm(
            configuration: configuration(image, policy), backend: planning, catalog: FarmCatalog(layout), judge: FarmJudge(),
            logger: quiet)
        let end = try await farm.run(request, client: ClientID(1), standardInput: input.descriptor)
        if case .failed(let error) = end { throw error }
        guard let recorded = planning.recorded, case .result(let result) = end else {
            throw FarmError(.internal, "the engine asked for no sandbox")
        }
        return PlanReport(
            recorded, image: request.image ?? image, policy: request.policy ?? policy,
            unenforced: result.unenforced.compactMap(Mechanism.init(rawValue:)))
    }

    private static let quiet = Logger(label: "paddock") { _ in SwiftLogNoOpLogHandler() }

    private static func configuration(_ image: String, _ policy: String) -> FarmConfiguration {
        // One job brings its files with it, and has nobody to share a compile with.
        FarmConfiguration(
            pools: [PoolConfiguration(size: 1, queue: 1, image: image, policy: policy)], blobDirectory: "", compileCacheBytes: 0)
    }
}
