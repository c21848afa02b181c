// A farm of one place in this very process: what `paddock run` and `paddock doctor` run their jobs in.

import Farm
import Foundation
import Logging
import ProcessBackend
import SandboxCore
import Synchronization

struct LocalFarm: Sendable {
    let engine: Engine
    private let blobs: String

    /// - Parameters:
    ///   - image, policy: of the jobs that will name none.
    static func start(_ layout: Layout, image: String = "host", policy: String = "default") async throws -> LocalFarm {
        try layout.makeDirectories()
        // Not the daemon's: a farm empties its blob directory when it starts.
        let blobs = try privateDirectory(in: layout.run)
        do {
            // The warden starts beside what is read here.
            let backend = try Engine.processBackend(layout, quiet)
            do {
                let catalog = try FarmCatalog(layout, languages: .whenAsked)
                async let known: Void = catalog.learn(image: image)
                try catalog.prepare(policies: [policy])
                await known
                let engine = try Engine(backend, catalog: catalog, configuration: configuration(image, policy, blobs), logger: quiet)
                return LocalFarm(engine: engine, blobs: blobs)
            } catch {
                await backend.shutdown()
                throw error
            }
        } catch {
            rmdir(blobs)
            throw error
        }
    }

    /// Runs a job to its end. `task.cancel()` of the calling task cancels the job.
    func run(_ request: JobRequest, input: JobInput = .empty, relay: OutputRelay? = nil) async throws -> JobResult {
        let end = try await engine.farm.run(request, client: ClientID(1), standardInput: input.descriptor) { _, stream, bytes in
            relay?.send(stream, bytes)
        }
        switch end {
        case .result(let result): return result
        case .failed(let error): throw error
        }
    }

    /// Ends everything and leaves nothing behind.
    func stop() async {
        await engine.backend.shutdown()
        rmdir(blobs)
    }

    /// What the backend would be asked to do for a job, and what of it this host does not enforce.
    static func plan(_ request: JobRequest, input: JobInput, _ layout: Layout, image: String, policy: String) async throws -> PlanReport {
        try layout.makeDirectories()
        let blobs = try privateDirectory(in: layout.run)
        defer { rmdir(blobs) }
        let real = try Engine.processBackend(layout, quiet)
        let unenforced = real.unenforced
        await real.shutdown()
        let planning = PlanningBackend(unenforced: unenforced)
        let farm = try Farm(
            configuration: configuration(image, policy, blobs), backend: planning, catalog: FarmCatalog(layout), judge: FarmJudge(),
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

    private static func configuration(_ image: String, _ policy: String, _ blobs: String) -> FarmConfiguration {
        // One job has nobody to share a compile with.
        FarmConfiguration(
            pools: [PoolConfiguration(size: 1, queue: 1, image: image, policy: policy)], blobDirectory: blobs, compileCacheBytes: 0)
    }

    /// An empty directory of this process's own; those of processes that are gone are removed.
    private static func privateDirectory(in run: String) throws -> String {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: run)) ?? [] where name.hasPrefix("local-") {
            if let pid = Int32(name.dropFirst(6)), kill(pid, 0) == -1, errno == ESRCH { rmdir("\(run)/\(name)") }
        }
        let path = "\(run)/local-\(getpid())"
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw UserError("cannot make the directory \(path): \(String(cString: strerror(errno)))", exit: Exit.farm)
        }
        return path
    }
}
