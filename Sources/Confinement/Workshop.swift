// What the spawner prepares once, in its own mount namespace, so that each sandbox only has to bind it: devices, things
// to mask with, and the places to mount on. A user namespace may neither make device nodes nor be trusted with them.

import Glibc
import LinuxSystem

struct Workshop {
    let directory: String
    /// Whether the spawner has power over the host, or only over a user namespace of its own.
    let privileged: Bool
    let cpus = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    /// What is in `/proc` of this kernel and says something of the machine, or could be written.
    private(set) var maskedProc: [Masked] = []

    struct Masked {
        let name: String
        let isDirectory: Bool
    }

    var devices: String { "\(directory)/dev" }
    /// In a sandbox: what directories are masked with. Containers have this one, and it is empty.
    static let emptyDirectory = "/dev/mqueue"
    /// Whether what is being made is in an image's own mount namespace, where its root is the image: it sees nothing of this directory.
    var isInImage = false
    var scratch: String { isInImage ? "/workspace" : "\(directory)/scratch" }
    var root: String { isInImage ? "" : "\(directory)/scratch/root" }
    /// Where an image is put together that sandboxes see as it is, and an empty layer to go with it.
    var image: String { "\(directory)/image" }
    var emptyLayer: String { "\(directory)/empty" }

    /// World-readable entries of `/proc` that can hold a secret of the operator's (the kernel's command line, names of
    /// keys, file servers), tell of people at the machine by the microsecond, or give the kernel's addresses away. What
    /// only root may open is closed to a job already: root is not mapped in its user namespace. Each mask costs every
    /// sandbox some twenty microseconds; a policy that wants nothing of the machine told says `proc: pids`.
    private static let hidden = ["asound", "cmdline", "fs", "interrupts", "kallsyms", "keys", "latency_stats", "sched_debug", "scsi"]

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
            for path in [scratch, image, emptyLayer] { try Files.makeDirectory(path) }
        }
        for name in Self.hidden {
            guard let fd = try? Files.open("/proc/\(name)", Int32(PD_O_PATH) | O_NOFOLLOW) else { continue }
            defer { Files.close(fd) }
            guard let status = try? Files.status(fd), status.st_mode & 0o006 != 0 else { continue }
            if name == "kallsyms", !Self.addressesAreShown { continue }
            maskedProc.append(Masked(name: name, isDirectory: status.st_mode & S_IFMT == S_IFDIR))
        }
    }

    /// Whether this kernel shows its addresses to everyone; usually each reads as zero.
    private static var addressesAreShown: Bool {
        kernelSetting("kptr_restrict") ?? 0 == 0 && kernelSetting("perf_event_paranoid") ?? 0 <= 1
    }

    /// A number in /proc/sys/kernel; `nil` where this kernel has none of that name.
    static func kernelSetting(_ name: String) -> Int? {
        (try? Files.readFile("/proc/sys/kernel/\(name)", limit: 64)).flatMap { Int($0.prefix { $0 != "\n" }) }
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
            try Files.makeDirectory("\(devices)/mqueue", mode: 0o555)
        }
    }
}
