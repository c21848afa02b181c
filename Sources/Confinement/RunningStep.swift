// One step of a job, from its files to its report: started, held to its limits, ended with all its descendants, measured.
// The first cause to end it decides the verdict.

import Glibc
import LinuxSystem
import SandboxCore

struct RunningStep {
    private let plan: LaunchPlan
    private let sandbox: Init
    private let main: Int32
    private let forked: Bool
    /// The main process as long as it may not have executed its command yet, and the ends of the pipes that it is to write to.
    private var beginning: (process: MainProcess, ends: StepPipes)?
    /// Of the main process: its `/proc/PID/stat`; -1 where that could not be opened.
    private var statistics: Int32
    private let started: Int
    private var stdout: OutputCapture
    private var stderr: OutputCapture
    private var pipes: (stdout: Int32, stderr: Int32)
    private var watch: LimitWatch
    private var denials = Denials()
    private var netlink: NetlinkSockets
    private var stack: StackWatch
    private var listener: Int32
    /// Output the daemon has not taken yet. Until it has, nothing more is read from the job.
    private var unsent: [UInt8]?
    /// Resident memory this process itself ever had, which the kernel counts as its child's too.
    private let ownResident: Int
    /// Why this step is being ended, or how its main process ended by itself.
    private var cause: Outcome?
    private var mainEnd: ChildEnd?
    private var reapedCPU = 0
    private var peakResident = 0
    private var waited: Int?
    private var ended = 0
    /// What was in use when the exit began, where the report does not wait for its end.
    private var diskAtExit: Files.Usage?
    /// Whether `reap` stopped before it had taken all.
    private var childrenLeft = false
    /// Whether memory that nobody needs was given back while the step rests.
    private var isTrimmed = false
    /// Whether the daemon went away: nobody wants a report any more.
    private var abandoned = false

    /// - Returns: `nil` when the daemon went away meanwhile.
    static func run(_ plan: LaunchPlan, input: Int32?, in sandbox: Init) throws(Failure) -> StepReport? {
        let arrived = Processes.now()
        let disk = DiskVerdict(limits: plan.limits, own: sandbox.ownDisk)
        guard try sandbox.keeper.resizeScratch(plan.limits) else { return StepReport(outcome: disk.outgrown()) }
        let files = Workspace(workspace: sandbox.workspace, temporary: sandbox.temporary, user: sandbox.spec.user, singleID: sandbox.singleID)
        do throws(Failure) { try files.place(plan.files) } catch {
            // Files that do not fit are the job's own doing.
            guard error.errno == ENOSPC else { throw error }
            return StepReport(outcome: disk.refused())
        }
        // What a fork has for itself is off the account before a limit is set that may be less.
        if !plan.fork { sandbox.dismissFork() }
        guard try sandbox.cgroup.set(plan.limits) else {
            return StepReport(outcome: .limitExceeded(limit: .memory, asked: plan.limits.memoryBytes, used: sandbox.cgroup.heldFiles()))
        }
        // They can be large, and are in their places now.
        var plan = plan
        plan.files = []
        var step = try RunningStep(plan, input, sandbox)
        try step.supervise()
        step.endEverything()
        if step.abandoned { return nil }
        var report = step.report(files)
        report.setupMs = Double(step.started - arrived) / 1e6
        return report
    }

    // MARK: start

    private init(_ plan: LaunchPlan, _ input: Int32?, _ sandbox: Init) throws(Failure) {
        self.plan = plan
        self.sandbox = sandbox
        stdout = OutputCapture(keep: plan.keepOutputBytes)
        stderr = OutputCapture(keep: plan.keepOutputBytes)
        netlink = NetlinkSockets(protocols: sandbox.spec.seccomp?.countedNetlink ?? 0)
        let made = try sandbox.takePipes()
        let (out, err) = (made.stdout, made.stderr)
        pipes = (out.read, err.read)
        let streams = (input: input ?? sandbox.null, output: out.write, errors: err.write)
        let main: MainProcess
        do throws(Failure) { main = try MainProcess(for: plan, in: sandbox, streams) } catch {
            made.close()
            throw error
        }
        ownResident = Processes.largestResident()
        watch = LimitWatch(plan.limits, sandbox, memoryBefore: main.memoryBefore)
        started = Processes.now()
        (self.main, forked, statistics) = (main.pid, main.isFork, main.takeStatistics())
        stack = StackWatch(main.pid, limit: plan.limits.stackBytes)
        main.begin()
        listener = main.listener
        beginning = (main, made)
        if !main.settlesByItself { try settle() }
    }

