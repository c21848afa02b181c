// What the sandbox's own `/proc` tells its init about the processes in it.

import Glibc
import LinuxSystem

enum ProcScan {
    /// The pids of the sandbox but for the init's, at most `limit`.
    static func pids(limit: Int) -> [Int32] { numbers("/proc", limit: limit + 128).filter { $0 > 1 }.suffix(limit) }

    /// The threads of a process, at most `limit`.
    static func threads(_ pid: Int32, limit: Int) -> [Int32] { numbers("/proc/\(pid)/task", limit: limit) }

    private static func numbers(_ directory: String, limit: Int) -> [Int32] {
        guard let fd = try? Files.open(directory, O_RDONLY | O_DIRECTORY) else { return [] }
        defer { Files.close(fd) }
        return ((try? Files.entries(fd, limit: limit)) ?? []).compactMap { Int32($0.name) }
    }

    /// How long a thread has been ready to run without running, in nanoseconds.
    static func waitedForCPU(_ thread: Int32, of pid: Int32) -> Int? {
        guard let text = try? Files.readFile("/proc/\(pid)/task/\(thread)/schedstat", limit: 256) else { return nil }
        let fields = text.split(separator: " ")
        return fields.count >= 2 ? Int(fields[1]) : nil
    }

    /// What /proc says of a process that has begun to exit.
    struct Exit {
        var status: ExitStatus
        var nice: Int
    }

    /// `nil` for a process that has not begun to exit.
    /// - Parameter fd: of its `stat`. Who may not know reads a status of 0.
    static func exit(from fd: Int32) -> Exit? {
        guard let stat = ProcessStat(from: fd), let flags = stat[9], let nice = stat[19], let code = stat[52], flags & exiting != 0 else { return nil }
        return Exit(status: ExitStatus(Int32(truncatingIfNeeded: code)), nice: nice)
    }

    private static let exiting = 0x4  // PF_EXITING

    /// Where a process's main stack is.
    static func stack(_ pid: Int32) -> Range<UInt>? {
        guard let text = try? Files.readFile("/proc/\(pid)/maps", limit: 16 << 20),
            let line = text.split(separator: "\n").last(where: { $0.hasSuffix("[stack]") })
        else { return nil }
        let bounds = line.prefix { $0 != " " }.split(separator: "-").compactMap { UInt($0, radix: 16) }
        return bounds.count == 2 && bounds[0] < bounds[1] ? bounds[0]..<bounds[1] : nil
    }

    /// Open descriptors of a process. Since Linux 6.2 the size of its `fd` directory says so without a walk.
    static func openFiles(_ pid: Int32) -> Int? {
        guard let fd = try? Files.open("/proc/\(pid)/fd", O_RDONLY | O_DIRECTORY) else { return nil }
        defer { Files.close(fd) }
        if let size = try? Files.status(fd).st_size, size > 0 { return Int(size) }
        return (try? Files.entries(fd, limit: 1 << 20))?.count
    }

    /// CPU time of all live processes, in microseconds, for hosts without a cgroup to ask.
    static func cpuMicroseconds(_ pids: [Int32]) -> Int {
        pids.reduce(0) { sum, pid in
            // Its own time and that of its children it has waited for: nobody else knows of those any more.
            guard let stat = ProcessStat(of: pid) else { return sum }
            return sum + (14...17).reduce(0) { $0 + (stat[$1] ?? 0) } * 10_000
        }
    }

    /// Memory of all live processes that is not a file's, in bytes, for hosts without a cgroup to ask.
    static func privateMemory(_ pids: [Int32]) -> Int {
        pids.reduce(0) { sum, pid in
            guard let text = try? Files.readFile("/proc/\(pid)/statm", limit: 256) else { return sum }
            let pages = text.split(separator: " ").compactMap { Int($0) }
            return pages.count > 2 ? sum + max(0, pages[1] - pages[2]) * 4096 : sum
        }
    }
}
