// The system calls this room makes, typed; with FileStatus.swift the only file here that speaks C. Paths that come from archives are never
// handed to the kernel whole; they are walked one name at a time from an open directory, without following links.

import Foundation
import Glibc
import LinuxSystem

/// An open descriptor, closed when the last reference goes. Never inherited by programs that are started.
final class Descriptor: Sendable {
    let raw: Int32
    init(_ raw: Int32) { self.raw = raw }
    deinit { close(raw) }
}

/// File system calls that throw `ImageError.system` with the operation, the path and the errno.
enum Files {
    static func openDirectory(_ path: String) throws -> Descriptor {
        try opened(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    }

    static func openDirectory(at parent: Descriptor, _ name: String) throws -> Descriptor {
        let fd = openat(parent.raw, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard fd >= 0 else { throw failure("open directory", name) }
        return Descriptor(fd)
    }

    static func openFile(_ path: String) throws -> Descriptor { try opened(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }

    static func openFile(at parent: Descriptor, _ name: String) throws -> Descriptor {
        // O_NONBLOCK so that a fifo put in a regular file's place cannot make us wait.
        let fd = openat(parent.raw, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
        guard fd >= 0 else { throw failure("open", name) }
        return Descriptor(fd)
    }

    /// A file that must not be there yet.
    static func createFile(at parent: Descriptor, _ name: String, mode: Int = 0o644) throws -> Descriptor {
        let fd = openat(parent.raw, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode_t(mode))
        guard fd >= 0 else { throw failure("create", name) }
        return Descriptor(fd)
    }

    /// A file that is made when it is not there, for locking or rewriting.
    static func openOrCreate(_ path: String, truncate: Bool = false, mode: Int = 0o644) throws -> Descriptor {
        let fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (truncate ? O_TRUNC : 0), mode_t(mode))
        guard fd >= 0 else { throw failure("open", path) }
        return Descriptor(fd)
    }

    private static func opened(_ path: String, _ flags: Int32) throws -> Descriptor {
        let fd = open(path, flags)
        guard fd >= 0 else { throw failure("open", path) }
        return Descriptor(fd)
    }

    static func names(in path: String) throws -> [String] { try names(openDirectory(path)) }

    static func names(_ directory: Descriptor) throws -> [String] { try entries(directory).map(\.name) }

    /// A name in a directory, and what the directory itself says of it; the kind is `nil` where it says none.
    struct Entry {
        var name: String
        var kind: FileStatus.Kind?
        var inode: UInt64
    }

    /// In the order of names.
    static func entries(_ directory: Descriptor) throws -> [Entry] {
        // A stream of its own: reading moves the descriptor's position.
        let fd = openat(directory.raw, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard fd >= 0 else { throw failure("open directory", ".") }
        guard let stream = fdopendir(fd) else {
            defer { close(fd) }
            throw failure("read directory", ".")
        }
        defer { closedir(stream) }
        var entries: [Entry] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            let kind: FileStatus.Kind? =
                switch Int(entry.pointee.d_type) {
                case Int(DT_UNKNOWN): nil
                case Int(DT_REG): .file
                case Int(DT_DIR): .directory
                case Int(DT_LNK): .link
                default: .other
                }
            if name != "." && name != ".." { entries.append(Entry(name: name, kind: kind, inode: UInt64(entry.pointee.d_ino))) }
        }
        return entries.sorted { $0.name < $1.name }
    }

    static func makeDirectory(at parent: Descriptor, _ name: String, mode: Int = 0o755) throws {
        // The process's umask has no say in what an image looks like.
        guard mkdirat(parent.raw, name, mode_t(mode)) == 0, fchmodat(parent.raw, name, mode_t(mode), 0) == 0 else {
            throw failure("make directory", name)
        }
    }

    /// Makes the directory and those above it; one that is there is fine.
    static func makeDirectories(_ path: String, mode: Int = 0o755) throws {
        if mkdir(path, mode_t(mode)) == 0 {
            guard chmod(path, mode_t(mode)) == 0 else { throw failure("chmod", path) }
            return
        }
        let code = errno
        if code == EEXIST, isDirectory(path) { return }
        let above = (path as NSString).deletingLastPathComponent
        guard code == ENOENT, !above.isEmpty, above != path else {
            throw ImageError.system(operation: "make directory", path: path, errno: code)
        }
        try makeDirectories(above)
        try makeDirectories(path, mode: mode)
    }

    static func makeLink(at parent: Descriptor, _ name: String, to target: String) throws {
        guard symlinkat(target, parent.raw, name) == 0 else { throw failure("symlink", name) }
    }

    static func makeHardLink(at parent: Descriptor, _ name: String, from: Descriptor, _ source: String) throws {
        guard linkat(from.raw, source, parent.raw, name, 0) == 0 else { throw failure("link", name) }
    }

    /// The character device 0:0 by which overlay hides a name of the layers below. 0, or the errno.
    static func makeWhiteout(at parent: Descriptor, _ name: String) -> Int32 {
        mknodat(parent.raw, name, S_IFCHR, 0) == 0 ? 0 : errno
    }

    /// Sets an extended attribute. 0, or the errno.
    static func setAttribute(_ file: Descriptor, _ name: String, _ value: String) -> Int32 {
        do throws(Errno) {
            try LinuxSystem.Files.setAttribute(file.raw, name, value)
            return 0
        } catch { return error.code }
    }

    static func readLink(at parent: Descriptor, _ name: String) throws -> String {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = buffer.withUnsafeMutableBytes {
            readlinkat(parent.raw, name, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
        }
        guard count >= 0 else { throw failure("read link", name) }
        return String(decoding: buffer[..<count], as: UTF8.self)
    }

    static func remove(at parent: Descriptor, _ name: String, directory: Bool = false) throws {
        guard unlinkat(parent.raw, name, directory ? AT_REMOVEDIR : 0) == 0 || errno == ENOENT else {
            throw failure("remove", name)
        }
    }

    static func setMode(_ file: Descriptor, _ mode: Int) throws {
        guard fchmod(file.raw, mode_t(mode)) == 0 else { throw failure("chmod", "descriptor") }
    }

    static func setTime(at parent: Descriptor, _ name: String, seconds: Int) {
        // Best effort: a wrong time is no reason to refuse an image.
        let moment = timespec(tv_sec: seconds, tv_nsec: 0)
        withUnsafePointer(to: (moment, moment)) {
            $0.withMemoryRebound(to: timespec.self, capacity: 2) {
                _ = utimensat(parent.raw, name, $0, AT_SYMLINK_NOFOLLOW)
            }
        }
    }

    static func rename(_ from: String, _ to: String) throws {
        guard Glibc.rename(from, to) == 0 else { throw failure("rename", to) }
    }

    static func sync(_ file: Descriptor) throws {
        guard fsync(file.raw) == 0 else { throw failure("sync", "descriptor") }
    }

    /// Puts the whole file system of `directory` on the disk, so that a rename after it never names half a tree.
    static func syncFileSystem(_ directory: Descriptor) throws {
        do throws(Errno) { try LinuxSystem.Files.syncFileSystem(directory.raw) } catch {
            throw ImageError.system(operation: "sync", path: "file system", errno: error.code)
        }
    }

    /// Takes the lock, waiting if `wait`; `false` if another holds it.
    static func lock(_ file: Descriptor, exclusive: Bool, wait: Bool) throws -> Bool {
        while flock(file.raw, (exclusive ? LOCK_EX : LOCK_SH) | (wait ? 0 : LOCK_NB)) != 0 {
            if errno == EINTR { continue }
            if errno == EWOULDBLOCK { return false }
            throw failure("lock", "descriptor")
        }
        return true
    }

    /// Up to `count` bytes; empty at the end of the file.
    static func read(_ file: Descriptor, at offset: Int? = nil, count: Int) throws -> [UInt8] {
        var failed: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
            while true {
                let got = offset.map { pread(file.raw, buffer.baseAddress, count, off_t($0)) }
                    ?? Glibc.read(file.raw, buffer.baseAddress, count)
                if got < 0 && errno == EINTR { continue }
                if got < 0 { failed = errno }
                used = max(got, 0)
                return
            }
        }
        if failed != 0 { throw ImageError.system(operation: "read", path: "descriptor", errno: failed) }
        return bytes
    }

    static func write(_ file: Descriptor, _ bytes: ArraySlice<UInt8>) throws {
        try bytes.withUnsafeBytes { buffer in
            var done = 0
            while done < buffer.count {
                let wrote = Glibc.write(file.raw, buffer.baseAddress! + done, buffer.count - done)
                if wrote < 0 && errno == EINTR { continue }
                guard wrote > 0 else { throw failure("write", "descriptor") }
                done += wrote
            }
        }
    }

    static var isRoot: Bool { geteuid() == 0 }
    static var processID: Int { Int(getpid()) }

    static func failure(_ operation: String, _ path: String) -> ImageError {
        .system(operation: operation, path: path, errno: errno)
    }
}

func errnoText(_ code: Int32) -> String { String(cString: strerror(code)) + " (errno \(code))" }
