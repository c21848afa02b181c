// The job's own process between its birth and its exec: the last part of isolation, in order. It shares the init's
// memory until then, so it does nothing but system calls on what was prepared for it in raw memory: no allocation, no
// class, no global. What fails is written back as a step and an errno.
//
// It is born before its job is known, as far as all jobs of the sandbox are alike (joining a cgroup alone takes longer
// than some jobs), and waits to be told the rest.

import Glibc
import LinuxSystem
import SandboxCore

/// What the child and its init share from its birth on.
struct ChildSeat {
    var join: (Int32, Int32, Int32)
    var uid: Int
    var gid: Int
    var singleID: Bool
    /// Whether its policy permits keys: then it gets a session keyring that nobody else has.
    var ownKeyring: Bool
    var noCapabilities: OpaquePointer
    /// None to run without a filter.
    var filter: JobFilter?

    // Words to wait on. The child's pid until it execs or ends:
    var alive: Int32 = 0
    /// 1 when the child waits for its job; 2 when it failed before.
    var prepared: Int32 = 0
    /// 1 when `plan` is there.
    var go: Int32 = 0

    var plan: UnsafeMutablePointer<ChildPlan>?

    // What comes back.
    var failedStep: UInt8 = 0
    var failedErrno: Int32 = 0
    var listener: Int32 = -1
}

/// Everything the child needs for its job, in memory that outlives its exec.
struct ChildPlan {
    var argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    var environment: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    /// Paths to try one after the other, ended by nil.
    var candidates: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    var directory: UnsafeMutablePointer<CChar>
    var streams: (Int32, Int32, Int32) = (-1, -1, -1)
    var limits: UnsafeMutablePointer<ResourceLimit>
    var limitCount: Int
}

/// The child's life. Returns only to exit.
func jobChildMain(_ raw: UnsafeMutableRawPointer?) -> Int32 {
    let seat = raw!.assumingMemoryBound(to: ChildSeat.self)
    if !prepareJobChild(seat) {
        Futex.set(&seat.pointee.prepared, to: 2)
        return 1
    }
    Futex.set(&seat.pointee.prepared, to: 1)
    while Futex.value(&seat.pointee.go) == 0 { Futex.wait(&seat.pointee.go, while: 0) }
    return becomeJob(seat)
}

@inline(__always) private func failed(_ seat: UnsafeMutablePointer<ChildSeat>, _ step: Step, _ result: Int) -> Bool {
    if result >= 0 { return false }
    seat.pointee.failedStep = step.rawValue
    seat.pointee.failedErrno = Int32(-result)
    return true
}

/// What is the same for every job of the sandbox.
private func prepareJobChild(_ seat: UnsafeMutablePointer<ChildSeat>) -> Bool {
    // Its cgroup first, so that all it ever uses is counted; the namespace then has that cgroup as its root.
    var zero: UInt8 = 0x30
    @inline(__always) func join(_ fd: Int32) -> Bool {
        fd < 0 || !failed(seat, .childCgroupJoin, withUnsafePointer(to: &zero) { syscall(SYS_write, Int(fd), Int(bitPattern: $0), 1) })
    }
    guard join(seat.pointee.join.0), join(seat.pointee.join.1), join(seat.pointee.join.2) else { return false }
    if failed(seat, .childCgroupNamespace, syscall(SYS_unshare, Int(CLONE_NEWCGROUP))) { return false }

    if failed(seat, .childSession, syscall(SYS_setsid)) { return false }
    if seat.pointee.ownKeyring { _ = syscall(SYS_keyctl, 1, 0) }
    var none: UInt64 = 0
    if failed(seat, .childSignals, withUnsafePointer(to: &none) { syscall(SYS_rt_sigprocmask, Int(SIG_SETMASK), Int(bitPattern: $0), 0, 8) }) { return false }
    // The init runs above the jobs; a job runs as everyone does.
    _ = syscall(SYS_setpriority, 0, 0, 0)
    _ = syscall(SYS_umask, 0o022)

    // Power goes: groups, ids, capabilities, and the way to any new ones.
    if !seat.pointee.singleID {
        if failed(seat, .childIDs, syscall(SYS_setgroups, 0, 0)) { return false }
        if failed(seat, .childIDs, syscall(SYS_setresgid, seat.pointee.gid, seat.pointee.gid, seat.pointee.gid)) { return false }
        if failed(seat, .childIDs, syscall(SYS_setresuid, seat.pointee.uid, seat.pointee.uid, seat.pointee.uid)) { return false }
    }
    if Capabilities.set(seat.pointee.noCapabilities) != 0 {
        if failed(seat, .childCapabilities, -Int(errno)) { return false }
    }
    if failed(seat, .childNoNewPrivileges, syscall(SYS_prctl, Int(PR_SET_NO_NEW_PRIVS), 1)) { return false }
    // From here only what the policy allows, and it allows what is left until exec.
    guard let filter = seat.pointee.filter, filter.loadsAhead else { return true }
    return load(filter, seat)
}

