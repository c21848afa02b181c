// Isolation, in the order it is applied: this file reads as the list. It runs in a cell's init, which has user, pid, mount,
// ipc, uts and network namespaces of its own; the cgroup namespace comes with each job, because it is rooted where the
// job's cgroup is. Everything that could be decided before was.

import Glibc
import LinuxSystem
import SandboxCore

enum Isolation {
    /// Power that nothing here will need, gone for the init and its jobs.
    static func settle(_ spec: SandboxSpec) throws(Failure) {
        // No user namespaces below this one: in them a job would have capabilities again. Every policy's filter says so
        // too, so a container's read-only /proc/sys is no reason to stop.
        _ = try? Files.writeFile("/proc/sys/user/max_user_namespaces", "0")
        try attempt(.hostname) { () throws(Errno) in try Processes.setHostname(spec.hostname) }
        // What runs here keeps its capabilities over its own namespaces: it mounts, kills and collects. But it never
        // execs, and so the bounding set can go now, once, for every job to come.
        try attempt(.capabilityBounds) { () throws(Errno) in try Capabilities.dropBoundingSet() }
    }

    static func startNetwork(_ spec: SandboxSpec) throws(Failure) {
        if spec.network != .none { try attempt(.loopback) { () throws(Errno) in try Processes.loopbackUp() } }
        NetworkTraces.settleGroups()
    }

    /// Who builds a root for whom.
    enum RootUser {
        /// An init, in its own pid namespace.
        /// - Parameter isKept: whether the root may serve more than one sandbox.
        case sandbox(isKept: Bool)
        /// A template. It lives in the spawner's pid namespace, and may not look: there is no /proc.
        case template

        fileprivate var isKept: Bool { if case .sandbox(isKept: true) = self { true } else { false } }
    }

    /// The root that sandboxes see, in a mount namespace made for it. Afterwards nothing of the host's file system can be
    /// named.
    static func build(_ spec: SandboxSpec, resolvers: [IPv4Address], workshop: Workshop, for user: RootUser) throws(Failure) -> Scratch {
        try mountScratch(workshop)
        // The image's places that the sandbox has its own of. Without root all that is in it can be written to by the layer over it.
        let places = workshop.privileged ? spec.root.writable ?? [] : []
        let scratch = try makeScratchDirectories(spec, workshop, places, isKept: user.isKept)
        if let image = workshop.image { try bindRoot(image, workshop) } else {
            try writeResolvers(resolvers, workshop)
            try mountRoot(spec, workshop)
        }
        let root: Int32
        do { root = try Files.open(workshop.root, Int32(PD_O_PATH) | O_DIRECTORY) } catch { throw Failure(.mountOverlay, error.code, "root") }
        defer { Files.close(root) }
        try bindHost(spec.root.binds, root, workshop)
        try mountDevices(spec, root, workshop)
        if case .sandbox = user { try mountProc(spec, at: try mountPoint(root, workshop, "/proc", .mountProc)) }
        try bindScratch(places, root, workshop)
        try attempt(.pivotRoot) { () throws(Errno) in
            try Files.changeDirectory(workshop.root)
            try Mounts.pivotToCurrentDirectory()
        }
        return scratch
    }

    /// One bounded file system holds everything the sandbox can write. Its bounds are each step's own, set later.
    private static func mountScratch(_ w: Workshop) throws(Failure) {
        try attempt(.mountScratch) { () throws(Errno) in
            try Mounts.mount("scratch", w.scratch, type: "tmpfs", flags: Scratch.flags, options: "size=1m,nr_inodes=64,mode=0755")
        }
    }

    /// The workspace is the last one, and the only one that the job owns.
    private static func makeScratchDirectories(_ spec: SandboxSpec, _ w: Workshop, _ places: [String], isKept: Bool) throws(Failure) -> Scratch {
        let everyones = places.indices.map { "place\($0)" } + ["tmp", "shm"]
        let directories = (w.image == nil ? ["upper", "work"] : []) + ["root"] + everyones + ["workspace"]
        try attempt(.makeDirectories) { () throws(Errno) in
            for name in directories {
                let path = "\(w.scratch)/\(name)"
                try Files.makeDirectory(path, mode: 0o755)
                // The mode given to mkdir lost what the umask takes.
                if everyones.contains(name) { try Files.changeMode(path, 0o1777) }
            }
            try Files.changeOwner("\(w.scratch)/workspace", uid: spec.user.uid, gid: spec.user.gid)
        }
        return try Scratch(at: w.scratch, isKept ? [""] + directories.map { "/\($0)" } : [""])
    }

    /// Who answers for names, laid into the writable layer before there is an image below it: whatever the image has at
    /// this place, a link to anywhere or a directory, is hidden and never looked at.
    private static func writeResolvers(_ resolvers: [IPv4Address], _ w: Workshop) throws(Failure) {
        guard !resolvers.isEmpty else { return }
        try attempt(.resolvers) { () throws(Errno) in
            try Files.makeDirectory("\(w.scratch)/upper/etc")
            let file = try Files.open("\(w.scratch)/upper/etc/resolv.conf", O_CREAT | O_EXCL | O_WRONLY, mode: 0o644)
            defer { Files.close(file) }
            try Files.writeAll(file, resolvers.map { "nameserver \($0)\n" }.joined())
        }
    }

