// How a job's only process ends, known when it begins to. From then on it runs nothing of its own and its status cannot
// change; what is left is the kernel's to do, most of all to take its memory apart, which for an interpreter with its
// libraries takes longer than many a job. A report need not wait for that; the next step and the sandbox's end do.

import Glibc
import LinuxSystem

enum BegunExit {
    /// To be asked when the job's filter has no process any more, which the kernel says (since Linux 6.11) where a process
    /// begins to exit.
    /// - Parameter statistics: its `/proc/PID/stat`.
    /// - Returns: `nil` where that cannot be told, or not without loss, and its end has to be waited for: of several processes,
    ///   of one that does not let itself be looked at, or where nothing keeps account.
    static func status(of main: Int32, _ statistics: Int32, in cgroup: JobCgroup) -> ExitStatus? {
        guard cgroup.hasMemory, cgroup.hasCPU, cgroup.currentProcesses() == 1 else { return nil }
        // Whoever may not know is told 0. Whether a process lets itself be looked at cannot change any more, but what the kernel
        // makes of that does, when its memory goes in these moments: some kernels permit everything then, others less than
        // before. It has to be permitted before and after.
        guard Tracing.permits(main), let exit = ProcScan.exit(from: statistics), Tracing.permits(main) else { return nil }
        // What a process has used since the last tick of its processor is not on the account before it stops, and this one may
        // run on for milliseconds. A change of its priority has the kernel settle that first.
        guard (try? Processes.setPriority(exit.nice < 19 ? exit.nice + 1 : 18, of: main)) != nil else { return nil }
        return exit.status
    }
}
