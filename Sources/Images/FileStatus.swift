// What there is under a name: its kind, its size, the mount it belongs to.

import Foundation
import Glibc

/// What `stat` says, as far as anyone here asks.
struct FileStatus {
    enum Kind { case file, directory, link, other }
    var kind: Kind
    var mode: Int
    var size: Int
    var device: UInt64
    var inode: UInt64
    var linkCount: Int
    var modifiedNs: Int
    var changedNs: Int

    fileprivate init(_ raw: stat) {
        switch raw.st_mode & S_IFMT {
        case S_IFREG: kind = .file
        case S_IFDIR: kind = .directory
        case S_IFLNK: kind = .link
        default: kind = .other
        }
        mode = Int(raw.st_mode & 0o7777)
        size = Int(raw.st_size)
        device = UInt64(raw.st_dev)
        inode = UInt64(raw.st_ino)
        linkCount = Int(raw.st_nlink)
        modifiedNs = raw.st_mtim.tv_sec &* 1_000_000_000 &+ raw.st_mtim.tv_nsec
        changedNs = raw.st_ctim.tv_sec &* 1_000_000_000 &+ raw.st_ctim.tv_nsec
    }
}

extension Files {
    static func status(_ path: String, follow: Bool = true) -> FileStatus? {
        var raw = stat()
        return (follow ? stat(path, &raw) : lstat(path, &raw)) == 0 ? FileStatus(raw) : nil
    }

    static func status(_ file: Descriptor) throws -> FileStatus {
        var raw = stat()
        guard fstat(file.raw, &raw) == 0 else { throw failure("stat", "descriptor") }
        return FileStatus(raw)
    }

    /// Of the name itself, a link not followed; `nil` if there is no such name.
    static func status(at parent: Descriptor, _ name: String) throws -> FileStatus? {
        var raw = stat()
        if fstatat(parent.raw, name, &raw, AT_SYMLINK_NOFOLLOW) == 0 { return FileStatus(raw) }
        guard errno == ENOENT else { throw failure("stat", name) }
        return nil
    }

    /// Which mount a directory belongs to: a bind mount of the same file system has another one.
    static func mountID(_ directory: Descriptor) throws -> Int {
        let text = String(decoding: try read("/proc/self/fdinfo/\(directory.raw)", limit: 4096), as: UTF8.self)
        let line = text.split(separator: "\n").first { $0.hasPrefix("mnt_id:") }
        guard let id = line?.split(whereSeparator: { $0 == "\t" || $0 == " " }).last.flatMap({ Int($0) }) else {
            throw ImageError.malformed(item: "/proc/self/fdinfo", found: "no mount id", expected: "'mnt_id:'")
        }
        return id
    }

    static func exists(_ path: String) -> Bool { status(path) != nil }
    static func isDirectory(_ path: String) -> Bool { status(path)?.kind == .directory }
}
