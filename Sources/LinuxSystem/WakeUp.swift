// An event counter one thread waits on and others raise.

import CLinux
import Glibc

public final class WakeUp: Sendable {
    public let fd: Int32
    public init() throws(Errno) {
        fd = Int32(try check(syscall(SYS_eventfd2, 0, Int(EFD_CLOEXEC | EFD_NONBLOCK))))
    }
    deinit { Files.close(fd) }

    public func raise() {
        var one: UInt64 = 1
        _ = withUnsafePointer(to: &one) { syscall(SYS_write, Int(fd), address($0), 8) }
    }

    public func clear() { Events.drain(fd) }
}

public enum Events {
    /// Takes whatever an eventfd or signalfd holds.
    public static func drain(_ fd: Int32) {
        var buffer = (UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0),
                      UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0))
        // An eventfd gives 8 bytes a read and is then empty; a signalfd gives one 128-byte record a read.
        while withUnsafeMutablePointer(to: &buffer, { syscall(SYS_read, Int(fd), address($0), 128) }) > 8 {}
    }

    public static func counter() throws(Errno) -> Int32 {
        Int32(try check(syscall(SYS_eventfd2, 0, Int(EFD_CLOEXEC | EFD_NONBLOCK))))
    }
}
