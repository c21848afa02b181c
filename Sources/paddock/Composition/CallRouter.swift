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
            case .jobGet(let job): respond.answer(.status(try farm.get(job)))
            case .jobList(let filter):
                let found = farm.list(state: filter.state, pool: filter.pool, limit: filter.limit ?? 1000)
                respond.answer(.jobs(JobList(jobs: found.jobs, total: found.total)))
            case .jobCancel(let job): respond.answer(.state(job, try farm.cancel(job)))
            case .blobPut(let put): self.put(put, respond)
            case .blobHas(let digests): respond.answer(.missing(try farm.missingBlobs(digests)))
            case .farmInfo:
                let host = ThisMachine.facts(cgroup: engine.backend.cgroupVersion)
                respond.answer(.info(farm.info(version: Version.text, pid: Int(getpid()), host: host)))
            case .farmStats: respond.answer(.stats(farm.stats(connections: connections(), memoryBytes: ThisMachine.residentBytes())))
            case .poolList: respond.answer(.pools(farm.pools()))
            case .poolSet(let change): respond.answer(.pool(try farm.setPool(change)))
            case .poolDrain(let pool): respond.answer(.pool(try farm.drainPool(pool)))
            case .poolResume(let pool): respond.answer(.pool(try farm.resumePool(pool)))
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
        try farm.submit(
            request, client: ClientID(UInt64(connection.id)), executor: connection.executor, onOutput: streams?.output
        ) { job, end in
            streams?.finish(job)
            Self.tell(end, respond)
        }
    }

    private func submit(_ request: JobRequest, _ connection: ClientConnection, _ respond: Responder) throws {
        let streams = request.stream ? StreamedJob(connection, request: nil) : nil
        // Without output to finish there is nothing to be told: a hundred thousand that wait hold as many closures less.
        var onEnd: OnEnd?
        if let streams { onEnd = { job, _ in streams.finish(job) } }
        let job = try farm.submit(
            request, client: ClientID(UInt64(connection.id)), keepResult: true, executor: connection.executor, onOutput: streams?.output,
            onEnd: onEnd)
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
            respond.answer(.state(job, state))
        }
    }

    private static func tell(_ end: JobEnd, _ respond: Responder) {
        switch end {
        case .result(let result): respond.answer(.result(result))
        case .failed(let error): respond.fail(error)
        }
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
