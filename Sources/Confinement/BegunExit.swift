// How a job's only process ends, known when it begins to. From then on it runs nothing of its own and its status cannot
// change; what is left is the kernel's to do, most of all to take its memory apart, which for an interpreter with its
// libraries takes longer than many a job. A report need not wait for that; the next step and the sandbox's end do.

import Glibc
import LinuxSystem

enum BegunExit {
    /// To be asked when the job's filter has no process any more, which the kernel says (since Linux 6.11) where a process
    /// begins to exit.
    /// - Parameters:
    ///   - main: is traced by the caller; so it may know.
    ///   - statistics: its `/proc/PID/stat`.
    /// - Returns: `nil` where that cannot be told, or not without loss, and its end has to be waited for: of several processes,
    ///   or where nothing keeps account.
    static func status(of main: Int32, _ statistics: Int32, in cgroup: JobCgroup) -> ExitStatus? {
        guard cgroup.hasMemory, cgroup.hasCPU, cgroup.currentProcesses() == 1, var exit = ProcScan.exit(from: statistics) else { return nil }
        // Who may trace it may know its status, but for a process that has closed its memory, as long as it has one. It may have
        // given that up after the kernel looked whether we may know, and 0 is what those are told who may not: then it
        // is asked again, for now nothing can be in the way.
        if exit.isWithoutMemory, exit.status == .exited(0) {
            guard let again = ProcScan.exit(from: statistics) else { return nil }
            exit = again
        }
        // What a process has used since the last tick of its processor is not on the account before it stops, and this one may
        // run on for milliseconds. A change of its priority has the kernel settle that first.
        guard (try? Processes.setPriority(exit.nice < 19 ? exit.nice + 1 : 18, of: main)) != nil else { return nil }
        return exit.status
    }
}
