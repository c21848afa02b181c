// The control files of one cgroup, opened by the daemon and handed to a sandbox's init, which needs no permission of
// its own to use them: the kernel checks who opened a control file, not who writes to it.

/// What an open cgroup file is for, on either version of the hierarchy.
public enum CgroupFile: UInt8, Sendable, CaseIterable {
    /// v2: `cgroup.procs`.
    case processes = 1
    /// v1: the `tasks` files, one for each hierarchy.
    case tasksMemory, tasksPids, tasksCPU
    case memoryLimit, memorySwapLimit, memoryPeak, memoryEvents, memoryStatistics
    /// v1: the eventfd that memory.oom_control raises.
    case memoryOOMEvent
    case pidsLimit, pidsCurrent, pidsEvents, pidsPeak
    /// v1: cpuacct.usage in nanoseconds. v2: cpu.stat.
    case cpuUsage
    /// v2: cgroup.kill.
    case kill
    /// v1 counts what sockets hold apart, and only where a limit was set: memory.kmem.tcp.limit_in_bytes.
    case memorySocketLimit
    /// v1: memory.force_empty. v2: memory.reclaim.
    case memoryReclaim
}

public enum CgroupVersion: UInt8, Sendable { case none = 0, v1 = 1, v2 = 2 }