    /// To be called before anything is made of what happened since the main process began.
    private mutating func settle() throws(Failure) {
        guard let (process, ends) = beginning else { return }
        beginning = nil
        let start = process.settle()
        Files.close(ends.stdout.write)
        Files.close(ends.stderr.write)
        listener = start.listener
        if let (step, errno) = start.failure { try explain(step, errno) }
    }

    /// A command that cannot be executed is the request's doing and ends as a shell would say it; any other failure
    /// before the exec is the farm's.
    private mutating func explain(_ step: Step, _ errno: Int32) throws(Failure) {
        let name = plan.arguments.first ?? ""
        switch (step, errno) {
        case (.childExec, ENOENT), (.childExec, ENOTDIR): cause = .exited(code: 127)
        case (.childExec, EACCES), (.childExec, ENOEXEC), (.childExec, ELOOP), (.childExec, E2BIG), (.childExec, ENAMETOOLONG), (.childExec, EISDIR):
            cause = .exited(code: 126)
        case (.childDirectory, _), (.forkDirectory, _): cause = .exited(code: 126)
        default:
            endEverything()
            throw Failure(step, errno, name)
        }
        let subject = step == .childDirectory || step == .forkDirectory ? "working directory \(plan.workingDirectory)" : name
        let text = "paddock: \(subject): \(Errno(errno).sentence)\n"
        Array(text.utf8).withUnsafeBytes { stderr.append($0) }
        if plan.stream { send(InitEvent.output(.stderr, Array(text.utf8)).encoded()) }
    }

    // MARK: while it runs

    private mutating func supervise() throws(Failure) {
        var poll = PollSet()
        while cause == nil && mainEnd == nil {
            poll.removeAll()
            poll.add(sandbox.children)
            poll.add(sandbox.control, write: unsent != nil)
            // Most steps are over before the first look: what they wrote waits in the pipes until then, and nobody is
            // woken for it, nor for the pipes' closing.
            let reads = unsent == nil && (plan.stream || watch.hasLooked)
            if pipes.stdout >= 0, reads { poll.add(pipes.stdout) }
            if pipes.stderr >= 0, reads { poll.add(pipes.stderr) }
            if listener >= 0 { poll.add(listener) }
            if let event = sandbox.cgroup.memoryEvent { poll.add(event, read: sandbox.cgroup.version == .v1, priority: true) }
            if let event = sandbox.cgroup.pidsEvent { poll.add(event, read: false, priority: true) }
            let wait = childrenLeft ? 0 : watch.nanosecondsToNextLook(since: started)
            do throws(Errno) { try poll.wait(nanoseconds: wait) } catch {
                try settle()
                throw Failure(.supervise, error.code, "poll")
            }
            try settle()
            guard cause == nil else { return }

            if poll.hasInput(sandbox.control) || poll.hungUp(sandbox.control) { try takeCommand() }
            if let message = unsent { send(message) }
            // Only a call that waits for an answer is input; a hang-up is a filter without processes, and there will be
            // no more of those.
            if listener >= 0, poll.hasInput(listener) { answerDenied() } else if listener >= 0, poll.hungUp(listener) { awaitExit() }
            if pipes.stdout >= 0, poll.isReady(pipes.stdout) { readOutput(.stdout) }
            if pipes.stderr >= 0, unsent == nil, poll.isReady(pipes.stderr) { readOutput(.stderr) }
            if childrenLeft || poll.isReady(sandbox.children) { reap() }
            if cause == nil, mainEnd == nil { cause = watch.exceeded(since: started, reapedCPU: reapedCPU, told: kernelTold(poll)) }
            if watch.isAtRest, !isTrimmed {
                // There may be thousands that wait for something; a step that is over soon never comes here.
                Heap.trim()
                isTrimmed = true
            }
        }
    }

    /// Whether the cgroup reached a limit.
    private func kernelTold(_ poll: PollSet) -> Bool {
        var told = sandbox.cgroup.pidsEvent.map { poll.isReady($0) } ?? false
        guard let event = sandbox.cgroup.memoryEvent, poll.isReady(event) else { return told }
        if sandbox.cgroup.version == .v1 { Events.drain(event) }
        told = true
        return told
    }

