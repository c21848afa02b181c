// Where the command line's words go: results to standard output, everything about them to standard error.

import Foundation
import LinuxSystem

enum Console {
    /// Standard output. A reader that went away ends the command quietly, as it does with other tools.
    static func out(_ text: String) { out(bytes: Array((text + "\n").utf8)) }

    static func out(bytes: [UInt8]) {
        if write(1, bytes) { return }
        let loss = Errno(errno)
        if loss.code != EPIPE { note("paddock: standard output: \(loss.sentence)") }
        exit(Exit.failed)
    }

    /// Standard error. Whether anybody reads it changes nothing.
    static func note(_ text: String) { _ = write(2, Array((text + "\n").utf8)) }

    /// Writes everything, as slowly as the reader wants it.
    /// - Parameter goOn: asked while the reader keeps us waiting; `false` gives up.
    /// - Returns: `false` when it was given up, or could not be written: then `errno` says why, EPIPE where nobody reads any more.
    static func write(_ descriptor: Int32, _ bytes: [UInt8], while goOn: () -> Bool = { true }) -> Bool {
        var done = 0
        while done < bytes.count {
            var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            let ready = Glibc.poll(&poll, 1, 100)
            if !goOn() { return false }
            if ready == 0 || ready < 0 && errno == EINTR { continue }
            // A pipe that is ready takes this many bytes without blocking.
            let count = min(bytes.count - done, 4096)
            let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + done, count) }
            if written >= 0 {
                done += written
            } else if errno != EINTR && errno != EAGAIN {
                return false
            }
        }
        return true
    }

    /// The terminal's width in columns; 100 where there is no terminal.
    static func width(_ descriptor: Int32 = 1) -> Int { size(descriptor)?.columns ?? 100 }

    static func size(_ descriptor: Int32 = 1) -> (columns: Int, rows: Int)? {
        var size = winsize()
        guard isatty(descriptor) == 1, ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return (Int(size.ws_col), Int(size.ws_row))
    }
}

/// The exit codes of every verb, after isolate's: a program's failure is never mistaken for Paddock's own.
enum Exit {
    static let succeeded: Int32 = 0
    /// The program failed, or a limit, the policy or somebody ended it; a check found something wrong.
    static let failed: Int32 = 1
    /// The command line, a file or a name in it is wrong. Nothing was run.
    static let usage: Int32 = 2
    /// Paddock itself failed: no daemon, a host that lacks something, an internal error.
    static let farm: Int32 = 3
}
