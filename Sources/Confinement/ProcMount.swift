// The /proc of a sandbox: of its own pid namespace, and as much of it as its policy says.

import Glibc
import LinuxSystem
import SandboxCore

struct ProcMount {
    private let mode: ProcMode

    init(_ spec: SandboxSpec) { mode = spec.proc }

    /// The kernel insists on access times being treated as by the host's.
    static let flags: Mounts.Flags = [.noSetuid, .noDevices, .noExec, .silent]

    /// hidepid: a job learns nothing of its init.
    private static let all = "hidepid=1"
    private var options: String { mode == .pids ? "subset=pid,\(Self.all)" : Self.all }

    /// The kernel lets a user namespace mount one only where one is in sight.
    /// - Parameter isFirst: whether the cell's user namespace had none yet.
    func mount(at target: String, isFirst: Bool) throws(Failure) {
        func mount(_ options: String) throws(Failure) {
            try attempt(.mountProc) { () throws(Errno) in try Mounts.mount("proc", target, type: "proc", flags: Self.flags, options: options) }
        }
        guard isFirst else { return try mount(options) }
        try mount(Self.all)
        Self.forbidUserNamespaces(target)
        try forget(at: target)
    }

    /// No user namespaces below this one: in them a job would have capabilities again. Every policy's filter says so too, so a
    /// container's read-only /proc/sys is no reason to stop. By the sandbox's own /proc, because in one that is shared the kernel has
    /// an entry of this name for each user namespace, all in one chain: each of ten thousand cells would search through all others'.
    private static func forbidUserNamespaces(_ proc: String) { _ = try? Files.writeFile("\(proc)/sys/user/max_user_namespaces", "0") }

    /// Has the kernel forget what was looked at: each entry bears the time when it was first looked up, and is kept
    /// in memory. Giving a file system its options again drops all that nobody has open.
    func forget(at target: String = "/proc") throws(Failure) {
        try attempt(.mountProc, "again") { () throws(Errno) in try Mounts.reconfigure(target, flags: Self.flags, options: options) }
    }

    func mask(_ workshop: Workshop) throws(Failure) {
        guard mode == .masked else { return }
        for entry in workshop.maskedProc {
            try attempt(.maskProc, entry.name) { () throws(Errno) in
                try Mounts.bind(entry.isDirectory ? Workshop.emptyDirectory : "/dev/null", "/proc/\(entry.name)", recursive: false)
            }
        }
    }
}