    private mutating func takeCommand() throws(Failure) {
        let message: (bytes: [UInt8], descriptors: [Int32])?
        do { message = try Channel.receive(sandbox.control, wait: true) } catch { throw Failure(.supervise, error.code, "command") }
        // The daemon is gone: so is this sandbox, with everything in it.
        guard let message else {
            abandoned = true
            cause = cause ?? .cancelled(by: .disconnect)
            return
        }
        for d in message.descriptors { Files.close(d) }
        if case .cancel(let by)? = try? InitCommand(decoding: message.bytes) { cause = cause ?? .cancelled(by: by) }
    }

    private mutating func answerDenied() {
        guard let notification = (try? SeccompListener.receive(listener)) ?? nil else {
            // Its caller died meanwhile.
            return
        }
        switch sandbox.keeper.take(notification) {
        case .permit: return SeccompListener.permit(listener, notification)
        case .error(let code): return SeccompListener.answer(listener, notification, error: code)
        // The kernel would have sent it SIGSYS, which it could not catch either.
        case .kill: try? Processes.kill(notification.pid, SIGKILL)
        case .denied, nil: break
        }
        switch netlink.judge(notification) {
        case .permit: return SeccompListener.permit(listener, notification)
        case .full: return SeccompListener.answer(listener, notification, error: ENOBUFS)
        case .denied, nil: break
        }
        denials.count(notification)
        if sandbox.spec.seccomp?.onDenied == .kill {
            cause = cause ?? .syscallDenied(syscall: Denials.encoded(notification))
        } else {
            SeccompListener.answer(listener, notification, error: EPERM)
        }
    }

    /// Every process of the job has begun to exit, and what is left of that is the kernel's to do: waiting for it in one
    /// sleep is cheaper than being told of each part.
    private mutating func awaitExit() {
        if statistics >= 0, let disk = diskWithRoom(), let status = BegunExit.status(of: main, statistics, in: sandbox.cgroup) {
            if watch.hasLooked { waited = ProcScan.waitedForCPU(main, of: main) }
            mainEnd = ChildEnd(pid: main, status: status)
            ended = Processes.now()
            diskAtExit = disk
            return sandbox.leave(exiting: main)
        }
        // One that has run for a while is asked at its end how long it had to wait for a processor.
        guard !watch.hasLooked else { return closeListener() }
        while mainEnd == nil, let end = (try? Processes.reapAny(wait: true)) ?? nil { account(end) }
        if mainEnd == nil { closeListener() }
    }

    /// `nil` where the disk is full: what an exit has yet to give back, files without a name, may make it one that is not.
    private func diskWithRoom() -> Files.Usage? {
        guard let disk = try? Files.usage("/workspace") else { return nil }
        return DiskVerdict(limits: plan.limits, own: sandbox.ownDisk).full(disk) == nil ? disk : nil
    }

    private mutating func closeListener() {
        if listener >= 0 { letGo(listener) }
        listener = -1
    }

    private mutating func closePipe(_ stream: OutputStream) {
        letGo(stream == .stdout ? pipes.stdout : pipes.stderr)
        if stream == .stdout { pipes.stdout = -1 } else { pipes.stderr = -1 }
    }

    /// Closes it, or has it closed later where a report is waited for.
    private func letGo(_ descriptor: Int32) {
        if ended == 0 { Files.close(descriptor) } else { sandbox.leave(descriptor) }
    }

