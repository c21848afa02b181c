// What the sandbox's own `/proc` tells its init about the processes in it.

import Glibc
import LinuxSystem

enum ProcScan {
    /// The pids of the sandbox but for the init's, at most `limit`.
    static func pids(limit: Int) -> [Int32] {
        guard let fd = try? Files.open("/proc", O_RDONLY | O_DIRECTORY) else { return [] }
        defer { Files.close(fd) }
        let entries = (try? Files.entries(fd, limit: limit + 128)) ?? []
        return Array(entries.compactMap { Int32($0.name) }.filter { $0 > 1 }.prefix(limit))
    }

    /// How long a process's first thread has been ready to run without running, in nanoseconds.
    static func waitedForCPU(_ pid: Int32) -> Int? {
        guard let text = try? Files.readFile("/proc/\(pid)/schedstat", limit: 256) else { return nil }
        let fields = text.split(separator: " ")
        return fields.count >= 2 ? Int(fields[1]) : nil
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
            guard let text = try? Files.readFile("/proc/\(pid)/stat", limit: 4096), let close = text.lastIndex(of: ")") else { return sum }
            let fields = text[text.index(after: close)...].split(separator: " ")
            guard fields.count > 12, let user = Int(fields[11]), let system = Int(fields[12]) else { return sum }
            return sum + (user + system) * 10_000
        }
    }
}
