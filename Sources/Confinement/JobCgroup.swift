// One job's cgroup as its init sees it: open control files, on either version of the hierarchy, or none at all.
// A cgroup is used by one job after the other, so use is measured from a baseline.

import Glibc
import LinuxSystem
import SandboxCore

struct JobCgroup {
    let version: CgroupVersion
    private var files: [CgroupFile: Int32] = [:]
    /// Whether each step can have a peak of its own: v2 cannot forget one before Linux 6.12.
    let forgetsPeak: Bool

    init(version: CgroupVersion, roles: [CgroupFile], descriptors: [Int32]) {
        self.version = version
        for (role, fd) in zip(roles, descriptors) { files[role] = fd }
        forgetsPeak = files[.memoryPeak].map { (try? Files.writeControl($0, "0")) != nil } ?? false
    }

    subscript(_ file: CgroupFile) -> Int32? { files[file] }
    var hasMemory: Bool { files[.memoryLimit] != nil }
    var hasPids: Bool { files[.pidsLimit] != nil }
    var hasCPU: Bool { files[.cpuUsage] != nil }

    /// The files a process writes `0` to in order to move itself here.
    var joinFiles: [Int32] { [.processes, .tasksMemory, .tasksPids, .tasksCPU].compactMap { files[$0] } }
    /// Descriptors that become readable (v1's eventfd) or urgent (kernfs files) when a limit is hit.
    var memoryEvent: Int32? { files[.memoryOOMEvent] ?? (version == .v2 ? files[.memoryEvents] : nil) }
    var pidsEvent: Int32? { files[.pidsEvents] }

    /// Sets the bounds of the next job and forgets the last one's peaks.
    func set(_ limits: EnforcedLimits) throws(Failure) {
        if let memory = files[.memoryLimit] {
            try attempt(.cgroupLimits, "memory") { () throws(Errno) in
                let text = String(limits.memoryBytes)
                guard let swap = files[.memorySwapLimit] else { return try Files.writeControl(memory, text) }
                if version == .v2 {
                    try Files.writeControl(swap, "0")
                    try Files.writeControl(memory, text)
                } else if (try? Files.writeControl(memory, text)) == nil {
                    // v1 holds memory ≤ memory+swap at every moment: what fails in one order works in the other.
                    try Files.writeControl(swap, text)
                    try Files.writeControl(memory, text)
                } else {
                    try Files.writeControl(swap, text)
                }
            }
            if forgetsPeak, let peak = files[.memoryPeak] { _ = try? Files.writeControl(peak, "0") }
            if let event = files[.memoryOOMEvent] { Events.drain(event) }
        }
        if let pids = files[.pidsLimit] {
            try attempt(.cgroupLimits, "pids") { () throws(Errno) in try Files.writeControl(pids, String(limits.processes)) }
        }
    }

    /// CPU time used here since the cgroup was made, in microseconds.
    func cpuMicroseconds() -> Int? {
        guard let fd = files[.cpuUsage], let text = try? Files.readControl(fd) else { return nil }
        if version == .v1 { return number(text).map { $0 / 1000 } }
        return field("usage_usec", of: text)
    }

    /// The most memory that was in use since `set`, or since the cgroup was made where a peak cannot be forgotten.
    func peakMemory() -> Int? { files[.memoryPeak].flatMap { try? Files.readControl($0) }.flatMap(number) }
    /// Page cache of files on disk: what the cgroup's last jobs read stays charged to it.
    func cachedFiles() -> Int {
        guard let fd = files[.memoryStatistics], let text = try? Files.readControl(fd, limit: 4096) else { return 0 }
        return max(0, (field(version == .v1 ? "cache" : "file", of: text) ?? 0) - (field("shmem", of: text) ?? 0))
    }
    func currentProcesses() -> Int? { files[.pidsCurrent].flatMap { try? Files.readControl($0) }.flatMap(number) }
    /// The most there ever were in this cgroup, over all its jobs.
    func peakProcesses() -> Int? { files[.pidsPeak].flatMap { try? Files.readControl($0) }.flatMap(number) }
    func oomKills() -> Int? { files[.memoryEvents].flatMap { try? Files.readControl($0) }.flatMap { field("oom_kill", of: $0) } }
    func refusedForks() -> Int? { files[.pidsEvents].flatMap { try? Files.readControl($0) }.flatMap { field("max", of: $0) } }

    private func number(_ text: String) -> Int? { Int(text.prefix { $0 != "\n" }) }

    /// The value of one `key value` line.
    private func field(_ key: String, of text: String) -> Int? {
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: " ")
            if parts.count == 2, parts[0] == key { return Int(parts[1]) }
        }
        return nil
    }
}
