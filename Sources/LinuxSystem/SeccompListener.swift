// The supervisor's end of a seccomp filter: syscalls the filter hands over, and the answer to each.

import CLinux
import Glibc

public struct SeccompNotification: Sendable {
    public var id: UInt64
    public var pid: Int32
    public var syscall: Int32
    public var architecture: UInt32
}

public enum SeccompListener {
    /// The next syscall that waits for an answer; `nil` when its caller has gone meanwhile.
    public static func receive(_ fd: Int32) throws(Errno) -> SeccompNotification? {
        var n = seccomp_notif()
        let r = withUnsafeMutablePointer(to: &n) { LinuxSystem.syscall(SYS_ioctl, Int(fd), Int(pd_seccomp_notif_recv()), address($0)) }
        if r == -Int(ENOENT) || r == -Int(EINTR) { return nil }
        try check(r)
        return SeccompNotification(id: n.id, pid: Int32(n.pid), syscall: n.data.nr, architecture: n.data.arch)
    }

    /// Lets the syscall return `-error` to its caller. A caller that has gone is no error.
    public static func answer(_ fd: Int32, _ notification: SeccompNotification, error: Int32) {
        var response = seccomp_notif_resp()
        response.id = notification.id
        response.error = -error
        _ = withUnsafeMutablePointer(to: &response) { LinuxSystem.syscall(SYS_ioctl, Int(fd), Int(pd_seccomp_notif_send()), address($0)) }
    }
}
