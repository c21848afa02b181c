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
    /// - Parameter farm: the processes of this farm that there are already.
    static func find(farm: Set<pid_t> = [getpid()]) -> CgroupHierarchy {
        let name = FarmOwner.current.nextName()
        let mounts = CgroupMounts.read()
        if let unified = mounts.unified, let own = makeUnified(unified, name, farm) {
            return CgroupHierarchy(version: .v2, memory: own, pids: own, cpu: own, claims: [CgroupClaim.make(own)].compactMap { $0 })
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
        let (memory, pids, cpu) = (v1("memory"), v1("pids"), v1("cpuacct"))
        let found = CgroupHierarchy(version: .v1, memory: memory, pids: pids, cpu: cpu, claims: claims)
        return found.directories.isEmpty ? none : found
    }

    /// The farm's cgroup on v2: below its own where that can have children with controllers, else below the root.
    private static func makeUnified(_ mount: (root: String, own: String), _ name: String, _ farm: Set<pid_t>) -> String? {
        for parent in [mount.own, mount.root] where delegate(parent, farm) {
            sweep(parent)
            let own = "\(parent)/\(name)"
            guard (try? Files.ensureDirectory(own)) != nil, delegate(own, farm) else { continue }
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

/// What `/proc/self/mountinfo` and `/proc/self/cgroup` say. Whole files of lines, of which three or four matter: they are read as
/// bytes, because taking them apart as text was a tenth of `paddock run`.
private struct CgroupMounts {
    /// The unified hierarchy's mount point and this process's own directory in it.
    var unified: (root: String, own: String)?
    /// This process's own directory, by v1 controller.
    private var legacy: [(controller: String, own: String)] = []

    static func read() -> CgroupMounts {
        var result = CgroupMounts()
        // Of v2 the list of controllers is empty.
        let groups = lines(of: "/proc/self/cgroup", with: ":").compactMap { line -> (controllers: [Substring], path: String)? in
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            return parts.count == 3 ? (parts[1].split(separator: ",", omittingEmptySubsequences: false), String(parts[2])) : nil
        }
        func path(_ controller: Substring) -> String? { groups.first { $0.controllers.contains(controller) }?.path }
        func below(_ mount: String, _ root: String, _ path: String?) -> String {
            guard var path, path != "/" else { return mount }
            // A mount of a part of the hierarchy (a container's) shows only what is below that part.
            if root != "/", path.hasPrefix(root) { path.removeFirst(root.count) }
            let full = mount + (path.hasPrefix("/") || path.isEmpty ? path : "/" + path)
            return Files.exists(full) ? full : mount
        }
        for line in lines(of: "/proc/self/mountinfo", with: " - cgroup") {
            // Six fields, any number of optional ones, a dash, and three more.
            let fields = line.split(separator: " ")
            guard fields.count > 9, let dash = fields[6...].firstIndex(of: "-"), dash + 3 < fields.count else { continue }
            let (root, mount) = (String(fields[3]), String(fields[4]))
            if fields[dash + 1] == "cgroup2" { result.unified = (mount, below(mount, root, path(""))) }
            if fields[dash + 1] == "cgroup" {
                for option in fields[dash + 3].split(separator: ",") {
                    if let path = path(option) { result.legacy.append((String(option), below(mount, root, path))) }
                }
            }
        }
        return result
    }

    func legacy(_ controller: String) -> String? { legacy.last { $0.controller == controller }?.own }

    /// The lines of a file that have `mark` in them.
    private static func lines(of path: String, with mark: String) -> [String] {
        guard let bytes = try? Files.readData(path) else { return [] }
        let mark = Array(mark.utf8)
        var (found, start): ([String], Int) = ([], 0)
        while start < bytes.count {
            let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
            var at = start
            while at + mark.count <= end, !bytes[at..<at + mark.count].elementsEqual(mark) { at += 1 }
            if at + mark.count <= end { found.append(String(decoding: bytes[start..<end], as: UTF8.self)) }
            start = end + 1
        }
        return found
    }
}