    private mutating func readOutput(_ stream: OutputStream) {
        let fd = stream == .stdout ? pipes.stdout : pipes.stderr
        var streamed: [UInt8]?
        let (captured, total, limit) = (stream, stream == .stdout ? stdout.total : stderr.total, plan.limits.outputBytes)
        let n = withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: 16) { buffer -> Int in
            let n = (try? Files.read(fd, buffer)) ?? -1
            guard n > 0 else { return n }
            // What is past the limit is counted once, to say how far it went, and not kept.
            let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<n])
            if captured == .stdout { stdout.append(bytes) } else { stderr.append(bytes) }
            if plan.stream { streamed = Array(bytes.prefix(max(0, limit - total))) }
            return n
        }
        if n == 0 {
            closePipe(stream)
        }
        if let streamed, !streamed.isEmpty { send(InitEvent.output(stream, streamed).encoded()) }
        if n > 0, total + n > limit { cause = cause ?? .limitExceeded(limit: .output, asked: limit, used: total + n) }
    }

    /// Waits for the daemon only when the job has ended: while it runs, its limits come first.
    private mutating func send(_ message: [UInt8]) {
        do throws(Errno) {
            try Channel.send(sandbox.control, message, wait: mainEnd != nil || cause != nil)
            unsent = nil
        } catch { unsent = error.code == EAGAIN ? message : nil }
    }

    /// Takes children that have ended. Orphans of the job become the init's children, so all of them pass here; no more
    /// than a few at a time, because a job can make them as fast as they are taken.
    private mutating func reap() {
        Events.drain(sandbox.children)
        childrenLeft = false
        for _ in 0..<64 {
            if waited == nil, watch.hasLooked, Processes.peekEnded() == main { waited = ProcScan.waitedForCPU(main, of: main) }
            guard let end = (try? Processes.reapAny()) ?? nil else { return }
            account(end)
        }
        childrenLeft = true
    }

    private mutating func account(_ end: ChildEnd) {
        if case .stopped(let stop) = end.status { return stack.take(stop, of: end.pid) }
        reapedCPU += end.cpuTimeMicroseconds
        peakResident = max(peakResident, end.maxResidentBytes)
        if end.pid == main, mainEnd == nil {
            mainEnd = end
            ended = Processes.now()
        }
    }

    // MARK: the end

    /// Kills whatever is left and waits until it is gone; then takes what is still in the pipes.
    private mutating func endEverything() {
        watch.lookOnceMore()
        if !sandbox.isExiting {
            endProcesses()
            Events.drain(sandbox.children)
        }
        if ended == 0 { ended = Processes.now() }
        watch.finish()
        closeListener()
        if statistics >= 0 { letGo(statistics) }
        if let message = unsent { send(message) }
        drain(.stdout)
        drain(.stderr)
    }

    private mutating func endProcesses() {
        // The template's forks have their parents elsewhere: one that came too late for its step is no child of this process.
        if sandbox.keeper.template != nil { try? Processes.kill(-1, SIGKILL) }
        // A fork that was under way when the signal was sent leaves a child behind: hence again, until there is none.
        while isAnyoneLeft() {
            try? Processes.kill(-1, SIGKILL)
            while let end = (try? Processes.reapAny(wait: true)) ?? nil { account(end) }
        }
    }

    /// Whether this process has a child left. Without any there is nobody to kill: orphans become its children, so all of
    /// the sandbox's processes descend from them; and a signal to all makes the kernel look at every process of the machine.
    private mutating func isAnyoneLeft() -> Bool {
        do throws(Errno) {
            while let end = try Processes.reapAny() { account(end) }
            return true
        } catch { return error.code != ECHILD }
    }

    private mutating func drain(_ stream: OutputStream) {
        while (stream == .stdout ? pipes.stdout : pipes.stderr) >= 0 {
            let before = stream == .stdout ? stdout.total : stderr.total
            readOutput(stream)
            let fd = stream == .stdout ? pipes.stdout : pipes.stderr
            // No writer is left, so no progress means that the end was read.
            if fd >= 0, (stream == .stdout ? stdout.total : stderr.total) == before {
                closePipe(stream)
            }
        }
    }

    private func report(_ workspace: Workspace) -> StepReport {
        var usage = Usage()
        usage.wallTimeMs = Double(ended - started) / 1e6
        let cpu = watch.cpuMicroseconds(reapedCPU: reapedCPU, live: [])
        usage.cpuTimeMs = Double(cpu) / 1000
        usage.peakMemoryBytes = watch.peakMemory(largestResident: peakResident > ownResident ? peakResident : nil)
        usage.peakProcesses = watch.peakProcesses()
        usage.throttledMs = Double(watch.waited(main: waited ?? 0)) / 1e6
        let disk = diskAtExit ?? (try? Files.usage("/workspace"))
        if let disk {
            usage.diskBytes = max(0, disk.usedBytes - sandbox.ownDisk.bytes)
            usage.diskInodes = max(0, disk.usedInodes - sandbox.ownDisk.inodes)
        }
        let outcome = watch.verdict(cause: cause, end: mainEnd?.status, overrun: stack.overrun, disk: disk, cpuMicroseconds: cpu) {
            // No file on disk can be as large where less than that is in use.
            (usage.diskBytes ?? 0) >= plan.limits.fileSizeBytes && workspace.holdsFile(ofSize: plan.limits.fileSizeBytes, in: sandbox.spec.root.writable ?? [])
        }
        let collected = workspace.collect(plan.collect)
        return StepReport(
            outcome: outcome, stdout: stdout.output, stderr: stderr.output, usage: usage, denied: denials.list,
            files: collected.files, filesSkipped: collected.skipped, filesTruncated: collected.truncated, forked: forked)
    }
}
