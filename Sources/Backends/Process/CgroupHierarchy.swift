// Where on this host the farm may make cgroups: version 2 where its controllers are there, version 1 where they are
// not, or nowhere. Found once, at start.

import Confinement
import Glibc
import LinuxSystem
import Synchronization

struct CgroupHierarchy: Sendable {
    let version: CgroupVersion
    /// Directories that belong to this farm alone, by controller. On v2 there is one, for all.
    let memory: String?
    let pids: String?
    let cpu: String?

    /// What says that the farm lives, to farms that cannot see its process.
    let claims: [CgroupClaim]

    static let none = CgroupHierarchy(version: .none, memory: nil, pids: nil, cpu: nil, claims: [])

    var directories: [String] { Array(Set([memory, pids, cpu].compactMap { $0 })) }

    /// Finds the host's hierarchy, sweeps what dead farms left, and makes this farm's own directories.
    static func find() -> CgroupHierarchy {
        let name = FarmOwner.current.nextName()
        let mounts = CgroupMounts.read()
        if let unified = mounts.unified, let own = makeUnified(unified, name) {
            return CgroupHierarchy(version: .v2, memory: own, pids: own, cpu: own, claims: [CgroupClaim.make(own)].compactMap { $0 })
        }
        var claims: [CgroupClaim] = []
        func v1(_ controller: String) -> String? {
            guard let parent = mounts.legacy[controller] else { return nil }
            sweep(parent)
            let own = "\(parent)/\(name)"
            guard (try? Files.ensureDirectory(own)) != nil else { return nil }
            if let claim = CgroupClaim.make(own) { claims.append(claim) }
            // Writable is not a matter of the directory alone: a read-only mount or a foreign owner shows here.
            return access("\(own)/tasks", W_OK) == 0 ? own : nil
        }
        let (memory, pids, cpu) = (v1("memory"), v1("pids"), v1("cpuacct"))
        let found = CgroupHierarchy(version: .v1, memory: memory, pids: pids, cpu: cpu, claims: claims)
        return found.directories.isEmpty ? none : found
    }

    /// The farm's cgroup on v2: below its own where that can have children with controllers, else below the root.
    private static func makeUnified(_ mount: (root: String, own: String), _ name: String) -> String? {
        for parent in [mount.own, mount.root] where delegate(parent) {
            sweep(parent)
            let own = "\(parent)/\(name)"
            guard (try? Files.ensureDirectory(own)) != nil, delegate(own) else { continue }
            return own
        }
        return nil
    }

    /// Gives a cgroup's children the controllers a sandbox needs. A cgroup that has processes may not; when all of them
    /// are this one, it moves into a leaf.
    private static func delegate(_ directory: String) -> Bool {
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
        guard processes == [getpid()] else { return false }
        try? Files.ensureDirectory("\(directory)/daemon")
        _ = try? Files.writeFile("\(directory)/daemon/cgroup.procs", "0")
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
    func removeAll() { for directory in directories { Self.remove(directory) } }

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

/// What `/proc/self/mountinfo` and `/proc/self/cgroup` say.
private struct CgroupMounts {
    /// The unified hierarchy's mount point and this process's own directory in it.
    var unified: (root: String, own: String)?
    /// This process's own directory, by v1 controller.
    var legacy: [String: String] = [:]

    static func read() -> CgroupMounts {
        var result = CgroupMounts()
        var paths: [String: String] = [:]
        for line in (try? Files.readFile("/proc/self/cgroup"))?.split(separator: "\n") ?? [] {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            for controller in parts[1].split(separator: ",", omittingEmptySubsequences: false) { paths[String(controller)] = String(parts[2]) }
        }
        func below(_ mount: String, _ root: String, _ path: String?) -> String {
            guard var path, path != "/" else { return mount }
            // A mount of a part of the hierarchy (a container's) shows only what is below that part.
            if root != "/", path.hasPrefix(root) { path.removeFirst(root.count) }
            let full = mount + (path.hasPrefix("/") || path.isEmpty ? path : "/" + path)
            return Files.exists(full) ? full : mount
        }
        // Most lines are other file systems'; taking all of them apart is half a millisecond of `paddock run`.
        let mounts = (try? Files.readFile("/proc/self/mountinfo"))?.utf8.split(separator: UInt8(ascii: "\n")) ?? []
        for line in mounts.filter({ $0.firstRange(of: " - cgroup".utf8) != nil }).map(Substring.init) {
            // Six fields, any number of optional ones, a dash, and three more.
            let fields = line.split(separator: " ")
            guard fields.count > 9, let dash = fields[6...].firstIndex(of: "-"), dash + 3 < fields.count else { continue }
            let (root, mount, right) = (String(fields[3]), String(fields[4]), Array(fields[(dash + 1)...]))
            if right[0] == "cgroup2" { result.unified = (mount, below(mount, root, paths[""])) }
            if right[0] == "cgroup" {
                for option in right[2].split(separator: ",") where paths[String(option)] != nil {
                    result.legacy[String(option)] = below(mount, root, paths[String(option)])
                }
            }
        }
        return result
    }
}
