// Reading a directory's names without libc's allocating DIR.

import CLinux
import Glibc

public struct DirectoryEntry: Sendable, Equatable {
    public enum Kind: Sendable, Equatable { case file, directory, link, other }
    /// What is not UTF-8 in it is replaced: then nothing can be opened by it.
    public var name: String
    public var kind: Kind
    /// The name's own bytes where they are not UTF-8.
    public var rawName: [UInt8]?
}

extension Files {
    /// The entries of an open directory, `.` and `..` left out, at most `limit` of them.
    public static func entries(_ fd: Int32, limit: Int = .max) throws(Errno) -> [DirectoryEntry] {
        var result: [DirectoryEntry] = []
        var buffer = [UInt8](repeating: 0, count: 32 << 10)
        while result.count < limit {
            let n = try check(buffer.withUnsafeMutableBytes { syscall(SYS_getdents64, Int(fd), address($0.baseAddress), $0.count) })
            if n == 0 { break }
            var at = 0
            // struct linux_dirent64: ino u64, off i64, reclen u16, type u8, name.
            while at < n && result.count < limit {
                let length = Int(buffer[at + 16]) | Int(buffer[at + 17]) << 8
                let type = buffer[at + 18]
                let bytes = buffer[(at + 19)..<(at + length)].prefix { $0 != 0 }
                at += length
                let text = String(validating: bytes, as: UTF8.self)
                if text == "." || text == ".." { continue }
                let kind: DirectoryEntry.Kind =
                    switch Int32(type) {
                    case Int32(DT_REG): .file
                    case Int32(DT_DIR): .directory
                    case Int32(DT_LNK): .link
                    default: .other
                    }
                let name = text ?? String(decoding: bytes, as: UTF8.self)
                result.append(DirectoryEntry(name: name, kind: kind, rawName: text == nil ? Array(bytes) : nil))
            }
        }
        return result
    }
}
