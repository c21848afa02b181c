// The init's end of a fork of its template: asked for while nobody waits, and told its job when there is one. What the fork
// does meanwhile is in `CFork/fork.c`.

import CFork
import CLinux
import Glibc
import LinuxSystem
import SandboxCore

final class WaitingFork {
    private let seat: Int32
    /// What was in use in its cgroup before it came.
    let memoryBefore: Int
    private(set) var pid: Int32 = 0

    /// A template has others to serve; one that takes longer than this is not waited for.
    static let patienceMilliseconds = 5_000

    /// Asks for a fork; `nil` where that is not possible now: its queue is full, or it is gone.
    init?(for sandbox: Init, template: Int32) {
        memoryBefore = sandbox.cgroup.forgetPeak()
        guard let pair = try? Sockets.pair() else { return nil }
        defer { Files.close(pair.1) }
        do throws(Errno) { try Self.ask(template, pair.1, sandbox) } catch {
            Files.close(pair.0)
            return nil
        }
        seat = pair.0
    }

    deinit { Files.close(seat) }

    private static func ask(_ template: Int32, _ theirs: Int32, _ sandbox: Init) throws(Errno) {
        let descriptors = [theirs] + (try sandbox.keeper.namespaceFiles())
        let filter = sandbox.keeper.filter
        let keys = sandbox.spec.seccomp?.permitsKeys ?? true
        var request = pd_fork_request(
            version: UInt32(PD_FORK_VERSION), uid: UInt32(sandbox.spec.user.uid), gid: UInt32(sandbox.spec.user.gid),
            flags: UInt32((filter?.notifies == true ? PD_FORK_NOTIFIES : 0) | (keys ? PD_FORK_KEYS : 0)),
            namespaces: UInt32(descriptors.count - 1), joins: UInt32(sandbox.cgroup.joinFiles.count), instructions: UInt32((filter?.code.count ?? 0) / 8))
        let message = withUnsafeBytes(of: &request) { Array($0) } + (filter?.code ?? [])
        guard message.count <= Int(PD_FORK_DATAGRAM) else { throw Errno(E2BIG) }
        try Sockets.send(template, message, descriptors: descriptors + sandbox.cgroup.joinFiles, wait: false)
    }

    enum Arrival {
        /// In the sandbox, ready for its job, and watched.
        case here
        case never
        /// It was not waited for any longer.
        case late
    }

    /// Waits for the fork.
    /// - Parameter patience: milliseconds; short where nobody wants it.
    func arrival(patience: Int = WaitingFork.patienceMilliseconds) -> Arrival {
        do throws(Errno) {
            let said = try hear(patience)
            guard said.step == 0, said.pid > 1 else { return .never }
            pid = said.pid
            try? Tracing.seize(pid)
            return .here
        } catch { return error.code == ETIMEDOUT ? .late : .never }
    }

    /// Tells it its job, and waits until it has become it or failed.
    /// - Returns: as `WaitingChild.start`.
    func start(_ plan: LaunchPlan, limits: [ResourceLimit], streams: [Int32]) -> (listener: Int32, failure: (step: Step, errno: Int32)?) {
        do throws(Errno) {
            try tell(plan, limits, streams)
            let said = try hear()
            if said.step != 0 { return (-1, (Step(rawValue: UInt8(truncatingIfNeeded: said.step)) ?? .forkWait, said.error)) }
            let listener = said.listener >= 0 ? try Processes.copyDescriptor(said.listener, of: pid) : -1
            try Sockets.send(seat, [1], wait: true)
            return (listener, nil)
        } catch { return (-1, (.forkWait, error.code)) }
    }

    private func tell(_ plan: LaunchPlan, _ limits: [ResourceLimit], _ streams: [Int32]) throws(Errno) {
        var text: [UInt8] = []
        for part in [[plan.workingDirectory], plan.arguments, plan.environment] {
            for string in part {
                text += string.utf8
                text.append(0)
            }
        }
        var job = pd_fork_job(
            version: UInt32(PD_FORK_VERSION), limits: UInt32(limits.count), arguments: UInt32(plan.arguments.count),
            variables: UInt32(plan.environment.count), text_bytes: UInt64(text.count))
        var message = withUnsafeBytes(of: &job) { Array($0) }
        for limit in limits {
            var entry = pd_fork_limit(resource: UInt32(limit.resource), unused: 0, soft: limit.value.soft, hard: limit.value.hard)
            withUnsafeBytes(of: &entry) { message += $0 }
        }
        if message.count + text.count <= Int(PD_FORK_DATAGRAM) { return try Sockets.send(seat, message + text, descriptors: streams, wait: true) }
        let file = try Files.memory("paddock-job")
        defer { Files.close(file) }
        try Files.writeAll(file, text)
        try Sockets.send(seat, message, descriptors: streams + [file], wait: true)
    }

    private func hear(_ patience: Int = WaitingFork.patienceMilliseconds) throws(Errno) -> pd_fork_said {
        var poll = PollSet()
        poll.add(seat)
        let until = Processes.now() + patience * 1_000_000
        while !poll.isReady(seat) {
            let left = until - Processes.now()
            guard left > 0 else { throw Errno(ETIMEDOUT) }
            try poll.wait(nanoseconds: left)
            // While it is traced a signal that was sent to it would hold it up for good.
            if pid != 0, !poll.isReady(seat) { Tracing.resume(pid, delivering: 0) }
        }
        var said = pd_fork_said()
        let got = try withUnsafeMutableBytes(of: &said) { (b) throws(Errno) in try Sockets.receive(seat, into: b, wait: false) }
        for fd in got.descriptors { Files.close(fd) }
        guard got.count == MemoryLayout<pd_fork_said>.size else { throw Errno(ESRCH) }
        return said
    }
}
