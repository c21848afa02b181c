// The warden's third role: PID 1 of a sandbox. It makes the rest of the sandbox around itself, then runs one step at a
// time as the daemon asks, holds it to its limits, and reports. It cannot be reached from inside: other ids than the
// job's (or, with a single id, no way to trace it), not dumpable, not in the job's cgroup, and the kernel lets no signal
// from its own pid namespace through.

import Glibc
import LinuxSystem
import SandboxCore

struct Init {
    let keeper: Keeper
    let cgroup: JobCgroup
    /// Raised by the kernel when a process of the sandbox ends.
    let children: Int32
    let workspace: Int32
    let temporary: Int32
    /// The child of the next step and its pipes, where they could be made ahead.
    private let waiting = Waiting()

    private final class Waiting {
        var child: WaitingChild?
        var fork: WaitingFork?
        var pipes: StepPipes?
    }

    var control: Int32 { keeper.control }
    var spec: SandboxSpec { keeper.spec }
    var singleID: Bool { keeper.singleID }
    /// What the scratch file system holds that is not the job's.
    var ownDisk: (inodes: Int, bytes: Int) { keeper.scratch!.own }
    /// Processors of the machine, counted outside: a hostile image could answer in its place.
    var cpus: Int { keeper.workshop.cpus }
    var null: Int32 { keeper.null }

    /// All that an init does. It uses its keeper's memory, so it returns rather than exits.
    static func live(in keeper: Keeper) -> Keeper.InitEnd {
        do throws(Failure) {
            if keeper.isKept {
                // Its keeper's death is its own.
                _ = Processes.control(PR_SET_PDEATHSIG, Int(SIGKILL))
                try Isolation.mountProc(keeper.spec)
            }
            try Isolation.maskProc(keeper.spec, keeper.workshop)
            let sandbox = try Init(keeper)
            try sandbox.prepareChild()
            try attempt(.supervise) { () throws(Errno) in try Channel.send(keeper.control, InitEvent.ready.encoded()) }
            return try sandbox.serve()
        } catch {
            try? Channel.send(keeper.control, InitEvent.failed(error).encoded())
            return .failed
        }
    }

    private init(_ keeper: Keeper) throws(Failure) {
        self.keeper = keeper
        cgroup = keeper.cgroup
        do throws(Errno) {
            children = try Processes.signalDescriptor([SIGCHLD])
            workspace = try Files.open("/workspace", O_RDONLY | O_DIRECTORY)
            temporary = try Files.open("/tmp", O_RDONLY | O_DIRECTORY)
        } catch { throw Failure(.prepare, error.code) }
    }

    private init(keeper: Keeper, cgroup: JobCgroup, children: Int32, workspace: Int32, temporary: Int32) {
        (self.keeper, self.cgroup, self.children, self.workspace, self.temporary) = (keeper, cgroup, children, workspace, temporary)
    }

    private func serve() throws(Failure) -> Keeper.InitEnd {
        var sandbox = self
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
                // For the rest of this sandbox's life, and gone with it.
                let version: CgroupVersion = cgroupFiles.contains(.processes) ? .v2 : .v1
                let files = Array(message.descriptors.suffix(cgroupFiles.count))
                let own = JobCgroup(version: version, roles: cgroupFiles, descriptors: files)
                sandbox = Init(keeper: keeper, cgroup: own, children: children, workspace: workspace, temporary: temporary)
            }
            let input = hasInput ? message.descriptors[0] : nil
            let report = sandbox.answer(plan, input: input)
            if let input { Files.close(input) }
            guard let report else { return .over }
            try attempt(.supervise, "report") { () throws(Errno) in try Channel.send(control, report.encoded()) }
            if plan.isLast { return keeper.isKept ? .renew : .over }
            if cgroupFiles.isEmpty { try sandbox.prepareChild() }
        }
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
        guard let template = keeper.template else { return nil }
        let fork = waiting.fork ?? WaitingFork(for: self, template: template)
        return fork?.hasArrived() == true ? fork : nil
    }

    /// The child for a step that begins now.
    func takeChild() throws(Failure) -> WaitingChild {
        defer { waiting.child = nil }
        // A fork that nobody wants goes away when its seat is closed.
        waiting.fork = nil
        if let child = waiting.child { return child }
        return try WaitingChild(for: self, stack: keeper.jobStack)
    }

    /// - Returns: false when more is in the sandbox already than the limits allow.
    func resizeScratch(_ limits: EnforcedLimits) throws(Failure) -> Bool { try keeper.scratch!.resize(limits) }
}
