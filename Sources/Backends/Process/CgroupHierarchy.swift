// Where on this host the farm may make cgroups: version 2 where its controllers are there, version 1 where they are
// not, or nowhere. Found once, at start.

import Confinement
import Glibc
import LinuxSystem
import Synchronization

/// The directories of one cgroup, by controller. On v2 there is one, for all.
struct CgroupDirectories: Sendable {
    var memory: String?
    var pids: String?
    var cpu: String?

    var all: [String] { [memory, pids == memory ? nil : pids, cpu == memory ? nil : cpu].compactMap { $0 } }

    func child(_ name: String) -> CgroupDirectories {
        CgroupDirectories(memory: memory.map { "\($0)/\(name)" }, pids: pids.map { "\($0)/\(name)" }, cpu: cpu.map { "\($0)/\(name)" })
    }
}

struct CgroupHierarchy: Sendable {
    /// What the farm's own cgroup is for.
    enum Use {
        /// It holds one for each sandbox.
        case manySandboxes
        /// It is the one sandbox's: a level of cgroups less to make and to remove.
        case oneSandbox
    }

    let version: CgroupVersion
    let use: Use
    /// What belongs to this farm alone.
    let own: CgroupDirectories
    /// What says that the farm lives, to farms that cannot see its process.
    let claims: [CgroupClaim]

    static let none = CgroupHierarchy(version: .none, use: .manySandboxes, own: CgroupDirectories(), claims: [])

    /// Finds the host's hierarchy, sweeps what dead farms left, and makes this farm's own directories.
    /// - Parameter farm: the processes of this farm that there are already.
    static func find(farm: Set<pid_t> = [getpid()], for use: Use = .manySandboxes) -> CgroupHierarchy {
        let name = FarmOwner.current.nextName()
        let mounts = CgroupMounts.read()
        if let unified = mounts.unified, let own = makeUnified(unified, name, farm, use) {
            return CgroupHierarchy(
                version: .v2, use: use, own: CgroupDirectories(memory: own, pids: own, cpu: own), claims: [CgroupClaim.make(own)].compactMap { $0 })
        }
        var claims: [CgroupClaim] = []
        func v1(_ controller: String) -> String? {
            guard let parent = mounts.legacy(controller) else { return nil }
            sweep(parent)
            let own = "\(parent)/\(name)"
            guard (try? Files.ensureDirectory(own)) != nil else { return nil }
            if let claim = CgroupClaim.make(own) { claims.append(claim) }
            // Writable is not a matter of the directory alone: a read-only mount or a foreign owner shows here.
            return access("\(own)/tasks", W_OK) == 0 ? own : nil
        }
        let own = CgroupDirectories(memory: v1("memory"), pids: v1("pids"), cpu: v1("cpuacct"))
        return own.all.isEmpty ? none : CgroupHierarchy(version: .v1, use: use, own: own, claims: claims)
    }

    /// The farm's cgroup on v2: below its own where that can have children with controllers, else below the root.
    private static func makeUnified(_ mount: (root: String, own: String), _ name: String, _ farm: Set<pid_t>, _ use: Use) -> String? {
        for parent in [mount.own, mount.root] where delegate(parent, farm) {
            sweep(parent)
            let own = "\(parent)/\(name)"
            guard (try? Files.ensureDirectory(own)) != nil, use == .oneSandbox || delegate(own, farm) else { continue }
            return own
        }
        return nil
    }

    /// Gives a cgroup's children the controllers a sandbox needs. A cgroup that has processes may not; when all of them
    /// are the farm's, they move into a leaf.
    private static func delegate(_ directory: String, _ farm: Set<pid_t>) -> Bool {
        func enabled() -> Bool {
            let have = Set((try? Files.readFile("\(directory)/cgroup.subtree_control"))?.split(whereSeparator: \.isWhitespace) ?? [])
            return have.isSuperset(of: ["memory", "pids"])
        }
        func enable() -> Bool {
            try? Files.writeFile("\(directory)/cgroup.subtree_control", "+memory +pids")
            _ = try? Files.writeFile("\(directory)/cgroup.subtree_control", "+cpu")
            return enabled()
        }
        let offered = (try? Files.readFile("\(directory)/cgroup.controllers"))?.split(whereSeparator: \.isWhitespace) ?? []
        // A machine can mount v2 and have its controllers on v1.
        guard Set(offered).isSuperset(of: ["memory", "pids"]) else { return false }
        if enabled() || enable() { return access("\(directory)/cgroup.procs", W_OK) == 0 }
        let processes = (try? Files.readFile("\(directory)/cgroup.procs"))?.split(separator: "\n").compactMap { Int32($0) } ?? []
        guard !processes.isEmpty, farm.isSuperset(of: processes) else { return false }
        try? Files.ensureDirectory("\(directory)/daemon")
        for process in processes { _ = try? Files.writeFile("\(directory)/daemon/cgroup.procs", "\(process)") }
        return enable()
    }

    /// Removes what farms left that were killed: theirs are the names whose process is gone, or that nobody claims.
    private static func sweep(_ parent: String) {
        guard let fd = try? Files.open(parent, O_RDONLY | O_DIRECTORY) else { return }
        let entries = (try? Files.entries(fd)) ?? []
        Files.close(fd)
        for entry in entries where entry.kind == .directory {
            guard let owner = FarmOwner(name: entry.name) else { continue }
            let directory = "\(parent)/\(entry.name)"
            if owner.isGone { remove(directory) } else if !owner.isVisible { CgroupClaim.removeUnclaimed(directory) }
        }
    }

    /// Removes this farm's directories; whatever is still in them is killed.
    func removeAll() { for directory in own.all { Self.remove(directory) } }

    static func remove(_ directory: String) {
        if let fd = try? Files.open(directory, O_RDONLY | O_DIRECTORY) {
            let entries = (try? Files.entries(fd)) ?? []
            Files.close(fd)
            for entry in entries where entry.kind == .directory { remove("\(directory)/\(entry.name)") }
        }
        for attempt in 0..<100 {
            do throws(Errno) {
                try Files.removeDirectory(directory)
                return
            } catch { if error.code != EBUSY { return } }
            let processes = (try? Files.readFile("\(directory)/cgroup.procs"))?.split(separator: "\n").compactMap { Int32($0) } ?? []
            for pid in processes where pid != getpid() { kill(pid, SIGKILL) }
            usleep(UInt32(min(10_000, 500 << min(attempt, 5))))
        }
    }
}
