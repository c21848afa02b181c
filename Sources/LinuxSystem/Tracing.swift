// Just enough of ptrace to be told of a process's signals before they take effect.

import CLinux
import Glibc

/// Why a traced process stopped.
public enum TraceStop: Sendable, Equatable {
    /// This signal is about to be delivered.
    case signal(Int32)
    /// It stopped as a whole, as SIGSTOP and its kin make it.
    case group
    /// Of no interest.
    case other

    init(_ status: Int32) {
        let (signal, event) = ((status >> 8) & 0xff, status >> 16)
        self = event == 0 ? .signal(signal) : event == 128 && [SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU].contains(signal) ? .group : .other
    }
}

public enum Tracing {
    // From <linux/ptrace.h>, which cannot stand beside libc's <sys/ptrace.h>.
    private static let (cont, getSignal, getRegisters, seize, listen) = (7, 0x4202, 0x4204, 0x4206, 0x4208)

    /// From now on the process stops, and can be waited for, whenever a signal is about to be delivered to it.
    public static func seize(_ pid: Int32) throws(Errno) { try call(seize, pid, 0, 0) }

    /// Whether the kernel would tell the caller what it tells those only who may trace the process: comparing its memory with
    /// itself asks for nothing else.
    public static func permits(_ pid: Int32) -> Bool { syscall(SYS_kcmp, Int(pid), Int(pid), 1, 0, 0) == 0 }  // KCMP_VM

    /// Lets it go on, with the signal it stopped for, if any.
    public static func resume(_ pid: Int32, delivering signal: Int32) { try? call(cont, pid, 0, Int(signal)) }

    /// Leaves it stopped until SIGCONT, as if nobody traced it.
    public static func keepStopped(_ pid: Int32) { try? call(listen, pid, 0, 0) }

    /// The address of the access that raised the signal it stopped for; `nil` when someone sent the signal.
    public static func faultAddress(_ pid: Int32) -> UInt? {
        // siginfo_t: signo, errno, code, and on both architectures the address at 16.
        withUnsafeTemporaryAllocation(byteCount: 128, alignment: 8) { info in
            guard (try? call(getSignal, pid, 0, Int(bitPattern: info.baseAddress))) != nil else { return nil }
            guard info.load(fromByteOffset: 8, as: Int32.self) > 0 else { return nil }
            return info.load(fromByteOffset: 16, as: UInt.self)
        }
    }

    public static func stackPointer(_ pid: Int32) -> UInt? {
        withUnsafeTemporaryAllocation(byteCount: 512, alignment: 8) { registers in
            var vector = iovec(iov_base: registers.baseAddress, iov_len: registers.count)
            guard (try? withUnsafeMutablePointer(to: &vector, { (v) throws(Errno) in try call(getRegisters, pid, 1, address(v)) })) != nil else { return nil }
            #if arch(x86_64)
            let index = 19
            #else
            let index = 31
            #endif
            return registers.load(fromByteOffset: 8 * index, as: UInt.self)
        }
    }

    private static func call(_ request: Int, _ pid: Int32, _ a: Int, _ b: Int) throws(Errno) {
        try check(syscall(SYS_ptrace, request, Int(pid), a, b))
    }
}