    /// The image as it is, to be looked at.
    private static func bindRoot(_ image: String, _ w: Workshop) throws(Failure) {
        try attempt(.bindHost, "image") { () throws(Errno) in
            try Mounts.bind(image, w.root, recursive: false)
            try Mounts.restrict(w.root)
        }
    }

    /// The image, with the writable layer over it.
    private static func mountRoot(_ spec: SandboxSpec, _ w: Workshop) throws(Failure) {
        try LayerMount(spec.root.layers).mount(on: w.root, writable: ("\(w.scratch)/upper", "\(w.scratch)/work"))
    }

    private static func bindHost(_ binds: [RootFilesystem.Bind], _ root: Int32, _ w: Workshop) throws(Failure) {
        for bind in binds {
            let target = try mountPoint(root, w, bind.target, .bindHost)
            try attempt(.bindHost, bind.source) { () throws(Errno) in
                try Mounts.bind(bind.source, target)
                try Mounts.restrict(target)
            }
        }
    }

    /// The devices the spawner made once, and a `/dev/shm` within the sandbox's own bound.
    private static func mountDevices(_ spec: SandboxSpec, _ root: Int32, _ w: Workshop) throws(Failure) {
        let target = try mountPoint(root, w, "/dev", .mountDevices)
        try attempt(.mountDevices) { () throws(Errno) in
            try Mounts.bind(w.devices, target)
            try Mounts.restrict(target, noDevices: false)
            try Mounts.bind("\(w.scratch)/shm", "\(target)/shm")
        }
        if spec.pty {
            try attempt(.mountPty) { () throws(Errno) in
                try Mounts.mount(
                    "devpts", "\(target)/pts", type: "devpts", flags: [.noSetuid, .noExec, .silent],
                    options: "newinstance,ptmxmode=0666,mode=0620")
            }
        }
    }

    private static func bindScratch(_ places: [String], _ root: Int32, _ w: Workshop) throws(Failure) {
        func bind(_ name: String, at place: String) throws(Failure) {
            let target = try mountPoint(root, w, place, .bindScratch)
            try attempt(.bindScratch, place) { () throws(Errno) in try Mounts.bind("\(w.scratch)/\(name)", target, recursive: false) }
        }
        for (index, place) in places.enumerated() { try bind("place\(index)", at: place) }
        for name in ["tmp", "workspace"] { try bind(name, at: "/\(name)") }
    }

    /// A directory of the new root to mount on, made where the image lacks it. An image that has a symbolic link there
    /// is refused: the link would be followed on the host.
    private static func mountPoint(_ root: Int32, _ w: Workshop, _ path: String, _ step: Step) throws(Failure) -> String {
        let name = String(path.dropFirst())
        func look() throws(Errno) { Files.close(try Files.openBeneath(root, name, Int32(PD_O_PATH) | O_DIRECTORY | O_NOFOLLOW)) }
        try attempt(step, path) { () throws(Errno) in
            do throws(Errno) { try look() } catch {
                guard error.code == ENOENT else { throw error }
                try Files.makeDirectory(at: root, name)
                try look()
            }
        }
        return w.root + path
    }

    /// The kernel insists on access times being treated as by the host's.
    private static let procFlags: Mounts.Flags = [.noSetuid, .noDevices, .noExec, .silent]

    /// hidepid: a job learns nothing of its init.
    private static func procOptions(_ spec: SandboxSpec) -> String { spec.proc == .pids ? "subset=pid,hidepid=1" : "hidepid=1" }

    /// A /proc of the sandbox's own pid namespace. The kernel lets a user namespace mount one only where one is in sight.
    private static func mountProc(_ spec: SandboxSpec, at target: String) throws(Failure) {
        try attempt(.mountProc) { () throws(Errno) in
            try Mounts.mount("proc", target, type: "proc", flags: procFlags, options: procOptions(spec))
        }
    }

    /// Has the kernel forget what was looked at in /proc: each entry bears the time when it was first looked up, and is kept
    /// in memory. Giving a file system its options again drops all that nobody has open.
    static func forgetProc(_ spec: SandboxSpec) throws(Failure) {
        try attempt(.mountProc, "again") { () throws(Errno) in try Mounts.reconfigure("/proc", flags: procFlags, options: procOptions(spec)) }
    }

    static func maskProc(_ spec: SandboxSpec, _ w: Workshop) throws(Failure) {
        guard spec.proc == .masked else { return }
        for entry in w.maskedProc {
            try attempt(.maskProc, entry.name) { () throws(Errno) in
                try Mounts.bind(entry.isDirectory ? Workshop.emptyDirectory : "/dev/null", "/proc/\(entry.name)", recursive: false)
            }
        }
    }
}

/// Runs a system call and says at which step it failed.
func attempt(_ step: Step, _ detail: String = "", _ body: () throws(Errno) -> Void) throws(Failure) {
    do { try body() } catch { throw Failure(step, error.code, detail) }
}
