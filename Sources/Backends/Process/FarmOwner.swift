// Who owns what a farm makes on the host, written into its name, so that the next farm can sweep what a killed one left
// and never touches what a living one uses.

import Glibc
import LinuxSystem
import Synchronization

/// Whose a cgroup or a table is, from its name: `paddock-<pid namespace>-<pid>-<start time>-<number>`, the last because one
/// process can have several farms.
struct FarmOwner: Equatable {
    let namespace: UInt64
    let pid: Int32
    let startTime: UInt64

    private static let made = Atomic<Int>(0)
    func nextName() -> String { "paddock-\(namespace)-\(pid)-\(startTime)-\(Self.made.add(1, ordering: .relaxed).newValue)" }

    static let current = FarmOwner(namespace: pidNamespace, pid: getpid(), startTime: startTime(of: getpid()) ?? 0)

    init(namespace: UInt64, pid: Int32, startTime: UInt64) {
        self.namespace = namespace
        self.pid = pid
        self.startTime = startTime
    }

    init?(name: String) {
        let parts = name.split(separator: "-")
        guard parts.count == 5, parts[0] == "paddock", let namespace = UInt64(parts[1]), let pid = Int32(parts[2]), let start = UInt64(parts[3])
        else { return nil }
        self.init(namespace: namespace, pid: pid, startTime: start)
    }

    /// Whether its process could be seen from here. Of another pid namespace's processes nothing is known.
    var isVisible: Bool { namespace == Self.pidNamespace }

    /// Whether its process is known to be gone.
    var isGone: Bool { isVisible && Self.startTime(of: pid) != startTime }

    private static let pidNamespace: UInt64 = {
        var s = stat()
        return stat("/proc/self/ns/pid", &s) == 0 ? UInt64(s.st_ino) : 0
    }()

    /// `nil` for a process that has ended, whoever has still to notice.
    private static func startTime(of pid: Int32) -> UInt64? {
        guard let stat = ProcessStat(of: pid), !stat.isZombie else { return nil }
        return stat[22].map { UInt64($0) }
    }
}
