// One client at the other end of the socket, as the handler sees it.

import SandboxCore
import Synchronization

public final class ClientConnection: Sendable, Hashable {
    /// Counted from 1 in the order of arrival; what the log calls it.
    public let id: Int
    public let peer: Peer
    /// Runs tasks on the connection's own thread: those that wait for something and then answer. They must not block.
    public let executor: any TaskExecutor

    let outbox: Outbox
    private let pauseAt: Int

    init(id: Int, peer: Peer, executor: any TaskExecutor, outbox: Outbox, limits: ServerLimits) {
        self.id = id
        self.peer = peer
        self.executor = executor
        self.outbox = outbox
        self.pauseAt = limits.pauseAtUnreadBytes
    }

    /// The `job.output` notifications of one job. Whoever asks for it calls `finish` before the job is answered.
    /// - Parameter request: the id of the `job.run` that asked for them; `nil` for a job that was submitted.
    public func outputStream(of job: JobID, request: RequestID?) -> JobOutputStream {
        JobOutputStream(connection: self, job: job, request: request)
    }

    /// Closes the connection when what was answered has been written.
    public func close() { outbox.finish() }

    /// Whether the client reads too slowly for anything but answers to be sent.
    var isCongested: Bool { outbox.load.unread > pauseAt }

    public static func == (left: ClientConnection, right: ClientConnection) -> Bool { left === right }
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// A running job's output on its way to one client. To one that does not read fast enough, pieces are not sent; the
/// next that is sent says how many bytes are missing before it. The result holds what the limits keep in any case.
public final class JobOutputStream: Sendable {
    private let connection: ClientConnection
    private let job: JobID
    private let request: RequestID?
    /// Not sent since the last piece that was: of standard output and of standard error.
    private let dropped = Mutex((stdout: 0, stderr: 0))

    init(connection: ClientConnection, job: JobID, request: RequestID?) {
        self.connection = connection
        self.job = job
        self.request = request
    }

    /// Sends a piece, or counts it as dropped. Pieces of one job come one after the other.
    public func send(_ stream: OutputStream, _ bytes: [UInt8]) {
        let congested = connection.isCongested
        dropped.withLock { dropped in
            let missing = stream == .stdout ? dropped.stdout : dropped.stderr
            let sent = !congested && write(stream, bytes, missing: missing)
            let now = sent ? 0 : missing + bytes.count
            if stream == .stdout { dropped.stdout = now } else { dropped.stderr = now }
        }
    }

    /// Tells of what was dropped after the last piece that was sent, if anything was.
    public func finish() {
        dropped.withLock { dropped in
            if dropped.stdout > 0 { _ = write(.stdout, [], missing: dropped.stdout) }
            if dropped.stderr > 0 { _ = write(.stderr, [], missing: dropped.stderr) }
            dropped = (0, 0)
        }
    }

    private func write(_ stream: OutputStream, _ bytes: [UInt8], missing: Int) -> Bool {
        let output = JobOutput(job: job, request: request, stream: stream, bytes: bytes, droppedBytes: missing)
        return connection.outbox.send(Line.output(output))
    }
}
