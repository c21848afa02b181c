// How a farm says that it lives to farms in other pid namespaces, which share its cgroups and cannot see its process: by a
// lock on its cgroup's directory, which the kernel lets go of when the process ends, however it ends.

import Glibc
import LinuxSystem

struct CgroupClaim: Sendable {
    private let directory: Descriptor

    /// - Returns: `nil` where it cannot be locked. Then the farm may lose cgroups that it has nothing in.
    static func make(_ path: String) -> CgroupClaim? {
        guard let directory = try? Files.open(path, O_RDONLY | O_DIRECTORY) else { return nil }
        let claim = CgroupClaim(directory: Descriptor(directory))
        return flock(directory, LOCK_EX | LOCK_NB) == 0 ? claim : nil
    }

    /// Removes a farm's directory that nobody has claimed for a while, if no process is in it. Nothing is killed here: the
    /// sandboxes of a farm that was killed have died with it.
    static func removeUnclaimed(_ path: String) {
        // Held while it is removed, so that of two farms that start one does it.
        guard let claim = make(path), let status = try? Files.status(claim.directory.raw) else { return }
        // A farm that has just made it has not claimed it yet.
        guard time(nil) - status.st_mtim.tv_sec > 10 else { return }
        let inner = ((try? Files.entries(claim.directory.raw)) ?? []).filter { $0.kind == .directory }
        // The kernel refuses what is not empty.
        for entry in inner { try? Files.removeDirectory("\(path)/\(entry.name)") }
        try? Files.removeDirectory(path)
    }
}
