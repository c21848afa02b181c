// Two processes that share memory make system calls at once, so a call's failure must not pass through the errno they share.

import Glibc
import LinuxSystem
import Testing

@Suite("A system call")
struct SystemCallTests {
    @Test("answers its failure, and leaves errno alone")
    func bare() {
        errno = ENOTTY
        let answer = syscall(SYS_close, -1)
        let left = errno
        #expect(answer == -Int(EBADF))
        #expect(left == ENOTTY)
    }

    @Test("passes six arguments")
    func six() {
        let size = 4096
        let (protection, flags) = (Int(PROT_READ | PROT_WRITE), Int(MAP_PRIVATE | MAP_ANONYMOUS))
        let start = syscall(SYS_mmap, 0, size, protection, flags, -1, 0)
        #expect(start > 0)
        // An offset that is no multiple of a page is refused, so the sixth arrives.
        #expect(syscall(SYS_mmap, 0, size, protection, Int(MAP_PRIVATE), -1, 1) == -Int(EINVAL))
        #expect(syscall(SYS_munmap, start, size) == 0)
    }
}
