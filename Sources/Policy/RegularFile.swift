// The bytes of a file that somebody names; with Libseccomp.swift the only file of this room that touches C. Foundation reads a
// file's owner, group and extended attributes only to say that it is a file: 80 system calls for each policy.

import Glibc

enum RegularFile {
    struct Failure: Error {
        var message: String
    }

    /// - Returns: at most `limit` bytes, from the start. Links are followed.
    static func read(_ path: String, limit: Int) throws(Failure) -> [UInt8] {
        // A pipe would keep the farm waiting for its other end.
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw unreadable() }
        defer { close(file) }
        var status = stat()
        guard unsafe fstat(file, &status) == 0 else { throw unreadable() }
        guard status.st_mode & S_IFMT == S_IFREG else { throw Failure(message: "is not a regular file") }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while bytes.count < limit {
            let count = unsafe chunk.withUnsafeMutableBytes { unsafe Glibc.read(file, $0.baseAddress, min($0.count, limit - bytes.count)) }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw unreadable() }
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return bytes
    }

    private static func unreadable() -> Failure { Failure(message: "cannot be read: \(unsafe String(cString: strerror(errno)))") }
}
