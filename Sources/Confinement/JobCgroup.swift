// One job's cgroup as its init sees it: open control files, on either version of the hierarchy, or none at all. A cgroup
// is used by one job after the other, so use is measured from a baseline: what its counters said when the last one ended
// is what they say when the next one begins, and need not be read again.

import Glibc
import LinuxSystem
import SandboxCore

final class JobCgroup {
    /// What only ever grows.
    struct Counters {
        var cpuMicroseconds: Int?
        var oomKills: Int?
        var refusedForks: Int?
        /// The most processes there ever were, over all jobs.
        var peakProcesses: Int?
    }

    let version: CgroupVersion
    private let files: [CgroupFile: Int32]
    /// Whether each step can have a peak of its own: v2 cannot forget one before Linux 6.12.
    let forgetsPeak: Bool
    /// The files a process writes `0` to in order to move itself here.
    let joinFiles: [Int32]
    /// Descriptors that become readable (v1's eventfd) or urgent (kernfs files) when a limit is hit.
    let memoryEvent: Int32?
    let pidsEvent: Int32?
    /// Whether there is a cgroup, or will be none.
    let isUsable: Bool
    let hasMemory: Bool
    let hasPids: Bool
    let hasCPU: Bool
    private var bounds: (memory: Int, processes: Int) = (-1, -1)
    /// As of the end of the last step.
    private var counters: Counters?

    init(version: CgroupVersion, roles: [CgroupFile], descriptors: [Int32]) {
        self.version = version
        let files = Dictionary(uniqueKeysWithValues: zip(roles, descriptors))
        self.files = files
        forgetsPeak = files[.memoryPeak].map { (try? Files.writeControl($0, "0")) != nil } ?? false
        joinFiles = [.processes, .tasksMemory, .tasksPids, .tasksCPU].compactMap { files[$0] }
        memoryEvent = files[.memoryOOMEvent] ?? (version == .v2 ? files[.memoryEvents] : nil)
        pidsEvent = files[.pidsEvents]
        isUsable = version == .none || !roles.isEmpty
        (hasMemory, hasPids, hasCPU) = (files[.memoryLimit] != nil, files[.pidsLimit] != nil, files[.cpuUsage] != nil)
    }

    func close() { for file in files.values { Files.close(file) } }

    /// Forgets the last job's peak. To be called before the next one's first process joins.
    /// - Returns: what is in use now, or where a peak cannot be forgotten, the peak.
    func forgetPeak() -> Int {
        guard forgetsPeak, let peak = files[.memoryPeak] else { return peakMemory() ?? 0 }
        _ = try? Files.writeControl(peak, "0")
        let inUse = peakMemory() ?? 0
        defer { isBetweenSandboxes = false }
        guard isBetweenSandboxes, inUse > Self.muchLeft, inUse - cachedFiles() > Self.muchLeft else { return inUse }
        reclaim()
        _ = try? Files.writeControl(peak, "0")
        return peakMemory() ?? 0
    }

    /// Sets the bounds of the next step.
    /// - Returns: false when the files that earlier steps left in memory are more than it may use.
    func set(_ limits: EnforcedLimits) throws(Failure) -> Bool {
        if let memory = files[.memoryLimit] {
            if bounds.memory != limits.memoryBytes {
                // v2 takes any bound, and kills whatever is in the cgroup until it holds: the step before it began.
                // Nothing is there before the first step, and nothing more than fitted the step before.
                guard limits.memoryBytes >= bounds.memory || heldFiles() < limits.memoryBytes else { return false }
                try setMemory(memory, limits.memoryBytes)
                if let sockets = files[.memorySocketLimit] {
                    try attempt(.cgroupLimits, "memory of sockets") { () throws(Errno) in try Files.writeControl(sockets, String(limits.memoryBytes)) }
                }
            }
            bounds.memory = limits.memoryBytes
            if let event = files[.memoryOOMEvent] { Events.drain(event) }
        }
        if let pids = files[.pidsLimit], bounds.processes != limits.processes {
            try attempt(.cgroupLimits, "pids") { () throws(Errno) in try Files.writeControl(pids, String(limits.processes)) }
            bounds.processes = limits.processes
        }
        return true
    }

    /// Sets two bounds for what is no job.
    func bound(memoryBytes: Int, processes: Int) throws(Failure) {
        if let memory = files[.memoryLimit] { try setMemory(memory, memoryBytes) }
        if let pids = files[.pidsLimit] { try attempt(.cgroupLimits, "pids") { () throws(Errno) in try Files.writeControl(pids, String(processes)) } }
    }

