// The first process of a template, from the spawner's clone to the exec of its runtime. It has no user namespace of its
// own: the sandboxes it will be forked into are made under its id by the spawner, which is why it may enter them, and a
// process may own only what lies below its own namespace. So it is confined without one: an id that nothing else on the
// host has, no capabilities and no way to any, new mount, network, ipc and uts namespaces, no mounted /proc (it would show the
// spawner's pid namespace), a bounded scratch, its own cgroup, and a filter. Only code of its image runs in it, never a job's.

import CLinux
import Glibc
import LinuxSystem
import SandboxCore

enum TemplateProcess {
    /// What its runtime finds where.
    private static let (ask, status, proc): (Int32, Int32, Int32) = (3, 4, 5)
    private static let scratch = (bytes: 64 << 20, inodes: 4096)

    /// Starts it; what becomes of it is told over its own status socket.
    static func start(_ request: TemplateRequest, _ descriptors: [Int32], workshop: Workshop) throws(Failure) -> Int32 {
        guard workshop.privileged else { throw Failure(.templateIDs, EPERM, "without root") }
        let pid: Int32
        do { pid = try Processes.fork(into: [.mount, .network, .ipc, .uts]) } catch { throw Failure(.clone, error.code) }
        if pid == 0 { begin(request, descriptors, workshop) }
        return pid
    }

    private static func begin(_ request: TemplateRequest, _ descriptors: [Int32], _ workshop: Workshop) -> Never {
        do throws(Failure) {
            let cgroup = JobCgroup(version: request.cgroupVersion, roles: request.cgroupFiles, descriptors: Array(descriptors.dropFirst(3)))
            try join(cgroup, request.template)
            try build(request, workshop)
            try settle(request)
            try arrange(descriptors, proc: try? Mounts.ownProcesses())
            try giveUpPower(request)
            throw Failure(.templateExec, execute(request.template).code, request.template.arguments.first ?? "")
        } catch {
            try? Channel.send(descriptors[1], InitEvent.failed(error).encoded())
            // The same once its descriptors were arranged.
            try? Channel.send(status, InitEvent.failed(error).encoded())
            Processes.exit(1)
        }
    }

    private static func join(_ cgroup: JobCgroup, _ template: TemplateSpec) throws(Failure) {
        try cgroup.bound(memoryBytes: template.memoryBytes, processes: 64)
        for file in cgroup.joinFiles { try attempt(.childCgroupJoin) { () throws(Errno) in try Files.writeControl(file, "0") } }
    }

    /// The root its forks' sandboxes have too, so that what it loads is what they would.
    private static func build(_ request: TemplateRequest, _ workshop: Workshop) throws(Failure) {
        let user = UserID(uid: Int(request.id), gid: Int(request.id))
        let spec = SandboxSpec(root: request.root, network: .none, seccomp: nil, user: user)
        _ = try Isolation.build(spec, resolvers: [], workshop: workshop, for: .template)
        try attempt(.resizeScratch) { () throws(Errno) in
            try Mounts.reconfigure("/workspace", flags: Scratch.flags, options: "size=\(scratch.bytes),nr_inodes=\(scratch.inodes)")
        }
        let (workspace, temporary): (Int32, Int32)
        do throws(Errno) {
            workspace = try Files.open("/workspace", O_RDONLY | O_DIRECTORY)
            temporary = try Files.open("/tmp", O_RDONLY | O_DIRECTORY)
        } catch { throw Failure(.prepare, error.code) }
        try Workspace(workspace: workspace, temporary: temporary, user: user, singleID: false).place(request.template.files)
    }

    private static func settle(_ request: TemplateRequest) throws(Failure) {
        try attempt(.hostname) { () throws(Errno) in try Processes.setHostname("template") }
        try attempt(.childSession) { () throws(Errno) in try Processes.leaveSession() }
        Processes.leaveSessionKeyring()
        try? Processes.setPriority(0)
        try attempt(.childDirectory) { () throws(Errno) in try Files.changeDirectory("/workspace") }
    }

    /// 0 nothing, 1 and 2 the file for its output, 3 and 4 its two sockets, 5 what it may see of itself, where the kernel has
    /// that, and nothing else.
    private static func arrange(_ descriptors: [Int32], proc: Int32?) throws(Failure) {
        try attempt(.childStandardStreams) { () throws(Errno) in
            let null = try Files.open("/dev/null", O_RDONLY)
            // Out of the way first: they may lie where the others are to go.
            let high = try ([null, descriptors[2], descriptors[2], descriptors[0], descriptors[1]] + (proc.map { [$0] } ?? [])).map { (fd) throws(Errno) in try Files.duplicate(fd, above: 32) }
            for (number, fd) in high.enumerated() { try Files.duplicate(fd, onto: Int32(number), inherited: true) }
            _ = syscall(SYS_close_range, high.count, Int(UInt32.max), 0)
        }
    }

    private static func giveUpPower(_ request: TemplateRequest) throws(Failure) {
        try attempt(.capabilityBounds) { () throws(Errno) in try Capabilities.dropBoundingSet() }
        try attempt(.templateIDs) { () throws(Errno) in
            try Processes.dropGroups()
            try Processes.setIDs(uid: Int(request.id), gid: Int(request.id))
        }
        // After the change of ids, which clears it.
        _ = Processes.control(PR_SET_PDEATHSIG, Int(SIGKILL))
        try attempt(.childCapabilities) { () throws(Errno) in
            let none = try Capabilities.emptyState()
            if Capabilities.set(none) != 0 { throw Errno(errno) }
        }
        try attempt(.childNoNewPrivileges) { () throws(Errno) in try Processes.forbidNewPrivileges() }
        ResourceLimit(.core, 1).apply()
        // Without a listener: what it catches is answered ENOSYS here, and left to the job's own filter in a fork.
        if let filter = request.template.seccomp { try attempt(.childSeccomp) { () throws(Errno) in try SeccompFilter.install(filter.bpf) } }
    }

    private static func execute(_ template: TemplateSpec) -> Errno {
        Processes.execute(ChildMemory.candidates(template.arguments, template.environment), template.arguments, environment: template.environment)
    }
}
