// Files, directories and descriptors, in the kernel's words.

import CLinux
import Glibc

/// A descriptor with one owner: it is closed when the last reference goes.
public final class Descriptor: Sendable {
    public let raw: Int32
    public init(_ raw: Int32) { self.raw = raw }
    deinit { _ = syscall(SYS_close, Int(raw)) }
}

public enum Files {
    public static func open(_ path: String, _ flags: Int32, mode: Int = 0) throws(Errno) -> Int32 {
        try open(at: AT_FDCWD, path, flags, mode: mode)
    }

    public static func open(at directory: Int32, _ path: String, _ flags: Int32, mode: Int = 0) throws(Errno) -> Int32 {
        Int32(try check(path.withCString {
            syscall(SYS_openat, Int(directory), address($0), Int(flags | O_CLOEXEC), mode)
        }))
    }

    /// Opens below `directory` without leaving it, without following any symbolic link and without crossing a mount.
    public static func openBeneath(_ directory: Int32, _ path: String, _ flags: Int32, mode: Int = 0) throws(Errno) -> Int32 {
        var how = open_how(
            flags: UInt64(UInt32(bitPattern: flags | O_CLOEXEC)), mode: UInt64(mode),
            resolve: UInt64(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV))
        return Int32(try check(path.withCString { path in
            withUnsafePointer(to: &how) {
                syscall(SYS_openat2, Int(directory), address(path), address($0), MemoryLayout<open_how>.size)
            }
        }))
    }

    public static func close(_ fd: Int32) { _ = syscall(SYS_close, Int(fd)) }

    /// Reads what is there into `buffer`; 0 at the end of the file.
    public static func read(_ fd: Int32, _ buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        try check(syscall(SYS_read, Int(fd), address(buffer.baseAddress), buffer.count))
    }

    public static func pread(_ fd: Int32, _ buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(Errno) -> Int {
        try check(syscall(SYS_pread64, Int(fd), address(buffer.baseAddress), buffer.count, offset))
    }

    /// Writes all of `bytes`, however many calls that takes.
    public static func writeAll(_ fd: Int32, _ bytes: UnsafeRawBufferPointer) throws(Errno) {
        var done = 0
        while done < bytes.count {
            let n = syscall(SYS_write, Int(fd), address(bytes.baseAddress! + done), bytes.count - done)
            if n == -Int(EINTR) { continue }
            done += try check(n)
        }
    }

    public static func writeAll(_ fd: Int32, _ bytes: [UInt8]) throws(Errno) {
        try bytes.withUnsafeBufferPointer { (b) throws(Errno) in try writeAll(fd, UnsafeRawBufferPointer(b)) }
    }

    public static func writeAll(_ fd: Int32, _ text: String) throws(Errno) { try writeAll(fd, Array(text.utf8)) }

    /// Writes `text` at offset 0 in one call, as the control files of cgroups and `/proc` want it.
    public static func writeControl(_ fd: Int32, _ text: String) throws(Errno) {
        var text = text
        try check(text.withUTF8 { syscall(SYS_pwrite64, Int(fd), address($0.baseAddress), $0.count, 0) })
    }

    public static func writeFile(_ path: String, _ text: String) throws(Errno) {
        let fd = try open(path, O_WRONLY)
        defer { close(fd) }
        // write and not pwrite: an id map cannot be written at an offset, not even at 0.
        try writeAll(fd, text)
    }

    /// The first `limit` bytes of a small control file, from its beginning.
    public static func readControl(_ fd: Int32, limit: Int = 1024) throws(Errno) -> String {
        var bytes = [UInt8](repeating: 0, count: limit)
        let n = try bytes.withUnsafeMutableBufferPointer { (b) throws(Errno) in try pread(fd, UnsafeMutableRawBufferPointer(b), at: 0) }
        return String(decoding: bytes[..<n], as: UTF8.self)
    }

    /// A whole file, refused above `limit` bytes with EFBIG.
    public static func readAll(_ fd: Int32, limit: Int) throws(Errno) -> [UInt8] {
        var result: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let n = try chunk.withUnsafeMutableBufferPointer { (b) throws(Errno) in try read(fd, UnsafeMutableRawBufferPointer(b)) }
            if n == 0 { return result }
            if result.count + n > limit { throw Errno(EFBIG) }
            result.append(contentsOf: chunk[..<n])
        }
    }