private func load(_ filter: JobFilter, _ seat: UnsafeMutablePointer<ChildSeat>) -> Bool {
    let flags = filter.notifies ? Int(SECCOMP_FILTER_FLAG_NEW_LISTENER) : 0
    let listener = syscall(SYS_seccomp, Int(SECCOMP_SET_MODE_FILTER), flags, Int(bitPattern: filter.program))
    if failed(seat, .childSeccomp, listener) { return false }
    if filter.notifies { seat.pointee.listener = Int32(listener) }
    return true
}

/// What its job says.
private func becomeJob(_ seat: UnsafeMutablePointer<ChildSeat>) -> Int32 {
    let plan = seat.pointee.plan!
    for i in 0..<plan.pointee.limitCount {
        let entry = plan.pointee.limits + i
        let address = Int(bitPattern: UnsafeMutableRawPointer(entry)) + MemoryLayout<ResourceLimit>.offset(of: \.value)!
        if failed(seat, .childLimits, syscall(SYS_prlimit64, 0, entry.pointee.resource, address, 0)) { return 1 }
    }

    // Standard streams. The table is shared with the init until exec, which puts its own back afterwards.
    if failed(seat, .childStandardStreams, syscall(SYS_dup3, Int(plan.pointee.streams.0), 0, 0)) { return 1 }
    if failed(seat, .childStandardStreams, syscall(SYS_dup3, Int(plan.pointee.streams.1), 1, 0)) { return 1 }
    if failed(seat, .childStandardStreams, syscall(SYS_dup3, Int(plan.pointee.streams.2), 2, 0)) { return 1 }

    // With the job's own ids, so that a directory the job may not enter is refused.
    if failed(seat, .childDirectory, syscall(SYS_chdir, Int(bitPattern: plan.pointee.directory))) { return 1 }

    // Nothing but the three streams passes exec: all others are marked, whatever they were opened with.
    if failed(seat, .childCloseDescriptors, syscall(SYS_close_range, 3, Int(UInt32.max), Int(PD_CLOSE_RANGE_CLOEXEC))) { return 1 }

    // A filter that permits less than the lines above and below need comes as late as it can.
    if let filter = seat.pointee.filter, !filter.loadsAhead, !load(filter, seat) { return 1 }

    var refused = -Int(ENOENT)
    var candidate = plan.pointee.candidates
    while let path = candidate.pointee {
        let r = syscall(SYS_execve, Int(bitPattern: path), Int(bitPattern: plan.pointee.argv), Int(bitPattern: plan.pointee.environment))
        // A file that is there but cannot be run says more than one that is not there.
        if r != -Int(ENOENT) && r != -Int(ENOTDIR) { refused = r }
        candidate += 1
    }
    _ = failed(seat, .childExec, refused)
    return 127
}
