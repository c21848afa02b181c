// Waiting for another process that shares this one's memory.

import CLinux
import Glibc

public enum Futex {
    /// Waits while the word is `value`; may also return for no reason.
    public static func wait(_ word: UnsafeMutablePointer<Int32>, while value: Int32) {
        _ = syscall(SYS_futex, address(word), 0, Int(value))  // FUTEX_WAIT
    }

    public static func wait(_ word: UnsafeMutablePointer<Int32>, while value: Int32, atMostMilliseconds limit: Int) {
        var time = timespec(tv_sec: limit / 1000, tv_nsec: limit % 1000 * 1_000_000)
        withUnsafePointer(to: &time) { _ = syscall(SYS_futex, address(word), 0, Int(value), address($0)) }
    }

    /// Sets the word and wakes whoever waits on it.
    public static func set(_ word: UnsafeMutablePointer<Int32>, to value: Int32) {
        pd_store_release(word, value)
        _ = syscall(SYS_futex, address(word), 1, Int(Int32.max))  // FUTEX_WAKE
    }

    public static func value(_ word: UnsafeMutablePointer<Int32>) -> Int32 { pd_load_acquire(word) }
}