    public static func readFile(_ path: String, limit: Int = 1 << 20) throws(Errno) -> String {
        String(decoding: try readData(path, limit: limit), as: UTF8.self)
    }

    public static func readData(_ path: String, limit: Int = 1 << 20) throws(Errno) -> [UInt8] {
        let fd = try open(path, O_RDONLY)
        defer { close(fd) }
        return try readAll(fd, limit: limit)
    }

    public static func makeDirectory(_ path: String, mode: Int = 0o755) throws(Errno) {
        try check(path.withCString { syscall(SYS_mkdirat, Int(AT_FDCWD), address($0), mode) })
    }

    public static func makeDirectory(at directory: Int32, _ path: String, mode: Int = 0o755) throws(Errno) {
        try check(path.withCString { syscall(SYS_mkdirat, Int(directory), address($0), mode) })
    }

    /// Makes a directory unless it is there already.
    public static func ensureDirectory(_ path: String, mode: Int = 0o755) throws(Errno) {
        do { try makeDirectory(path, mode: mode) } catch let e { if e.code != EEXIST { throw e } }
    }

    public static func removeDirectory(_ path: String) throws(Errno) {
        try check(path.withCString { syscall(SYS_unlinkat, Int(AT_FDCWD), address($0), Int(AT_REMOVEDIR)) })
    }

    public static func remove(_ path: String) throws(Errno) {
        try check(path.withCString { syscall(SYS_unlinkat, Int(AT_FDCWD), address($0), 0) })
    }

    public static func symlink(_ target: String, at path: String) throws(Errno) {
        try check(target.withCString { t in
            path.withCString { syscall(SYS_symlinkat, address(t), Int(AT_FDCWD), address($0)) }
        })
    }

    public static func makeNode(_ path: String, mode: UInt32, major: UInt32, minor: UInt32) throws(Errno) {
        let device = Int(major << 8 | minor)
        try check(path.withCString { syscall(SYS_mknodat, Int(AT_FDCWD), address($0), Int(mode), device) })
    }

    public static func changeOwner(_ path: String, uid: Int, gid: Int) throws(Errno) {
        try check(path.withCString {
            syscall(SYS_fchownat, Int(AT_FDCWD), address($0), uid, gid, Int(AT_SYMLINK_NOFOLLOW))
        })
    }

    public static func changeOwner(_ fd: Int32, uid: Int, gid: Int) throws(Errno) {
        try check(syscall(SYS_fchown, Int(fd), uid, gid))
    }

    public static func changeMode(_ fd: Int32, _ mode: Int) throws(Errno) { try check(syscall(SYS_fchmod, Int(fd), mode)) }

    public static func changeMode(_ path: String, _ mode: Int) throws(Errno) {
        try check(path.withCString { syscall(SYS_fchmodat, Int(AT_FDCWD), address($0), mode) })
    }

    public static func changeDirectory(_ path: String) throws(Errno) {
        try check(path.withCString { syscall(SYS_chdir, address($0)) })
    }

    /// Makes an open directory this process's root and its current directory.
    public static func changeRoot(_ directory: Int32) throws(Errno) {
        try check(syscall(SYS_fchdir, Int(directory)))
        try check(".".withCString { syscall(SYS_chroot, address($0)) })
    }

    public static func exists(_ path: String) -> Bool {
        path.withCString { syscall(SYS_faccessat, Int(AT_FDCWD), address($0), Int(F_OK)) } == 0
    }

    /// Size, mode and kind of an open file.
    public static func status(_ fd: Int32) throws(Errno) -> stat {
        var result = stat()
        try check(withUnsafeMutablePointer(to: &result) { Int(fstat(fd, $0)) == 0 ? 0 : -Int(errno) })
        return result
    }

    /// Of what a path leads to.
    public static func status(_ path: String) throws(Errno) -> stat {
        var result = stat()
        try check(withUnsafeMutablePointer(to: &result) { Int(stat(path, $0)) == 0 ? 0 : -Int(errno) })
        return result
    }

    /// Sets when it was last read and modified.
    public static func setTimes(_ fd: Int32, seconds: Int) throws(Errno) {
        var times = (timespec(tv_sec: seconds, tv_nsec: 0), timespec(tv_sec: seconds, tv_nsec: 0))
        try check(withUnsafePointer(to: &times) { syscall(SYS_utimensat, Int(fd), 0, address($0), 0) })
    }

