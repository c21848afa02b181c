// One template from the daemon's side, through all its lives: what became of its process, when the next one is due, and
// the one socket that its sandboxes ask it by, which stays while processes come and go.

import Confinement
import Glibc
import LinuxSystem
import SandboxCore
import Synchronization

final class Template: Sendable {
    /// One process of it.
    private struct Life {
        let sandbox: UInt64
        let warden: Int
        let status: Descriptor
        let output: Descriptor
        var token: UInt64?
        var pid: Int32 = 0
        let began = ContinuousClock.now
        var forks = 0
    }

    private struct State {
        /// Serves forks.
        var ready: Life?
        /// Is loading: the first, or the next.
        var loading: Life?
        /// Somebody is about to begin loading.
        var isAsked = false
        var forks = 0
        var loads = 0
        var error: String?
        /// How many times in a row it could not be loaded, and when that is to be tried again.
        var failures = 0
        var retry = ContinuousClock.now
        var lastWanted = ContinuousClock.now
    }

    /// A job with a lower memory limit is not forked.
    static let leastMemory = 64 << 20

    let spec: SandboxSpec
    let template: TemplateSpec
    /// The host id it runs under, and that owns the namespaces it may enter.
    let id: UInt32
    /// Its sandboxes' end of the socket it is asked by; the other end each of its processes gets.
    let ask: Descriptor
    let asked: Descriptor
    private let state = Mutex(State())

    init?(_ spec: SandboxSpec, id: UInt32) {
        guard let template = spec.template, let pair = try? Sockets.pair() else { return nil }
        (self.spec, self.template, self.id) = (spec, template, id)
        (ask, asked) = (Descriptor(pair.0), Descriptor(pair.1))
    }

    /// Whether a fork asked for now will come soon.
    var isReady: Bool { state.withLock { $0.ready != nil } }

    func status() -> TemplateStatus {
        state.withLock { s in
            let now: TemplateStatus.State = s.ready != nil ? .ready : s.loading != nil || s.failures == 0 ? .loading : .failed
            return TemplateStatus(name: template.name, state: now, forks: s.forks, loads: s.loads, error: s.error)
        }
    }

    /// When somebody last made a sandbox for it, or a job was forked from it.
    var lastWanted: ContinuousClock.Instant { state.withLock { $0.lastWanted } }
    func isWanted() { state.withLock { $0.lastWanted = .now } }

    /// Those it has now.
    var processes: [(sandbox: UInt64, warden: Int)] { state.withLock { s in [s.ready, s.loading].compactMap { $0.map { ($0.sandbox, $0.warden) } } } }

    func countFork() {
        state.withLock { s in
            s.lastWanted = .now
            s.forks += 1
            s.ready?.forks += 1
        }
    }

    // MARK: a process's life

    /// Longer than any load takes that is worth waiting for.
    private static let patience = Duration.seconds(120)

    enum Due: Sendable {
        case nothing, load
        /// It took too long.
        case end(UInt64, warden: Int)
    }

    /// What has to be done for it now.
    func due(_ now: ContinuousClock.Instant) -> Due {
        state.withLock { s in
            if s.isAsked { return .nothing }
            if let loading = s.loading { return now - loading.began > Self.patience ? .end(loading.sandbox, warden: loading.warden) : .nothing }
            guard now >= s.retry else { return .nothing }
            if let ready = s.ready {
                let isOld = template.recycleMs.map { now - ready.began > .milliseconds($0) } ?? false
                guard isOld || ready.forks >= template.recycleForks else { return .nothing }
            }
            s.isAsked = true
            return .load
        }
    }

    /// To be called once for each time that it is due to load; or else `couldNotBegin`.
    func begin(sandbox: UInt64, warden: Int, status: Descriptor, output: Descriptor) {
        state.withLock { s in
            s.isAsked = false
            s.loading = Life(sandbox: sandbox, warden: warden, status: status, output: output)
            s.loads += 1
        }
    }

    func couldNotBegin(_ reason: String) {
        state.withLock { s in
            s.isAsked = false
            putOff(&s, reason)
        }
    }

    func listens(_ token: UInt64, sandbox: UInt64) {
        state.withLock { s in if s.loading?.sandbox == sandbox { s.loading?.token = token } }
    }

    func made(_ sandbox: UInt64, pid: Int32) {
        state.withLock { s in if s.loading?.sandbox == sandbox { s.loading?.pid = pid } }
    }

    /// The token its status socket is registered by; once.
    func takeToken(_ sandbox: UInt64) -> UInt64? {
        state.withLock { s in
            guard s.loading?.sandbox == sandbox else { return nil }
            defer { s.loading?.token = nil }
            return s.loading?.token
        }
    }

    /// The warden that made this process of it; `nil` for one that is not its.
    func warden(of sandbox: UInt64) -> Int? {
        state.withLock { s in [s.ready, s.loading].compactMap { $0?.sandbox == sandbox ? $0?.warden : nil }.first }
    }
    func lives(of warden: Int) -> [UInt64] { state.withLock { s in [s.ready, s.loading].compactMap { $0?.warden == warden ? $0?.sandbox : nil } } }

    /// Its new process says that it is ready.
    /// - Returns: the process it takes the place of.
    func becameReady(_ sandbox: UInt64) -> (old: (sandbox: UInt64, warden: Int)?, isReady: Bool) {
        state.withLock { s in
            guard let life = s.loading, life.sandbox == sandbox else { return (nil, false) }
            let old = s.ready.map { (sandbox: $0.sandbox, warden: $0.warden) }
            s.ready = life
            s.loading = nil
            (s.failures, s.error) = (0, nil)
            return (old, true)
        }
    }

    /// The process has ended, or said that it cannot be what it should.
    /// - Returns: its status socket, and the token it is still registered by; `nil` for one that was replaced already.
    func ended(_ sandbox: UInt64, _ reason: String) -> (token: UInt64?, socket: Descriptor)? {
        state.withLock { s in
            let life: Life
            switch sandbox {
            case s.loading?.sandbox:
                life = s.loading!
                s.loading = nil
            case s.ready?.sandbox:
                life = s.ready!
                s.ready = nil
            default: return nil
            }
            fail(&s, reason, life)
            return (life.token, life.status)
        }
    }

    private func fail(_ s: inout State, _ reason: String, _ life: Life) {
        let said = Self.lastWords(life.output.raw)
        putOff(&s, said.isEmpty ? reason : "\(reason): \(said)")
    }

    private func putOff(_ s: inout State, _ error: String) {
        s.failures += 1
        s.retry = .now + .seconds(min(60, 1 << min(s.failures, 6)))
        s.error = error
    }

    /// The end of what it wrote to its standard error: for Python, the exception.
    private static func lastWords(_ output: Int32) -> String {
        guard let size = try? Files.status(output).st_size, size > 0 else { return "" }
        let start = max(0, Int(size) - 2048)
        let bytes = [UInt8](unsafeUninitializedCapacity: 2048) { buffer, count in
            count = (try? Files.pread(output, UnsafeMutableRawBufferPointer(buffer), at: start)) ?? 0
        }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        return lines.last.map { String($0.prefix(500)) } ?? ""
    }

    /// Of its processes, as the host numbers them.
    var pids: [Int32] { state.withLock { s in [s.ready, s.loading].compactMap { $0?.pid } } }

    /// The pid of the process that is loading.
    var loadingPid: Int32? { state.withLock { $0.loading?.pid } }
}
