// Puts this process under a filter, for good.

import CLinux
import Glibc

public enum SeccompFilter {
    /// - Parameter bpf: instructions of eight bytes each. What they hand to a listener is answered ENOSYS: there is none.
    public static func install(_ bpf: [UInt8]) throws(Errno) {
        guard bpf.count % 8 == 0, (1...4096).contains(bpf.count / 8) else { throw Errno(EINVAL) }
        let r = bpf.withUnsafeBytes { code in
            var program = sock_fprog(len: UInt16(code.count / 8), filter: UnsafeMutablePointer(mutating: code.baseAddress!.assumingMemoryBound(to: sock_filter.self)))
            return withUnsafePointer(to: &program) { syscall(SYS_seccomp, Int(SECCOMP_SET_MODE_FILTER), 0, Int(bitPattern: $0)) }
        }
        try check(r)
    }
}
