// What the spawner prepares once, in its own mount namespace, so that each sandbox only has to bind it: devices, things
// to mask with, and the places to mount on. A user namespace may neither make device nodes nor be trusted with them.

import Glibc
import LinuxSystem

struct Workshop {
    /// What a sandbox's scratch file system holds before its job makes anything: its root, six directories, overlay's two;
    /// with a way out, a directory and a file that name the resolvers.
    static func own(resolvers: Bool) -> (inodes: Int, bytes: Int) { resolvers ? (11, 4096) : (9, 0) }

    let directory: String
    /// Whether the spawner has power over the host, or only over a user namespace of its own.
    let privileged: Bool
    let cpus = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    /// What is in `/proc` of this kernel and says something of the machine, or could be written.
    private(set) var maskedProc: [(name: String, isDirectory: Bool)] = []

    var devices: String { "\(directory)/dev" }
    var empty: String { "\(directory)/empty" }
    var scratch: String { "\(directory)/scratch" }
    var root: String { "\(directory)/scratch/root" }

    /// World-readable entries that tell of the host or of other sandboxes, and the interfaces to the kernel's own state.
    private static let hidden = [
        "acpi", "asound", "bus", "cmdline", "config.gz", "diskstats", "driver", "fs", "interrupts", "iomem", "ioports", "irq",
        "kallsyms", "kcore", "key-users", "keys", "kmsg", "latency_stats", "locks", "modules", "mtrr", "partitions",
        "sched_debug", "schedstat", "scsi", "slabinfo", "softirqs", "swaps", "sysrq-trigger", "timer_list", "timer_stats", "tty",
        "vmallocinfo", "zoneinfo",
    ]

    init(directory: String, privileged: Bool) throws(Failure) {
        self.directory = directory
        self.privileged = privileged
        try attempt(.prepare, "mount namespace") { () throws(Errno) in
            try Processes.unshare(.mount)
            try Mounts.makePrivate()
        }
        try attempt(.prepare, directory) { () throws(Errno) in
            try Mounts.mount("workshop", directory, type: "tmpfs", flags: [.noSetuid, .noExec], options: "mode=0755,size=1m")
        }
        try makeDevices()
        try attempt(.prepare, "directories") { () throws(Errno) in
            try Files.makeDirectory(empty, mode: 0o555)
            try Files.makeDirectory(scratch)
        }
        for name in Self.hidden {
            guard let fd = try? Files.open("/proc/\(name)", Int32(PD_O_PATH) | O_NOFOLLOW) else { continue }
            defer { Files.close(fd) }
            // What only root may open is closed to a job already: root is not mapped in its user namespace.
            guard let status = try? Files.status(fd), status.st_mode & 0o006 != 0 else { continue }
            maskedProc.append((name, status.st_mode & S_IFMT == S_IFDIR))
        }
    }

    private func makeDevices() throws(Failure) {
        try attempt(.prepare, "devices") { () throws(Errno) in
            try Files.makeDirectory(devices)
            for (name, major, minor) in [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)] {
                let path = "\(devices)/\(name)"
                if privileged {
                    try Files.makeNode(path, mode: S_IFCHR | 0o666, major: UInt32(major), minor: UInt32(minor))
                    try Files.changeMode(path, 0o666)
                } else {
                    Files.close(try Files.open(path, O_CREAT | O_WRONLY, mode: 0o644))
                    try Mounts.bind("/dev/\(name)", path)
                }
            }
            for (name, target) in [("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2"), ("ptmx", "pts/ptmx")] {
                try Files.symlink(target, at: "\(devices)/\(name)")
            }
            try Files.makeDirectory("\(devices)/shm", mode: 0o1777)
            try Files.makeDirectory("\(devices)/pts")
        }
    }
}
