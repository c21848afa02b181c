// `/proc/PID/stat`: a process in one line of numbers.

import Glibc

public struct ProcessStat {
    /// Of the fourth field and all behind it: the third is a letter, and the second a name.
    private var numbers: [Int] = []
    /// Whether it has ended, and only its parent has not noticed yet.
    public private(set) var isZombie = false

    public init?(of pid: Int32) {
        guard let fd = try? Files.open("/proc/\(pid)/stat", O_RDONLY) else { return nil }
        defer { Files.close(fd) }
        self.init(from: fd)
    }

    /// - Parameter fd: of the file, which may have been opened long ago. `nil` if the process is gone.
    public init?(from fd: Int32) {
        let isWhole = withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 16) { buffer in
            // The name may hold anything, brackets too; after the last one there are only a letter and numbers.
            guard let count = try? Files.pread(fd, buffer, at: 0), let close = buffer[..<count].lastIndex(of: UInt8(ascii: ")")) else { return false }
            numbers.reserveCapacity(49)
            isZombie = close + 2 < count && buffer[close + 2] == UInt8(ascii: "Z")
            // A space, the letter and a space.
            var at = close + 4
            while at < count {
                let isNegative = buffer[at] == UInt8(ascii: "-")
                if isNegative { at += 1 }
                var value = 0
                // What is larger than an Int is a limit that is none.
                while at < count, case let digit = buffer[at] &- 0x30, digit <= 9 {
                    value = value &* 10 &+ Int(digit)
                    at += 1
                }
                numbers.append(isNegative ? 0 &- value : value)
                at += 1
            }
            return true
        }
        guard isWhole else { return nil }
    }

    /// A field by its number in proc(5), 4 or more; `nil` where this kernel has none.
    public subscript(field: Int) -> Int? { numbers.indices.contains(field - 4) ? numbers[field - 4] : nil }
}
