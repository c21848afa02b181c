// Memory for the stack of a child that runs in its parent's memory; and the way to give memory back.

import CLinux
import Glibc

public enum Stacks {
    /// - Returns: the usable part; what overflows it meets a page that nobody may touch.
    public static func allocate(_ bytes: Int) throws(Errno) -> UnsafeMutableRawBufferPointer {
        let page = 4096
        let flags = Int(MAP_PRIVATE | MAP_ANONYMOUS) | 0x20000 | 0x4000  // MAP_STACK, MAP_NORESERVE
        let start = try check(syscall(SYS_mmap, 0, bytes + page, Int(PROT_READ | PROT_WRITE), flags, -1, 0))
        let whole = UnsafeMutableRawPointer(bitPattern: start)!
        try check(syscall(SYS_mprotect, start, page, Int(PROT_NONE)))
        return UnsafeMutableRawBufferPointer(start: whole + page, count: bytes)
    }
}

public enum Heap {
    /// Gives pages that hold nothing back to the kernel: for a process that is about to wait for long.
    public static func trim() { pd_heap_trim() }
}
