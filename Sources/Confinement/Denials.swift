// The syscalls a step was denied, counted as they come to its init.

import LinuxSystem
import SandboxCore

/// Denied syscalls by number; the daemon, which has libseccomp, turns numbers into names.
struct Denials {
    private var counts: [String: Int] = [:]
    /// A hostile program can try every number there is.
    private static let maxKinds = 512

    static func encoded(_ n: SeccompNotification) -> String { "\(n.architecture):\(n.syscall)" }

    mutating func count(_ n: SeccompNotification) {
        let key = Self.encoded(n)
        if counts[key] != nil || counts.count < Self.maxKinds { counts[key, default: 0] += 1 }
    }

    var list: [DeniedSyscall] {
        counts.sorted { $0.value != $1.value ? $0.value > $1.value : $0.key < $1.key }.map { DeniedSyscall(syscall: $0.key, count: $0.value) }
    }
}
