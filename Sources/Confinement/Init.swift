// The warden's second role: the one process of a cell, and PID 1 of each sandbox in it, one after the other. It runs one
// step at a time as the daemon asks, holds it to its limits, reports, and clears up after a sandbox for the next. It cannot
// be reached from inside: other ids than the job's (or, with a single id, no way to trace it), not dumpable, not in the
// job's cgroup, and the kernel lets no signal from its own pid namespace through.

import Glibc
import LinuxSystem
import SandboxCore

struct Init {
    let keeper: Keeper
    private(set) var cgroup: JobCgroup
    /// Raised by the kernel when a process of the sandbox ends.
    let children: Int32
    private(set) var workspace: Int32
    private(set) var temporary: Int32
    /// The child of the next step and its pipes, where they could be made ahead.
    private let waiting = Waiting()

    private final class Waiting {
        var child: WaitingChild?
        var fork: WaitingFork?
        var pipes: StepPipes?
        /// Descriptors of the last step.
        var left: [Int32] = []
        /// The last step's process, where it was on its way out at the report and was not waited for.
        var exiting: Int32?
    }

    /// What comes after a sandbox.
    private enum Next { case renew, over }

    var control: Int32 { keeper.control }
    var spec: SandboxSpec { keeper.spec }
    var singleID: Bool { keeper.singleID }
    /// What the scratch file system holds that is not the job's.
    var ownDisk: (inodes: Int, bytes: Int) { keeper.scratch.own }
    /// Processors of the machine, counted outside: a hostile image could answer in its place.
    var cpus: Int { keeper.workshop.cpus }
    var null: Int32 { keeper.null }

    init(_ keeper: Keeper) throws(Failure) {
        self.keeper = keeper
        cgroup = keeper.cgroup
        do throws(Errno) {
            children = try Processes.signalDescriptor([SIGCHLD])
            (workspace, temporary) = try Self.openDirectories()
        } catch { throw Failure(.prepare, error.code) }
    }

    private static func openDirectories() throws(Errno) -> (workspace: Int32, temporary: Int32) {
        (try Files.open("/workspace", O_RDONLY | O_DIRECTORY), try Files.open("/tmp", O_RDONLY | O_DIRECTORY))
    }

    /// One sandbox after the other, until the daemon wants no more.
    consuming func live() throws(Failure) {
        while true {
            try prepareChild()
            try say(.ready)
            guard case .renew = try serve() else { return }
            guard try renew() else { return try say(.spent) }
        }
    }

    private func say(_ event: InitEvent) throws(Failure) {
        try attempt(.supervise, "event") { () throws(Errno) in try Channel.send(control, event.encoded()) }
    }

    /// The steps of one sandbox.
    private mutating func serve() throws(Failure) -> Next {
        while true {
            let message: (bytes: [UInt8], descriptors: [Int32])?
            do { message = try Channel.receive(control, wait: true) } catch { throw Failure(.supervise, error.code, "command") }
            guard let message else { return .over }
            let command: InitCommand
            do { command = try InitCommand(decoding: message.bytes) } catch { throw Failure(.decode, EBADMSG, "at \(error.at): expected \(error.expected)") }
            guard case .run(let plan, let hasInput, let cgroupFiles) = command else {
                for d in message.descriptors { Files.close(d) }
                if case .renew = command { return .renew }
                // A cancel that crossed the report of the step it was meant for has nothing to end.
                continue
            }
            guard message.descriptors.count == (hasInput ? 1 : 0) + cgroupFiles.count else { throw Failure(.decode, EBADMSG, "descriptors") }
            if !cgroupFiles.isEmpty {
                // For the rest of this sandbox's life.
                let version: CgroupVersion = cgroupFiles.contains(.processes) ? .v2 : .v1
                cgroup = JobCgroup(version: version, roles: cgroupFiles, descriptors: Array(message.descriptors.suffix(cgroupFiles.count)))
            }
            let input = hasInput ? message.descriptors[0] : nil
            let report = answer(plan, input: input)
            if let input { Files.close(input) }
            guard let report else { return .over }
            try say(report)
            if plan.isLast { return keeper.isKept ? .renew : .over }
            finishStep(isLast: false)
            if cgroupFiles.isEmpty { try prepareChild() }
        }
    }

