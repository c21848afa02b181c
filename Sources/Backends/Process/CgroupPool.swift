// Cgroups that sandboxes borrow. Making and removing one costs about as much as a namespace, so one serves many jobs,
// each when the last process of the one before is known to be gone.

import Confinement
import Glibc
import LinuxSystem
import SandboxCore
import Synchronization

/// One cgroup across all hierarchies of the host, and its control files as long as they are open here.
final class CgroupSlot: Sendable {
    let directories: CgroupDirectories
    private let files: Mutex<[(role: CgroupFile, descriptor: Int32)]>

    init(_ directories: CgroupDirectories, files: [(CgroupFile, Int32)]) {
        self.directories = directories
        self.files = Mutex(files)
    }
    deinit { close() }

    var roles: [CgroupFile] { files.withLock { $0.map(\.role) } }
    var descriptors: [Int32] { files.withLock { $0.map(\.descriptor) } }
    var isOpen: Bool { files.withLock { !$0.isEmpty } }

    fileprivate func open(_ opened: [(CgroupFile, Int32)]) {
        close()
        files.withLock { $0 = opened }
    }

    fileprivate func close() {
        let closed = files.withLock { files in
            defer { files = [] }
            return files
        }
        for file in closed { Files.close(file.descriptor) }
    }
}

final class CgroupPool: Sendable {
    private struct State {
        var free: [CgroupSlot] = []
        var next = 0
        /// Where each sandbox has a cgroup of the farm's own: those after the first.
        var further: [CgroupHierarchy] = []
        /// Directories the kernel would not let go of yet.
        var leftovers: [String] = []
        /// How many there are whose files are open here.
        var open = 0
    }

    let hierarchy: CgroupHierarchy
    private let state = Mutex(State())
    /// Beyond what a busy farm has in flight there is no use in keeping them.
    private static let maxFree = 512
    /// Ten thousand with fifteen files each are more than a process may have open. An init has them from its keeper: here
    /// they are only needed again when the cell has ended, so beyond this many they are closed and opened again then.
    private static let maxOpen = 256

    init(_ hierarchy: CgroupHierarchy) { self.hierarchy = hierarchy }

    /// All that belong to this farm alone, without those below them.
    var directories: [String] { hierarchy.own.all + state.withLock { $0.further.flatMap(\.own.all) } }

    var missing: [Mechanism] {
        var result: [Mechanism] = []
        if hierarchy.own.memory == nil { result.append(.cgroupMemory) }
        if hierarchy.own.pids == nil { result.append(.cgroupPids) }
        if hierarchy.own.cpu == nil { result.append(.cgroupCPU) }
        return result
    }

    /// A cgroup without a process in it; `nil` on a host that has none to give.
    func take() throws(FarmError) -> CgroupSlot? {
        guard hierarchy.version != .none else { return nil }
        if let slot = state.withLock({ $0.free.popLast() }) {
            if slot.isOpen { return slot }
            do {
                slot.open(try openFiles(slot.directories))
                state.withLock { $0.open += 1 }
                return slot
            } catch { throw failed(slot.directories, error) }
        }
        removeLeftovers()
        let directories = try nextDirectories()
        do { return try make(directories) } catch { throw failed(directories, error) }
    }

    private func failed(_ directories: CgroupDirectories, _ error: Errno) -> FarmError {
        remove(directories)
        return FarmError(.sandboxSetup, "cgroup \(directories.all.first ?? ""): \(error)", retryable: true)
    }

    /// Of a cgroup that nothing uses. The farm's own are there already.
    private func nextDirectories() throws(FarmError) -> CgroupDirectories {
        let number = state.withLock { s in
            s.next += 1
            return s.next
        }
        if hierarchy.use == .manySandboxes { return hierarchy.own.child("s\(number)") }
        if number == 1 { return hierarchy.own }
        // The first is in use still, or was given up. What is beside it is not held to its limits.
        let further = CgroupHierarchy.find(for: hierarchy.use)
        state.withLock { $0.further.append(further) }
        // One that has not all of the first's would be held to fewer limits.
        guard further.version == hierarchy.version, further.own.all.count == hierarchy.own.all.count else {
            throw FarmError(.sandboxSetup, "a cgroup beside \(hierarchy.own.all[0]) cannot be made", retryable: true)
        }
        return further.own
    }

    /// The cgroup's files are in the hands of a keeper, who will not ask for them again.
    func handedOver(_ slot: CgroupSlot) {
        let close = state.withLock { s in
            guard s.open > Self.maxOpen else { return false }
            s.open -= 1
            return true
        }
        if close { slot.close() }
    }

    /// Takes a cgroup back whose processes are all gone.
    func giveBack(_ slot: CgroupSlot) {
        let keep = isReusable && state.withLock { s in
            guard s.free.count < Self.maxFree else { return false }
            s.free.append(slot)
            return true
        }
        if !keep { discard(slot) }
    }

    /// Never uses a cgroup again in which there may still be processes.
    func discard(_ slot: CgroupSlot) {
        if slot.isOpen {
            slot.close()
            state.withLock { $0.open -= 1 }
        }
        remove(slot.directories)
    }