    /// The inode number that a file made now gets, by making one that has no name.
    public static func nextInode(_ directory: Int32) throws(Errno) -> UInt64 {
        let fd = try open(at: directory, ".", O_RDWR | 0o20200000, mode: 0o600)  // O_TMPFILE
        defer { close(fd) }
        return UInt64(try status(fd).st_ino)
    }

    /// Whether it has extended attributes that this process may list.
    public static func hasAttributes(_ fd: Int32) throws(Errno) -> Bool { try check(syscall(SYS_flistxattr, Int(fd), 0, 0)) > 0 }

    public static func setAttribute(_ fd: Int32, _ name: String, _ value: String) throws(Errno) {
        try check(name.withCString { name in
            value.withCString { syscall(SYS_fsetxattr, Int(fd), address(name), address($0), value.utf8.count, 0) }
        })
    }

    /// Puts the whole file system on the disk that `fd` is in.
    public static func syncFileSystem(_ fd: Int32) throws(Errno) { try check(syscall(SYS_syncfs, Int(fd))) }

    public typealias Usage = (usedBytes: Int, freeBytes: Int, usedInodes: Int, freeInodes: Int)

    /// Bytes and inodes in use and free of the file system that `path` is on.
    public static func usage(_ path: String) throws(Errno) -> Usage {
        var s = CLinux.statfs()
        try check(path.withCString { p in
            withUnsafeMutablePointer(to: &s) { syscall(SYS_statfs, address(p), address($0)) }
        })
        let block = Int(s.f_bsize)
        return (
            Int(s.f_blocks - s.f_bfree) * block, Int(s.f_bavail) * block, Int(s.f_files - s.f_ffree), Int(s.f_ffree)
        )
    }

    /// The same of an open directory, in the file system's own units of blocks.
    public static func blocksAndInodes(_ fd: Int32) throws(Errno) -> (usedBlocks: UInt64, usedInodes: UInt64) {
        var s = CLinux.statfs()
        try check(withUnsafeMutablePointer(to: &s) { syscall(SYS_fstatfs, Int(fd), address($0)) })
        return (UInt64(s.f_blocks - s.f_bfree), UInt64(s.f_files - s.f_ffree))
    }

    public static func pipe() throws(Errno) -> (read: Int32, write: Int32) {
        var fds: (Int32, Int32) = (0, 0)
        try check(withUnsafeMutablePointer(to: &fds) { syscall(SYS_pipe2, address($0), Int(O_CLOEXEC)) })
        return fds
    }

    public static func memory(_ name: String) throws(Errno) -> Int32 {
        Int32(try check(name.withCString { syscall(SYS_memfd_create, address($0), 1 | 2) }))  // MFD_CLOEXEC, MFD_ALLOW_SEALING
    }

    /// Nobody can change what is in this memory file from here on, whoever opens it again.
    public static func seal(_ fd: Int32) throws(Errno) {
        try check(syscall(SYS_fcntl, Int(fd), 1033, 1 | 2 | 4 | 8))  // F_ADD_SEALS: seal, shrink, grow, write
    }

    public static func seek(_ fd: Int32, to offset: Int) throws(Errno) {
        try check(syscall(SYS_lseek, Int(fd), offset, Int(SEEK_SET)))
    }

    public static func duplicate(_ fd: Int32, above least: Int = 3) throws(Errno) -> Int32 {
        Int32(try check(syscall(SYS_fcntl, Int(fd), Int(F_DUPFD_CLOEXEC), least)))
    }

    /// Makes `target` a copy of `fd`, close-on-exec unless `inherited`.
    public static func duplicate(_ fd: Int32, onto target: Int32, inherited: Bool) throws(Errno) {
        try check(syscall(SYS_dup3, Int(fd), Int(target), inherited ? 0 : Int(O_CLOEXEC)))
    }

    public static func setNonBlocking(_ fd: Int32) throws(Errno) {
        let flags = try check(syscall(SYS_fcntl, Int(fd), Int(F_GETFL)))
        try check(syscall(SYS_fcntl, Int(fd), Int(F_SETFL), flags | Int(O_NONBLOCK)))
    }
}
