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
    /// Takes whatever an eventfd, timerfd or signalfd holds.
    public static func drain(_ fd: Int32) {
        var buffer = (UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0),
                      UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0))
        // An eventfd or timerfd gives 8 bytes a read and is then empty; a signalfd gives one 128-byte record a read.
        while withUnsafeMutablePointer(to: &buffer, { syscall(SYS_read, Int(fd), address($0), 128) }) > 8 {}
    }

    public static func counter() throws(Errno) -> Int32 {
        Int32(try check(syscall(SYS_eventfd2, 0, Int(EFD_CLOEXEC | EFD_NONBLOCK))))
    }
}

public enum Timers {
    /// A timerfd that counts the times its interval has passed.
    public static func every(seconds: Int) throws(Errno) -> Int32 {
        let fd = Int32(try check(syscall(SYS_timerfd_create, Int(CLOCK_MONOTONIC), Int(EFD_CLOEXEC | EFD_NONBLOCK))))  // TFD_… are the same
        var interval = itimerspec(it_interval: timespec(tv_sec: seconds, tv_nsec: 0), it_value: timespec(tv_sec: seconds, tv_nsec: 0))
        do throws(Errno) { try check(withUnsafePointer(to: &interval) { syscall(SYS_timerfd_settime, Int(fd), 0, address($0), 0) }) } catch {
            Files.close(fd)
            throw error
        }
        return fd
    }
}