    /// Before Linux 6.12 v2 cannot forget a peak, so each job needs a cgroup of its own.
    var isReusable: Bool { hierarchy.version == .v1 || Self.peakCanBeReset }
    private static let peakCanBeReset: Bool = {
        var name = utsname()
        uname(&name)
        let release = withUnsafeBytes(of: &name.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        let numbers = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
        return numbers.count == 2 && (numbers[0], numbers[1]) >= (6, 12)
    }()

    func removeAll() {
        let further = state.withLock { s in
            s.free.removeAll()
            return s.further
        }
        for hierarchy in [hierarchy] + further { hierarchy.removeAll() }
    }

    private func remove(_ directories: CgroupDirectories) {
        for path in directories.all {
            do { try Files.removeDirectory(path) } catch {
                // The kernel is not done with its last process: tried again when the next one is made.
                if error.code == EBUSY { state.withLock { $0.leftovers.append(path) } }
            }
        }
    }

    private func removeLeftovers() {
        let paths = state.withLock { s in
            defer { s.leftovers = [] }
            return s.leftovers
        }
        let still = paths.filter { path in
            do throws(Errno) { try Files.removeDirectory(path) } catch { return error.code == EBUSY }
            return false
        }
        if !still.isEmpty { state.withLock { $0.leftovers += still } }
    }

    private func make(_ directories: CgroupDirectories) throws(Errno) -> CgroupSlot {
        if hierarchy.use == .manySandboxes { for path in directories.all { try Files.makeDirectory(path) } }
        let files = try openFiles(directories)
        state.withLock { $0.open += 1 }
        if hierarchy.version == .v2 {
            if let group = directories.memory { try Files.writeFile("\(group)/memory.oom.group", "1") }
        } else if let memory = directories.memory {
            // For hosts that do not account for swap.
            _ = try? Files.writeFile("\(memory)/memory.swappiness", "0")
        }
        return CgroupSlot(directories, files: files)
    }

    private func openFiles(_ directories: CgroupDirectories) throws(Errno) -> [(CgroupFile, Int32)] {
        var files: [(CgroupFile, Int32)] = []
        func open(_ role: CgroupFile, _ directory: String?, _ name: String, _ flags: Int32, optional: Bool = false) throws(Errno) {
            guard let directory else { return }
            do { files.append((role, try Files.open("\(directory)/\(name)", flags))) } catch { if !optional { throw error } }
        }
        do throws(Errno) {
            if hierarchy.version == .v2 {
                try open(.processes, directories.memory, "cgroup.procs", O_WRONLY)
                try open(.memoryLimit, directories.memory, "memory.max", O_WRONLY)
                try open(.memorySwapLimit, directories.memory, "memory.swap.max", O_WRONLY, optional: true)
                try open(.memoryPeak, directories.memory, "memory.peak", Self.peakCanBeReset ? O_RDWR : O_RDONLY, optional: true)
                try open(.memoryEvents, directories.memory, "memory.events", O_RDONLY)
                try open(.memoryStatistics, directories.memory, "memory.stat", O_RDONLY)
                try open(.memoryReclaim, directories.memory, "memory.reclaim", O_WRONLY, optional: true)
                try open(.cpuUsage, directories.cpu, "cpu.stat", O_RDONLY)
            } else {
                try open(.tasksMemory, directories.memory, "tasks", O_WRONLY)
                try open(.tasksPids, directories.pids, "tasks", O_WRONLY)
                try open(.tasksCPU, directories.cpu, "tasks", O_WRONLY)
                try open(.memoryLimit, directories.memory, "memory.limit_in_bytes", O_WRONLY)
                try open(.memorySwapLimit, directories.memory, "memory.memsw.limit_in_bytes", O_WRONLY, optional: true)
                try open(.memorySocketLimit, directories.memory, "memory.kmem.tcp.limit_in_bytes", O_WRONLY, optional: true)
                try open(.memoryPeak, directories.memory, "memory.max_usage_in_bytes", O_RDWR)
                try open(.memoryEvents, directories.memory, "memory.oom_control", O_RDONLY)
                try open(.memoryStatistics, directories.memory, "memory.stat", O_RDONLY)
                try open(.memoryReclaim, directories.memory, "memory.force_empty", O_WRONLY, optional: true)
                try open(.cpuUsage, directories.cpu, "cpuacct.usage", O_RDONLY)
                if let memory = directories.memory { files.append((.memoryOOMEvent, try oomEvent(memory))) }
            }
            try open(.pidsLimit, directories.pids, "pids.max", O_WRONLY)
            try open(.pidsCurrent, directories.pids, "pids.current", O_RDONLY)
            try open(.pidsEvents, directories.pids, "pids.events", O_RDONLY, optional: true)
            try open(.pidsPeak, directories.pids, "pids.peak", O_RDONLY, optional: true)
        } catch {
            for (_, fd) in files { Files.close(fd) }
            throw error
        }
        return files
    }

    /// v1 says that memory ran out by an eventfd registered beforehand.
    private func oomEvent(_ directory: String) throws(Errno) -> Int32 {
        let event = try Events.counter()
        do throws(Errno) {
            let control = try Files.open("\(directory)/memory.oom_control", O_RDONLY)
            defer { Files.close(control) }
            let registration = try Files.open("\(directory)/cgroup.event_control", O_WRONLY)
            defer { Files.close(registration) }
            try Files.writeAll(registration, "\(event) \(control)")
        } catch {
            Files.close(event)
            throw error
        }
        return event
    }
}
