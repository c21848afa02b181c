// The init's end of a child that was born before its job: made while nobody waits, and told its job when there is one.

import Glibc
import LinuxSystem
import SandboxCore

final class WaitingChild {
    private let seat: UnsafeMutablePointer<ChildSeat>
    let pid: Int32
    /// Its `/proc/PID/stat`, for when it ends; opened while nobody waits.
    private var statistics: Int32 = -1
    /// What was in use in its cgroup before it came.
    let memoryBefore: Int

    /// Returns when the child is prepared; while it prepares itself this process does nothing, as libcap uses the errno they share.
    init(for sandbox: Init, stack: UnsafeMutableRawBufferPointer) throws(Failure) {
        let noCapabilities: OpaquePointer
        do { noCapabilities = try Capabilities.emptyState() } catch { throw Failure(.prepare, error.code, "capabilities") }
        memoryBefore = sandbox.cgroup.forgetPeak()
        let join = sandbox.cgroup.joinFiles
        seat = .allocate(capacity: 1)
        seat.initialize(to: ChildSeat(
            join: (join.count > 0 ? join[0] : -1, join.count > 1 ? join[1] : -1, join.count > 2 ? join[2] : -1),
            uid: sandbox.spec.user.uid, gid: sandbox.spec.user.gid, singleID: sandbox.singleID,
            ownKeyring: sandbox.spec.seccomp?.permitsKeys ?? true, noCapabilities: noCapabilities, filter: sandbox.keeper.filter))
        do { pid = try Processes.start(stack: stack, alive: &seat.pointee.alive, body: jobChildMain, argument: seat) } catch {
            Self.release(seat)
            throw Failure(.childClone, error.code)
        }
        while Futex.value(&seat.pointee.prepared) == 0 {
            // One that is killed meanwhile says nothing; then the other word changes, which nobody is woken for here.
            guard Futex.value(&seat.pointee.alive) != 0 else { break }
            Futex.wait(&seat.pointee.prepared, while: 0, atMostMilliseconds: 100)
        }
        // For StackWatch and BegunExit. The kernel lets nobody trace a process whose memory is closed, nor see it in this /proc,
        // and that is its init's own here; nothing else is in the sandbox that could use the moment in which it is not.
        _ = Processes.control(PR_SET_DUMPABLE, 1)
        try? Tracing.seize(pid)
        statistics = (try? Files.open("/proc/\(pid)/stat", O_RDONLY)) ?? -1
        // Closed from here on; the child's change of ids can have opened it too, where the host dumps such processes.
        _ = Processes.control(PR_SET_DUMPABLE, 0)
        guard Futex.value(&seat.pointee.prepared) == 1 else {
            let step = Step(rawValue: seat.pointee.failedStep) ?? .childClone
            throw Failure(step, seat.pointee.failedErrno == 0 ? ESRCH : seat.pointee.failedErrno)
        }
    }

    deinit {
        if statistics >= 0 { Files.close(statistics) }
        Self.release(seat)
    }

    /// Is the caller's from here on.
    func takeStatistics() -> Int32 {
        defer { statistics = -1 }
        return statistics
    }

    private static func release(_ seat: UnsafeMutablePointer<ChildSeat>) {
        Capabilities.release(seat.pointee.noCapabilities)
        seat.deallocate()
    }

    /// The listener of its filter, where that was loaded ahead; else -1 until it has executed its job.
    var listener: Int32 { seat.pointee.listener }

    /// Tells it its job.
    /// - Parameter plan: has to stay until `settle` returns.
    func begin(_ plan: UnsafeMutablePointer<ChildPlan>) {
        seat.pointee.plan = plan
        Futex.set(&seat.pointee.go, to: 1)
    }

    /// Waits until it has executed its job, or failed.
    /// - Returns: the listener of its filter, if that has one; and at which step it failed, if it did.
    func settle() -> (listener: Int32, failure: (step: Step, errno: Int32)?) {
        while true {
            let alive = Futex.value(&seat.pointee.alive)
            if alive == 0 { break }
            Futex.wait(&seat.pointee.alive, while: alive, atMostMilliseconds: 100)
            // It is traced; a signal someone sent it before its job began would stop it for good.
            if Futex.value(&seat.pointee.alive) != 0 { Tracing.resume(pid, delivering: 0) }
        }
        guard seat.pointee.failedStep != 0 else { return (seat.pointee.listener, nil) }
        return (seat.pointee.listener, (Step(rawValue: seat.pointee.failedStep) ?? .supervise, seat.pointee.failedErrno))
    }
}