    /// Clears up after a sandbox.
    /// - Returns: false when the cell has served for the last time.
    private mutating func renew() throws(Failure) -> Bool {
        giveWay()
        finishStep(isLast: true)
        endEveryone()
        if cgroup !== keeper.cgroup {
            cgroup.close()
            cgroup = keeper.cgroup
        }
        cgroup.isBetweenSandboxes = true
        let root = keeper.rootNumber
        guard try keeper.renew() else { return false }
        if root != keeper.rootNumber {
            Files.close(workspace)
            Files.close(temporary)
            do throws(Errno) { (workspace, temporary) = try Self.openDirectories() } catch { throw Failure(.renew, error.code) }
        }
        return true
    }

    /// Leaves the processor to the daemon until it has answered with this sandbox's last report. Its thread is often woken on the very
    /// processor that the report came from, and an init runs above it.
    private func giveWay() {
        var poll = PollSet()
        poll.add(control)
        try? poll.wait(nanoseconds: 150_000)
    }

    /// Ends whoever waits for a step that never came. What else was in the sandbox ended with the last step.
    private func endEveryone() {
        guard waiting.child != nil || keeper.template != nil else { return }
        dismissFork()
        repeat { try? Processes.kill(-1, SIGKILL) } while (try? Processes.reapAny(wait: true)) != nil
        Events.drain(children)
        waiting.child = nil
    }

    /// What came of one step; `nil` when the daemon went away meanwhile.
    private func answer(_ plan: LaunchPlan, input: Int32?) -> InitEvent? {
        do throws(Failure) {
            guard let report = try RunningStep.run(plan, input: input, in: self) else { return nil }
            return .report(report)
        } catch { return .failed(error) }
    }

    // MARK: a step's child

    /// Makes the child of the next step ahead of need, or asks for a fork. Not where the step is to bring a cgroup: that
    /// has to come first.
    private func prepareChild() throws(Failure) {
        guard cgroup.isUsable else { return }
        // A step that failed before it needed them leaves them to the next.
        if waiting.pipes == nil { waiting.pipes = try StepPipes(for: self) }
        if let template = keeper.template {
            if waiting.fork == nil { waiting.fork = WaitingFork(for: self, template: template) }
            return
        }
        if waiting.child == nil { waiting.child = try WaitingChild(for: self, stack: keeper.jobStack) }
    }

    /// The pipes for a step that begins now.
    func takePipes() throws(Failure) -> StepPipes {
        defer { waiting.pipes = nil }
        if let pipes = waiting.pipes { return pipes }
        return try StepPipes(for: self)
    }

    /// The fork for a step that begins now; `nil` where there is none to be had, and its command has to start by itself.
    func takeFork() -> WaitingFork? {
        defer { waiting.fork = nil }
        guard let template = keeper.template, let fork = waiting.fork ?? WaitingFork(for: self, template: template) else { return nil }
        let arrival = fork.arrival()
        // One that may come at any time would be in somebody else's sandbox then.
        if arrival == .late { keeper.isSpoiled = true }
        return arrival == .here ? fork : nil
    }

    /// Ends a fork that nobody wants, so that it counts as nobody's process and nobody's memory.
    func dismissFork() {
        guard let fork = waiting.fork else { return }
        waiting.fork = nil
        switch fork.arrival(patience: 100) {
        case .here:
            try? Processes.kill(fork.pid, SIGKILL)
            _ = try? Processes.reapAny(wait: true)
        case .late: keeper.isSpoiled = true
        case .never: break
        }
    }

    /// The child for a step that begins now.
    func takeChild() throws(Failure) -> WaitingChild {
        defer { waiting.child = nil }
        if let child = waiting.child { return child }
        return try WaitingChild(for: self, stack: keeper.jobStack)
    }

    // MARK: after a report

    /// A process that has begun to exit, and is waited for when the report is out.
    func leave(exiting pid: Int32) { waiting.exiting = pid }

    var isExiting: Bool { waiting.exiting != nil }

    /// A descriptor that is no longer needed: a filter's listener, a pipe. Taking what is behind it apart takes the kernel a
    /// while, and can wait until nobody waits for a report.
    func leave(_ descriptor: Int32) { waiting.left.append(descriptor) }

    /// What of a step was left for after its report.
    private func finishStep(isLast: Bool) {
        if let exiting = waiting.exiting {
            // Not for everyone: a fork that comes too late for its step ends only when it is told to.
            while let end = (try? Processes.reapAny(wait: true)) ?? nil, end.pid != exiting {}
            Events.drain(children)
            if !isLast, keeper.template != nil { endEveryone() }
            // Its exit is on nobody's account: the next step's begins behind it.
            _ = cgroup.readCounters()
            waiting.exiting = nil
        }
        for descriptor in waiting.left { Files.close(descriptor) }
        waiting.left.removeAll(keepingCapacity: true)
    }
}
