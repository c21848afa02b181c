// Isolation, in the order it is applied: this file reads as the list. It runs in a cell's init, which has user, pid, mount,
// ipc, uts and network namespaces of its own; the cgroup namespace comes with each job, because it is rooted where the
// job's cgroup is. Everything that could be decided before was.

import Glibc
import LinuxSystem
import SandboxCore

enum Isolation {
    /// Power that nothing here will need, gone for the init and its jobs.
    static func settle(_ spec: SandboxSpec) throws(Failure) {
        try attempt(.hostname) { () throws(Errno) in try Processes.setHostname(spec.hostname) }
        // What runs here keeps its capabilities over its own namespaces: it mounts, kills and collects. But it never
        // execs, and so the bounding set can go now, once, for every job to come.
        try attempt(.capabilityBounds) { () throws(Errno) in try Capabilities.dropBoundingSet() }
    }

    /// - Returns: as `NetworkTraces.settleGroups`.
    static func startNetwork(_ spec: SandboxSpec) throws(Failure) -> Bool {
        if spec.network != .none { try attempt(.loopback) { () throws(Errno) in try Processes.loopbackUp() } }
        return NetworkTraces.settleGroups()
    }

    /// Who builds a root for whom.
    enum RootUser {
        /// An init, in its own pid namespace.
        /// - Parameters:
        ///   - isKept: whether the root may serve more than one sandbox.
        ///   - isFirst: whether it is the first one of the cell's user namespace.
        case sandbox(isKept: Bool, isFirst: Bool)
        /// A template. It lives in the spawner's pid namespace, and may not look: there is no /proc.
        case template

        fileprivate var isKept: Bool { if case .sandbox(isKept: true, _) = self { true } else { false } }
    }

    /// The root that sandboxes see, in a mount namespace made for it. Afterwards nothing of the host's file system can be
    /// named; in an image's own namespace (`ImageRoots`) nothing could be before, and the root is there already.
    static func build(_ spec: SandboxSpec, resolvers: [IPv4Address], workshop: Workshop, for user: RootUser) throws(Failure) -> Scratch {
        try mountScratch(workshop)
        // The image's places that the sandbox has its own of. Without root all that is in it can be written to by the layer over it.
        let places = workshop.privileged ? spec.root.writable ?? [] : []
        let scratch = try makeScratchDirectories(spec, workshop, places, isKept: user.isKept)
        let tree = workshop.isInImage ? try RootTree(at: workshop.root) : try layImage(spec.root, resolvers, workshop)
        try mountOwnDevices(spec, workshop)
        switch user {
        case .sandbox(_, let isFirst): try ProcMount(spec).mount(at: try tree.mountPoint("/proc", .mountProc), isFirst: isFirst)
        case .template: if workshop.isInImage { try attempt(.mountProc) { () throws(Errno) in try Mounts.unmount("/proc") } }
        }
        try bindScratch(places, tree, workshop)
        if !workshop.isInImage { try tree.becomeRoot() }
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
        let directories = (w.isInImage ? [] : ["upper", "work", "root"]) + everyones + ["workspace"]
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

    /// The image, with the writable layer over it.
    private static func layImage(_ root: RootFilesystem, _ resolvers: [IPv4Address], _ w: Workshop) throws(Failure) -> RootTree {
        try writeResolvers(resolvers, w)
        try LayerMount(root.layers).mount(on: w.root, writable: ("\(w.scratch)/upper", "\(w.scratch)/work"))
        let tree = try RootTree(at: w.root)
        try tree.bindShared(root.binds, w)
        return tree
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

    /// A `/dev/shm` within the sandbox's own bound, and its terminals.
    private static func mountOwnDevices(_ spec: SandboxSpec, _ w: Workshop) throws(Failure) {
        let devices = "\(w.root)/dev"
        try attempt(.mountDevices) { () throws(Errno) in try Mounts.bind("\(w.scratch)/shm", "\(devices)/shm", recursive: false) }
        guard spec.pty else { return }
        try attempt(.mountPty) { () throws(Errno) in
            try Mounts.mount(
                "devpts", "\(devices)/pts", type: "devpts", flags: [.noSetuid, .noExec, .silent], options: "newinstance,ptmxmode=0666,mode=0620")
        }
    }

    /// The workspace comes last: in an image's own namespace it lies over the file system whose directory it is.
    private static func bindScratch(_ places: [String], _ tree: borrowing RootTree, _ w: Workshop) throws(Failure) {
        func bind(_ name: String, at place: String) throws(Failure) {
            let target = try tree.mountPoint(place, .bindScratch)
            try attempt(.bindScratch, place) { () throws(Errno) in try Mounts.bind("\(w.scratch)/\(name)", target, recursive: false) }
        }
        for (index, place) in places.enumerated() { try bind("place\(index)", at: place) }
        for name in ["tmp", "workspace"] { try bind(name, at: "/\(name)") }
    }
}

/// Runs a system call and says at which step it failed.
func attempt(_ step: Step, _ detail: String = "", _ body: () throws(Errno) -> Void) throws(Failure) {
    do { try body() } catch { throw Failure(step, error.code, detail) }
}
