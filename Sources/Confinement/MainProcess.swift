// A step's main process before it runs: a child of the init that will execute the step's command, or a fork of the
// sandbox's template that will become it. Both were made ahead of need where that was possible.

import Glibc
import LinuxSystem
import SandboxCore

struct MainProcess {
    private enum Kind {
        case child(WaitingChild, ChildMemory)
        case fork(WaitingFork, [ResourceLimit])
    }

    private let kind: Kind
    private let plan: LaunchPlan
    private let sandbox: Init
    private let streams: (input: Int32, output: Int32, errors: Int32)

    /// - Parameter streams: stay the caller's.
    init(for plan: LaunchPlan, in sandbox: Init, _ streams: (input: Int32, output: Int32, errors: Int32)) throws(Failure) {
        (self.plan, self.sandbox, self.streams) = (plan, sandbox, streams)
        if plan.fork, let fork = sandbox.takeFork() {
            kind = .fork(fork, ChildMemory.resourceLimits(plan.limits, sandbox))
        } else {
            let memory = ChildMemory(plan, sandbox, stdin: streams.input, stdout: streams.output, stderr: streams.errors)
            kind = .child(try sandbox.takeChild(), memory)
        }
    }

    var isFork: Bool { if case .fork = kind { true } else { false } }

    var pid: Int32 {
        switch kind {
        case .child(let child, _): child.pid
        case .fork(let fork, _): fork.pid
        }
    }

    /// Its `/proc/PID/stat`, the caller's from here on; -1 where that could not be opened.
    func takeStatistics() -> Int32 {
        switch kind {
        case .child(let child, _): child.takeStatistics()
        case .fork(let fork, _): (try? Files.open("/proc/\(fork.pid)/stat", O_RDONLY)) ?? -1
        }
    }

    /// What was in use in its cgroup before it came.
    var memoryBefore: Int {
        switch kind {
        case .child(let child, _): child.memoryBefore
        case .fork(let fork, _): fork.memoryBefore
        }
    }

    /// Tells it its job. `settle` has to follow, and until then nothing may be closed that it is to have.
    func begin() {
        switch kind {
        case .child(let child, let memory): child.begin(memory.plan)
        case .fork: break
        }
    }

    /// Whether `settle` may wait until something happens: a command that is executed tells nobody, and waking this process for
    /// that takes the processor from the command. Where the filter is loaded last, its listener is not there before.
    var settlesByItself: Bool {
        switch kind {
        case .child: sandbox.keeper.filter?.loadsAhead ?? true
        case .fork: false
        }
    }

    /// The listener of its filter, where it has one that is there already.
    var listener: Int32 {
        switch kind {
        case .child(let child, _): child.listener
        case .fork: -1
        }
    }

    /// Waits until it runs its command, or failed.
    /// - Returns: the listener of its filter, if that has one; and at which step it failed, if it did.
    func settle() -> (listener: Int32, failure: (step: Step, errno: Int32)?) {
        switch kind {
        case .fork(let fork, let limits):
            return fork.start(plan, limits: limits, streams: [streams.input, streams.output, streams.errors])
        case .child(let child, _):
            defer {
                // The child's standard streams are this process's too until its exec: let go of them.
                for fd in 0...2 { try? Files.duplicate(sandbox.null, onto: Int32(fd), inherited: false) }
            }
            return child.settle()
        }
    }
}
