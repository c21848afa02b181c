// What a skeleton was made from: as long as all of it is as it was, so is the skeleton, and nobody need walk /etc to
// learn which one it is. A list of a hundred and fifty paths is compared in 0.2 ms; the walk takes 2 to 3, of `paddock run`'s 20.

import Foundation
import Glibc

/// Paths, and what `stat` said of each, or that there was nothing. Of a directory that stands for its names and links too:
/// none of them comes, goes or is made to lead elsewhere but with the directory's times.
struct SkeletonWitness {
    /// Of which machine and which form of skeleton it tells; then for each path whether links were followed, the path, a
    /// zero byte and the numbers.
    private var list: [UInt8]
    private let heading: [UInt8]

    private enum Mark {
        static let name: UInt8 = 0
        static let followed: UInt8 = 1
        /// Behind the last: a list that was cut anywhere is none.
        static let end: UInt8 = 2
    }

    init(of machine: String, form: String) {
        heading = Array("\(form)\0\(machine)\0".utf8)
        list = heading
    }

    /// One that was kept; `nil` if it tells of something else.
    init?(kept: [UInt8], of machine: String, form: String) {
        self.init(of: machine, form: form)
        guard kept.starts(with: heading), kept.last == Mark.end else { return nil }
        list = kept
        list.removeLast()
    }

    var bytes: [UInt8] { list + [Mark.end] }

    mutating func note(_ path: String, follow: Bool = false) {
        list.append(follow ? Mark.followed : Mark.name)
        list += path.utf8
        list.append(0)
        path.withCString { path in withUnsafeBytes(of: Self.look(path, follow)) { list += $0 } }
    }

    /// Whether all is as it was. Of bytes that are no list it is false.
    func holds() -> Bool {
        list.withUnsafeBytes { all in
            var rest = all.dropFirst(heading.count)
            guard !rest.isEmpty else { return false }
            while let mark = rest.popFirst() {
                guard mark <= Mark.followed, let end = rest.firstIndex(of: 0), rest.endIndex - end > MemoryLayout<Sight>.size else { return false }
                // The zero byte ends the path for the kernel as well.
                let path = all.baseAddress!.advanced(by: rest.startIndex).assumingMemoryBound(to: CChar.self)
                let then = all.loadUnaligned(fromByteOffset: end + 1, as: Sight.self)
                guard Self.look(path, mark == Mark.followed) == then else { return false }
                rest = rest[(end + 1 + MemoryLayout<Sight>.size)...]
            }
            return true
        }
    }

    /// Mode, inode, size and times: zeros where there is nothing.
    private typealias Sight = SIMD8<Int64>

    private static func look(_ path: UnsafePointer<CChar>, _ follow: Bool) -> Sight {
        var s = stat()
        guard fstatat(AT_FDCWD, path, &s, follow ? 0 : AT_SYMLINK_NOFOLLOW) == 0 else { return .zero }
        return Sight(
            Int64(s.st_mode), Int64(bitPattern: UInt64(s.st_dev)), Int64(bitPattern: UInt64(s.st_ino)), Int64(s.st_size), Int64(s.st_mtim.tv_sec),
            Int64(s.st_mtim.tv_nsec), Int64(s.st_ctim.tv_sec), Int64(s.st_ctim.tv_nsec))
    }
}
