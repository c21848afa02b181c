// The one file system a sandbox can write to, and whether it was. What nobody wrote to is as good as new: so it serves
// the next sandbox too, which saves the dearest part of making one. The slightest trace, and it is thrown away.

import Glibc
import LinuxSystem
import SandboxCore

struct Scratch {
    /// Access times are a trace that every reader leaves: there are none.
    static let flags: Mounts.Flags = [.noSetuid, .noDevices, .noAccessTimes, .silent]

    /// Every directory there is: of a writable layer, overlay's own work, and the sandbox's own.
    private let directories: [Int32]
    private var blank: [Fingerprint] = []
    private var space: (usedBlocks: UInt64, usedInodes: UInt64) = (0, 0)
    /// The bounds it has now, set by the step that ran last.
    private(set) var bounds: (bytes: Int, inodes: Int) = (0, 0)

    /// The number the file system gave out last: each file takes one, those without a name too.
    private var lastInode: UInt64 = 0

    private struct Fingerprint: Equatable {
        let inode: UInt64, mode: UInt32, owner: UInt32, group: UInt32, links: UInt64
        let changedSeconds: Int, changedNanoseconds: Int, modifiedSeconds: Int, modifiedNanoseconds: Int

        init(_ s: stat) {
            (inode, mode, owner, group, links) = (UInt64(s.st_ino), s.st_mode, s.st_uid, s.st_gid, UInt64(s.st_nlink))
            (changedSeconds, changedNanoseconds) = (s.st_ctim.tv_sec, s.st_ctim.tv_nsec)
            (modifiedSeconds, modifiedNanoseconds) = (s.st_mtim.tv_sec, s.st_mtim.tv_nsec)
        }
    }

    /// When everything in it was last modified, as far as anyone can tell. The kernel's clock for files ticks slowly: what
    /// happens to a directory right after it was made can bear the time of its making, but never one so long ago.
    private static let modified = 1_000_000_000

    /// - Parameters:
    ///   - path: where it is mounted, its directories made.
    ///   - names: of all its directories, its root first and the workspace last; of its root alone where it will never be
    ///     asked if it is blank.
    init(at path: String, _ names: [String]) throws(Failure) {
        var open: [Int32] = []
        do throws(Errno) {
            for name in names {
                open.append(try Files.open(path + name, O_RDONLY | O_DIRECTORY))
            }
        } catch { throw Failure(.makeDirectories, error.code) }
        directories = open
    }

    /// To be called when everything is mounted that leaves marks of its own, overlay first of all.
    mutating func rememberAsBlank() throws(Failure) {
        do throws(Errno) {
            space = try Files.blocksAndInodes(directories[0])
            guard directories.count > 1 else { return }
            for fd in directories { try Files.setTimes(fd, seconds: Self.modified) }
            blank = try fingerprints()
            lastInode = try Files.nextInode(directories[0])
        } catch { throw Failure(.prepare, error.code, "scratch") }
    }

    /// Whether it is to the last time stamp what it was when it was remembered: no file in it, none made and removed
    /// again, no attribute changed.
    mutating func isBlank() -> Bool {
        guard let now = try? Files.blocksAndInodes(directories[0]), now == space else { return false }
        // The workspace, the last one, is the only directory that the job owns.
        guard (try? fingerprints()) == blank, let workspace = directories.last else { return false }
        guard (try? Files.hasAttributes(workspace)) == false, let inode = try? Files.nextInode(directories[0]) else { return false }
        defer { lastInode = inode }
        return inode == lastInode + 1
    }

    private func fingerprints() throws(Errno) -> [Fingerprint] {
        var result: [Fingerprint] = []
        result.reserveCapacity(directories.count)
        for fd in directories { result.append(Fingerprint(try Files.status(fd))) }
        return result
    }

    /// What was in it when it was blank: not the job's, so its counts start after that.
    var own: (inodes: Int, bytes: Int) { (Int(space.usedInodes), Int(space.usedBlocks) * 4096) }

    /// Gives it these bounds.
    /// - Returns: false when more than that is in it already.
    mutating func resize(_ limits: EnforcedLimits) throws(Failure) -> Bool {
        guard bounds != (limits.diskBytes, limits.diskInodes) else { return true }
        do throws(Errno) {
            try Mounts.reconfigure(
                "/workspace", flags: Self.flags, options: "size=\(limits.diskBytes + own.bytes),nr_inodes=\(limits.diskInodes + own.inodes)")
        } catch {
            if error.code == EINVAL { return false }
            throw Failure(.resizeScratch, error.code)
        }
        bounds = (limits.diskBytes, limits.diskInodes)
        return true
    }

    func close() { for fd in directories { Files.close(fd) } }
}
