// Calls from the socket, each to the function of the farm that answers it. No decisions in here.

import Farm
import Foundation
import SandboxCore
import Synchronization
import Wire

final class CallRouter: CallHandler {
    private let engine: Engine
    private let connections: @Sendable () -> Int
    private var farm: Farm { engine.farm }

    init(_ engine: Engine, connections: @escaping @Sendable () -> Int) {
        self.engine = engine
        self.connections = connections
    }

    func handle(_ call: Call, from connection: ClientConnection, respond: Responder) {
        do {
            switch call {
            case .jobRun(let request): try run(request, connection, respond)
            case .jobSubmit(let request): try submit(request, connection, respond)
            case .jobWait(let job, let timeoutMs): try wait(job, timeoutMs, respond)
            case .jobGet(let job): respond.answer(.status(Self.status(try farm.get(job))))
            case .jobList(let filter):
                let found = farm.list(state: filter.state.map(Self.state), pool: filter.pool, limit: filter.limit ?? 1000)
                respond.answer(.jobs(JobList(jobs: found.jobs.map(Self.status), total: found.total)))
            case .jobCancel(let job): respond.answer(.state(job, Self.state(try farm.cancel(job))))
            case .blobPut(let put): self.put(put, respond)
            case .blobHas(let digests): respond.answer(.missing(try farm.missingBlobs(digests)))
            case .farmInfo: respond.answer(.info(info()))
            case .farmStats: respond.answer(.stats(stats()))
            case .poolList: respond.answer(.pools(farm.pools().map(Self.pool)))
            case .poolSet(let c):
                let change = EnginePoolChange(size: c.size, queue: c.queue, image: c.image, policy: c.policy)
                respond.answer(.pool(Self.pool(try farm.setPool(c.pool, change))))
            case .poolDrain(let pool): respond.answer(.pool(Self.pool(try farm.drainPool(pool))))
            case .poolResume(let pool): respond.answer(.pool(Self.pool(try farm.resumePool(pool))))
            }
        } catch let rejected as Rejected {
            respond.reject(rejected)
        } catch let error as FarmError {
            respond.fail(error)
        } catch {
            respond.fail(FarmError(.internal, "\(error)"))
        }
    }

    func disconnected(_ connection: ClientConnection) { farm.clientDisconnected(ClientID(UInt64(connection.id))) }

    /// Hashing and writing take time that this thread owes to other connections.
    private func put(_ put: BlobPut, _ respond: Responder) {
        Task { [farm] in
            do {
                respond.answer(.blob(sha256: try farm.putBlob(put.bytes, sha256: put.sha256), bytes: put.bytes.count))
            } catch let rejected as Rejected {
                respond.reject(rejected)
            } catch {
                respond.fail(error as? FarmError ?? FarmError(.storage, "\(error)", retryable: true))
            }
        }
    }

    // MARK: jobs

    private func run(_ request: JobRequest, _ connection: ClientConnection, _ respond: Responder) throws {
        let streams = request.stream ? StreamedJob(connection, request: respond.id) : nil
        try farm.submit(request, client: ClientID(UInt64(connection.id)), onOutput: streams?.output) { job, end in
            streams?.finish(job)
            Self.tell(end, respond)
        }
    }

    private func submit(_ request: JobRequest, _ connection: ClientConnection, _ respond: Responder) throws {
        let streams = request.stream ? StreamedJob(connection, request: nil) : nil
        let job = try farm.submit(
            request, client: ClientID(UInt64(connection.id)), keepResult: true, onOutput: streams?.output
        ) { job, _ in streams?.finish(job) }
        respond.answer(.submitted(job))
    }

    private func wait(_ job: JobID, _ timeoutMs: Int?, _ respond: Responder) throws {
        guard let timeoutMs else {
            try farm.wait(job) { _, end in Self.tell(end, respond) }
            return
        }
        try farm.wait(job, timeout: .milliseconds(timeoutMs)) { _, end in
            Self.tell(end, respond)
        } onTimeout: { job, state in
            respond.answer(.state(job, Self.state(state)))
        }
    }

    private static func tell(_ end: JobEnd, _ respond: Responder) {
        switch end {
        case .result(let result): respond.answer(.result(result))
        case .failed(let error): respond.fail(error)
        }
    }

    // MARK: the engine's words in the protocol's

    private static func state(_ s: EngineJobState) -> Wire.JobState { Wire.JobState(rawValue: s.rawValue) ?? .done }
    private static func state(_ s: Wire.JobState) -> EngineJobState { EngineJobState(rawValue: s.rawValue) ?? .done }

    private static func status(_ s: EngineJobStatus) -> Wire.JobStatus {
        var status = Wire.JobStatus(job: s.job, state: state(s.state), pool: s.pool, labels: s.labels, submittedMsAgo: s.submittedMsAgo)
        switch s.end {
        case .result(let result)?: status.result = result
        case .failed(let error)?: status.error = .farm(error)
        case nil: break
        }
        return status
    }

    private static func pool(_ p: EnginePoolStatus) -> Wire.PoolStatus {
        Wire.PoolStatus(
            name: p.name, state: p.state == .draining ? .draining : .open, backend: p.backend, image: p.image, policy: p.policy,
            size: p.size, queue: p.queue, queued: p.queued, running: p.running)
    }

    private func info() -> Wire.FarmInfo {
        let i = farm.info()
        return Wire.FarmInfo(
            version: Version.text, pid: Int(getpid()), uptimeMs: i.uptimeMs, host: ThisMachine.facts(cgroup: engine.backend.cgroupVersion),
            pools: i.pools.map(\.name), policies: i.policies, images: i.images, languages: i.languages,
            unenforced: i.unenforced.map(\.rawValue))
    }

    private func stats() -> Wire.FarmStats {
        let s = farm.stats()
        func times(_ h: Histogram) -> Wire.StageTimes {
            Wire.StageTimes(p50Ms: h.quantile(0.5) ?? 0, p99Ms: h.quantile(0.99) ?? 0, maxMs: h.quantile(1) ?? 0)
        }
        return Wire.FarmStats(
            uptimeMs: s.uptimeMs, submitted: s.submitted, rejected: s.rejected.values.reduce(0, +), outcomes: s.ended,
            farmErrors: Dictionary(uniqueKeysWithValues: s.failed.map { ($0.key.rawValue, $0.value) }), queued: s.queued,
            running: s.running, jobsPerSecond: s.jobsPerSecond,
            stages: ["queued": times(s.stages.queued), "setup": times(s.stages.setup), "run": times(s.stages.run), "teardown": times(s.stages.teardown)],
            connections: connections(), memoryBytes: ThisMachine.residentBytes(), keptResults: s.retainedResults,
            keptResultBytes: s.retainedBytes, blobs: s.blobs, blobBytes: s.blobBytes)
    }
}

/// A streamed job's output to its connection, opened when its id is known.
private final class StreamedJob: Sendable {
    private let connection: ClientConnection
    private let request: RequestID?
    private let stream = Mutex<JobOutputStream?>(nil)

    init(_ connection: ClientConnection, request: RequestID?) {
        self.connection = connection
        self.request = request
    }

    var output: OnOutput {
        { job, stream, bytes in self.open(job).send(stream, bytes) }
    }

    func finish(_ job: JobID) { open(job).finish() }

    private func open(_ job: JobID) -> JobOutputStream {
        stream.withLock { s in
            if let s { return s }
            let new = connection.outputStream(of: job, request: request)
            s = new
            return new
        }
    }
}
