// A file or pipe, line by line, without ever holding more than one line and a block of it.

import Foundation

struct LineReader {
    enum Line {
        case text([UInt8])
        /// Longer than any job may be; skipped.
        case tooLong(Int)
    }

    static let maxLine = 64 << 20

    let name: String
    private let descriptor: Int32
    /// Of the file, where it has one.
    let size: Int?
    private var buffer: [UInt8] = []
    private var start = 0
    private var ended = false
    /// Of the line that came last, from 1.
    private(set) var number = 0

    /// - Parameter path: `-` for standard input.
    init(_ path: String) throws {
        name = path == "-" ? "standard input" : path
        descriptor = path == "-" ? 0 : open(path, O_RDONLY | O_CLOEXEC)
        var status = stat()
        guard descriptor >= 0, fstat(descriptor, &status) == 0 else {
            throw UserError("\(Human.safe(path)): \(String(cString: strerror(errno)))", hint: "a jobs file has one job, a JSON object, per line; '-' reads standard input")
        }
        guard status.st_mode & S_IFMT != S_IFDIR else { throw UserError("\(Human.safe(path)) is a directory, expected a file of jobs") }
        size = status.st_mode & S_IFMT == S_IFREG ? Int(status.st_size) : nil
    }

    /// The next line that is not blank.
    mutating func next() throws -> Line? {
        while true {
            if let end = try findEnd() {
                number += 1
                let line = Array(buffer[start..<end])
                start = min(end + 1, buffer.count)
                if line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0d }) { continue }
                return .text(line)
            }
            if buffer.count - start > Self.maxLine {
                number += 1
                return .tooLong(try skipLine())
            }
            return nil
        }
    }

    /// Where the current line ends; `nil` at the end of the input, or when the line is longer than allowed.
    private mutating func findEnd() throws -> Int? {
        var searched = start
        while true {
            if let end = buffer[searched...].firstIndex(of: 0x0a) { return end - start > Self.maxLine ? nil : end }
            if ended { return start < buffer.count ? buffer.count : nil }
            if buffer.count - start > Self.maxLine { return nil }
            buffer.removeFirst(start)
            start = 0
            searched = buffer.count
            try fill()
        }
    }

    private mutating func fill() throws {
        let had = buffer.count
        buffer.append(contentsOf: repeatElement(0, count: 256 << 10))
        while true {
            // In short waits, so that ^C is heard while a pipe is silent.
            var input = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&input, 1, 100) > 0 else {
                guard Task.isCancelled else { continue }
                buffer.removeLast(buffer.count - had)
                ended = true
                return
            }
            let count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress! + had, $0.count - had) }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else {
                let reason = String(cString: strerror(errno))
                buffer.removeLast(buffer.count - had)
                throw UserError("\(Human.safe(name)): \(reason)")
            }
            buffer.removeLast(buffer.count - had - count)
            ended = count == 0
            return
        }
    }

    /// - Returns: how long the line was.
    private mutating func skipLine() throws -> Int {
        var length = 0
        while true {
            if let end = buffer[start...].firstIndex(of: 0x0a) {
                length += end - start
                start = end + 1
                return length
            }
            length += buffer.count - start
            buffer = []
            start = 0
            if ended { return length }
            try fill()
        }
    }
}