    private func setMemory(_ file: Int32, _ bytes: Int) throws(Failure) {
        try attempt(.cgroupLimits, "memory") { () throws(Errno) in
            let text = String(bytes)
            guard let swap = files[.memorySwapLimit] else { return try Files.writeControl(file, text) }
            if version == .v2 {
                try Files.writeControl(swap, "0")
                try Files.writeControl(file, text)
                return
            }
            // v1 holds memory ≤ memory+swap at every moment: what fails in one order works in the other. And it takes no bound
            // below what is there, if its own few attempts at making room fail.
            do throws(Errno) { try Self.set(file, swap, text) } catch {
                if error.code == EINVAL { return try Self.set(swap, file, text) }
                guard error.code == EBUSY else { throw error }
                try setAfterReclaim(file, swap, text)
            }
        }
    }

    /// What is given back is off the account only some milliseconds later, when no processor can be looking at it any more.
    private func setAfterReclaim(_ file: Int32, _ swap: Int32, _ text: String) throws(Errno) {
        var pause: UInt32 = 1
        while true {
            reclaim()
            do throws(Errno) { return try Self.set(file, swap, text) } catch { guard error.code == EBUSY, pause <= 32 else { throw error } }
            usleep(pause * 1000)
            pause *= 2
        }
    }

    private static func set(_ first: Int32, _ second: Int32, _ text: String) throws(Errno) {
        try Files.writeControl(first, text)
        try Files.writeControl(second, text)
    }

    /// What earlier jobs looked up is in memory on this cgroup's account. A little of it costs nobody anything; more would
    /// have to make room in a later job's time. Files that they read are no burden: those go easily, and the next job may
    /// read the same.
    private static let muchLeft = 16 << 20

    /// Whether a new sandbox begins: what the last one left may be given back.
    var isBetweenSandboxes = false

    private func reclaim() {
        guard let file = files[.memoryReclaim] else { return }
        _ = try? Files.writeControl(file, version == .v1 ? "0" : String(peakMemory() ?? 0))
    }

    // MARK: counters

    /// What the counters say before a step; no process is here then.
    func baseline() -> Counters {
        if let counters { return counters }
        return readCounters()
    }

    /// What they say after it, when the last of its processes has been reaped.
    func readCounters() -> Counters {
        let now = Counters(
            cpuMicroseconds: cpuMicroseconds(), oomKills: oomKills(), refusedForks: refusedForks(), peakProcesses: number(.pidsPeak))
        counters = now
        return now
    }

    /// CPU time used here since the cgroup was made.
    func cpuMicroseconds() -> Int? {
        version == .v1 ? number(.cpuUsage).map { $0 / 1000 } : field("usage_usec", of: .cpuUsage)
    }
    func oomKills() -> Int? { field("oom_kill", of: .memoryEvents) }
    func refusedForks() -> Int? { field("max", of: .pidsEvents) }
    func currentProcesses() -> Int? { number(.pidsCurrent) }

    /// The most memory that was in use since the last one's peak was forgotten, or since the cgroup was made where a peak cannot be forgotten.
    func peakMemory() -> Int? { number(.memoryPeak) }
    /// Page cache of files on disk: what the cgroup's last jobs read stays charged to it.
    func cachedFiles() -> Int {
        max(0, (field(version == .v1 ? "cache" : "file", of: .memoryStatistics) ?? 0) - (field("shmem", of: .memoryStatistics) ?? 0))
    }

    /// Files that are nowhere but in memory, those of the scratch file system above all.
    func heldFiles() -> Int { field("shmem", of: .memoryStatistics) ?? 0 }

    private func number(_ file: CgroupFile) -> Int? { files[file].flatMap { ControlText.number($0) } }
    private func field(_ key: StaticString, of file: CgroupFile) -> Int? { files[file].flatMap { ControlText.field(key, of: $0) } }
}

/// Reads the short texts of control files where they are, without making strings of them.
enum ControlText {
    /// The number a file begins with.
    static func number(_ fd: Int32) -> Int? { read(fd) { digits($0, from: 0) } }

    /// The number of the line that begins with `key` and a space.
    static func field(_ key: StaticString, of fd: Int32) -> Int? {
        read(fd) { text in
            let name = UnsafeBufferPointer(start: key.utf8Start, count: key.utf8CodeUnitCount)
            var line = 0
            while line < text.count {
                let value = line + name.count
                if value < text.count, text[value] == 0x20, text[line..<value].elementsEqual(name) { return digits(text, from: value + 1) }
                while line < text.count, text[line] != 0x0a { line += 1 }
                line += 1
            }
            return nil
        }
    }

    private static func digits(_ text: UnsafeRawBufferPointer, from start: Int) -> Int? {
        var value = 0
        var end = start
        while end < text.count, case let digit = text[end] &- 0x30, digit <= 9 {
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            if overflow { return nil }
            value = product &+ Int(digit)
            end += 1
        }
        return end > start ? value : nil
    }

    private static func read(_ fd: Int32, _ body: (UnsafeRawBufferPointer) -> Int?) -> Int? {
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 16) { buffer in
            guard let count = try? Files.pread(fd, buffer, at: 0) else { return nil }
            return body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }
}
