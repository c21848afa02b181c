// What a local job reads as its standard input: always a pipe, or nothing. A descriptor of this machine's files or
// terminal would carry rights into the sandbox: a terminal can be written to, a file opened again through /proc, a
// directory walked out of, and at a socket bash reads ~/.bashrc.

import Foundation
import LinuxSystem

/// The job's end of its standard input.
struct JobInput {
    /// `nil` for an empty input.
    let descriptor: Int32?

    static let empty = JobInput(descriptor: nil)

    /// This process's own standard input.
    static func inherited() throws -> JobInput {
        var status = stat()
        guard fstat(0, &status) == 0 else { return empty }
        switch status.st_mode & S_IFMT {
        case S_IFDIR: throw UserError("standard input is a directory", hint: "give a file with --stdin FILE, or '< /dev/null'")
        case S_IFIFO: return JobInput(descriptor: 0)
        case S_IFCHR where isatty(0) == 1:
            // In the background, reading from the terminal would stop this process.
            return tcgetpgrp(0) == getpgrp() ? try pumped(from: 0) : empty
        case S_IFCHR where status.st_rdev == makedev(1, 3): return empty
        default: return try pumped(from: 0)
        }
    }

    /// The content of a file.
    static func file(_ path: String) throws -> JobInput {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw UserError("--stdin: \(Human.safe(path)): \(String(cString: strerror(errno)))") }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT != S_IFDIR else {
            close(descriptor)
            throw UserError("--stdin: \(Human.safe(path)) is a directory, expected a file")
        }
        return try pumped(from: descriptor)
    }

    /// A pipe that a thread fills from `source` until it ends or nobody reads any more.
    private static func pumped(from source: Int32) throws -> JobInput {
        let (reading, writing) = try Files.pipe()
        // A thread and not a task: it waits in read() for as long as the terminal is silent.
        Thread.detachNewThread {
            var buffer = [UInt8](repeating: 0, count: 64 << 10)
            loop: while true {
                let count = read(source, &buffer, buffer.count)
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { break }
                var done = 0
                while done < count {
                    let written = buffer.withUnsafeBytes { write(writing, $0.baseAddress! + done, count - done) }
                    if written < 0 && errno == EINTR { continue }
                    guard written > 0 else { break loop }
                    done += written
                }
            }
            close(writing)
        }
        return JobInput(descriptor: reading)
    }

    private static func makedev(_ major: UInt64, _ minor: UInt64) -> dev_t { dev_t(major << 8 | minor) }
}
