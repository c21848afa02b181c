// The job's own process between its birth and its exec: the last part of isolation, in order. It shares the init's
// memory until then (see Processes.vfork), so it does nothing but system calls on what was prepared for it in raw
// memory: no allocation, no class, no global. What fails is written back as a step and an errno.

import Glibc
import LinuxSystem
import SandboxCore

/// Everything the child needs, in memory that outlives its exec.
struct ChildPlan {
    var argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    var environment: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    /// Paths to try one after the other, ended by nil.
    var candidates: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    var directory: UnsafeMutablePointer<CChar>
    var join: (Int32, Int32, Int32) = (-1, -1, -1)
    var streams: (Int32, Int32, Int32) = (-1, -1, -1)
    var limits: UnsafeMutablePointer<ResourceLimit>
    var limitCount: Int
    var uid: Int
    var gid: Int
    var singleID: Bool
    var noCapabilities: OpaquePointer
    /// A sock_fprog, or nil to run without a filter.
    var filter: UnsafeMutablePointer<sock_fprog>?
    var notifies: Bool

    // What comes back.
    var failedStep: UInt8 = 0
    var failedErrno: Int32 = 0
    var listener: Int32 = -1
}

/// The child's life. Returns only to exit.
func jobChildMain(_ raw: UnsafeMutableRawPointer?) -> Int32 {
    let plan = raw!.assumingMemoryBound(to: ChildPlan.self)

    @inline(__always) func failed(_ step: Step, _ result: Int) -> Bool {
        if result >= 0 { return false }
        plan.pointee.failedStep = step.rawValue
        plan.pointee.failedErrno = Int32(-result)
        return true
    }

    // Its cgroup first, so that all it ever uses is counted; the namespace then has that cgroup as its root.
    var zero: UInt8 = 0x30
    @inline(__always) func join(_ fd: Int32) -> Bool {
        fd < 0 || !failed(.childCgroupJoin, withUnsafePointer(to: &zero) { syscall(SYS_write, Int(fd), Int(bitPattern: $0), 1) })
    }
    guard join(plan.pointee.join.0), join(plan.pointee.join.1), join(plan.pointee.join.2) else { return 1 }
    if failed(.childCgroupNamespace, syscall(SYS_unshare, Int(CLONE_NEWCGROUP))) { return 1 }

    if failed(.childSession, syscall(SYS_setsid)) { return 1 }
    var none: UInt64 = 0
    if failed(.childSignals, withUnsafePointer(to: &none) { syscall(SYS_rt_sigprocmask, Int(SIG_SETMASK), Int(bitPattern: $0), 0, 8) }) { return 1 }
    // The init runs above the jobs; a job runs as everyone does.
    _ = syscall(SYS_setpriority, 0, 0, 0)
    for i in 0..<plan.pointee.limitCount {
        let entry = plan.pointee.limits + i
        let address = Int(bitPattern: UnsafeMutableRawPointer(entry)) + MemoryLayout<ResourceLimit>.offset(of: \.value)!
        if failed(.childLimits, syscall(SYS_prlimit64, 0, entry.pointee.resource, address, 0)) { return 1 }
    }
    _ = syscall(SYS_umask, 0o022)

    // Standard streams. The table is shared with the init until exec, which puts its own back afterwards.
    if failed(.childStandardStreams, syscall(SYS_dup3, Int(plan.pointee.streams.0), 0, 0)) { return 1 }
    if failed(.childStandardStreams, syscall(SYS_dup3, Int(plan.pointee.streams.1), 1, 0)) { return 1 }
    if failed(.childStandardStreams, syscall(SYS_dup3, Int(plan.pointee.streams.2), 2, 0)) { return 1 }

    // Power goes: groups, ids, capabilities, and the way to any new ones.
    if !plan.pointee.singleID {
        if failed(.childIDs, syscall(SYS_setgroups, 0, 0)) { return 1 }
        if failed(.childIDs, syscall(SYS_setresgid, plan.pointee.gid, plan.pointee.gid, plan.pointee.gid)) { return 1 }
        if failed(.childIDs, syscall(SYS_setresuid, plan.pointee.uid, plan.pointee.uid, plan.pointee.uid)) { return 1 }
    }
    if Capabilities.set(plan.pointee.noCapabilities) != 0 {
        if failed(.childCapabilities, -Int(errno)) { return 1 }
    }
    if failed(.childNoNewPrivileges, syscall(SYS_prctl, Int(PR_SET_NO_NEW_PRIVS), 1)) { return 1 }
    // With the job's own ids, so that a directory the job may not enter is refused.
    if failed(.childDirectory, syscall(SYS_chdir, Int(bitPattern: plan.pointee.directory))) { return 1 }

    // Nothing but the three streams passes exec: all others are marked, whatever they were opened with.
    if failed(.childCloseDescriptors, syscall(SYS_close_range, 3, Int(UInt32.max), Int(PD_CLOSE_RANGE_CLOEXEC))) { return 1 }

    // The filter last: from here only what the policy allows.
    if let filter = plan.pointee.filter {
        let flags = plan.pointee.notifies ? Int(SECCOMP_FILTER_FLAG_NEW_LISTENER) : 0
        let listener = syscall(SYS_seccomp, Int(SECCOMP_SET_MODE_FILTER), flags, Int(bitPattern: filter))
        if failed(.childSeccomp, listener) { return 1 }
        if plan.pointee.notifies { plan.pointee.listener = Int32(listener) }
    }

    var refused = -Int(ENOENT)
    var candidate = plan.pointee.candidates
    while let path = candidate.pointee {
        let r = syscall(SYS_execve, Int(bitPattern: path), Int(bitPattern: plan.pointee.argv), Int(bitPattern: plan.pointee.environment))
        // A file that is there but cannot be run says more than one that is not there.
        if r != -Int(ENOENT) && r != -Int(ENOTDIR) { refused = r }
        candidate += 1
    }
    _ = failed(.childExec, refused)
    return 127
}
