// The supervisor's end of a seccomp filter: syscalls the filter hands over, and the answer to each.

import CLinux
import Glibc

public struct SeccompNotification: Sendable {
    public var id: UInt64
    public var pid: Int32
    public var syscall: Int32
    public var architecture: UInt32
    /// All six, as the call was made; what they point to can change at any time.
    public var arguments: [UInt64]

    /// What the kernel takes of an argument that is a C `int`.
    public func word(_ index: Int) -> UInt32 { UInt32(truncatingIfNeeded: arguments[index]) }
}

public enum SeccompListener {
    /// The next syscall that waits for an answer; `nil` when its caller has gone meanwhile.
    public static func receive(_ fd: Int32) throws(Errno) -> SeccompNotification? {
        var n = seccomp_notif()
        let r = withUnsafeMutablePointer(to: &n) { LinuxSystem.syscall(SYS_ioctl, Int(fd), Int(pd_seccomp_notif_recv()), address($0)) }
        if r == -Int(ENOENT) || r == -Int(EINTR) { return nil }
        try check(r)
        return SeccompNotification(
            id: n.id, pid: Int32(n.pid), syscall: n.data.nr, architecture: n.data.arch,
            arguments: [n.data.args.0, n.data.args.1, n.data.args.2, n.data.args.3, n.data.args.4, n.data.args.5])
    }

    /// Lets the syscall go on as it was made. Only for calls that are judged by their arguments alone: memory they point to
    /// may change after it was looked at.
    public static func permit(_ fd: Int32, _ notification: SeccompNotification) {
        var response = seccomp_notif_resp()
        response.id = notification.id
        response.flags = UInt32(SECCOMP_USER_NOTIF_FLAG_CONTINUE)
        _ = withUnsafeMutablePointer(to: &response) { LinuxSystem.syscall(SYS_ioctl, Int(fd), Int(pd_seccomp_notif_send()), address($0)) }
    }

    /// Lets the syscall return `-error` to its caller. A caller that has gone is no error.
    public static func answer(_ fd: Int32, _ notification: SeccompNotification, error: Int32) {
        var response = seccomp_notif_resp()
        response.id = notification.id
        response.error = -error
        _ = withUnsafeMutablePointer(to: &response) { LinuxSystem.syscall(SYS_ioctl, Int(fd), Int(pd_seccomp_notif_send()), address($0)) }
    }
}
