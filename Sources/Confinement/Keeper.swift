// The warden's second role: keeps a cell. A cell is what of a sandbox can outlive it: ids, the user, uts and network
// namespaces, a root file system. The keeper makes it, and in it one sandbox after the other, each with an init of its
// own. Whatever a sandbox left a trace in is made anew before the next one; so each finds everything as if it were the
// first. While an init lives its keeper waits for it, and lends it its memory: that saves a copy of it for each sandbox.

import Glibc
import LinuxSystem
import SandboxCore

final class Keeper {
    let control: Int32
    let spec: SandboxSpec
    let workshop: Workshop
    /// The cell's own cgroup; none where each step brings one.
    let cgroup: JobCgroup
    /// Where forks of the cell's template are asked for.
    let template: Int32?
    private let resolvers: [IPv4Address]
    /// The mount namespace a root is built from; none where that happens only once.
    private let base: Int32?
    var scratch: Scratch?
    private var network: NetworkTraces?
    /// What 0, 1 and 2 are when no job is being started.
    let null: Int32
    /// Of an init, and of the child of each step between its birth and its exec.
    private let initStack: UnsafeMutableRawBufferPointer?
    let jobStack: UnsafeMutableRawBufferPointer
    let filter: JobFilter?

    var singleID: Bool { !workshop.privileged }
    var isKept: Bool { base != nil }

    /// What an init's end means; its exit code.
    enum InitEnd: Int32 {
        /// Another sandbox is wanted.
        case renew = 0
        /// It has said why it failed.
        case failed = 1
        /// The daemon is gone, or wants the cell no longer.
        case over = 2
    }

    /// The first thing a new cell's first process does. Never returns.
    static func begin(_ request: MakeRequest, control: Int32, cgroup: [Int32], gate: Int32, workshop: Workshop) -> Never {
        do throws(Failure) {
            try waitForIDs(gate)
            try settle(workshop, keeping: [control] + cgroup)
            let (own, template) = request.templateID == nil ? (cgroup, nil) : (Array(cgroup.dropLast()), cgroup.last)
            let keeper = try Keeper(request, control: control, cgroup: own, template: template, workshop)
            // Where one sandbox is all there will be, its init needs no keeper: this process is in its pid namespace.
            if keeper.isKept { try keeper.keep() } else { _ = Init.live(in: keeper) }
        } catch {
            try? Channel.send(control, InitEvent.failed(error).encoded())
            Processes.exit(1)
        }
        Processes.exit(0)
    }

    /// Until its ids are mapped a process of a new user namespace owns nothing and may make nothing.
    private static func waitForIDs(_ gate: Int32) throws(Failure) {
        try attempt(.idMap) { () throws(Errno) in
            var byte: UInt8 = 0
            let n = try withUnsafeMutablePointer(to: &byte) { (b) throws(Errno) in try Files.read(gate, UnsafeMutableRawBufferPointer(start: b, count: 1)) }
            if n != 1 { throw Errno(ESRCH) }
        }
    }

    /// What this process itself needs before it builds anything.
    private static func settle(_ workshop: Workshop, keeping: [Int32]) throws(Failure) {
        if workshop.privileged {
            try attempt(.setID) { () throws(Errno) in
                try Processes.dropGroups()
                try Processes.setIDs(uid: 0, gid: 0)
            }
        }
        // After the change of ids, which clears both.
        _ = Processes.control(PR_SET_PDEATHSIG, Int(SIGKILL))
        _ = Processes.control(PR_SET_DUMPABLE, 0)
        // The spawner's own descriptors, and those of other cells under way.
        var next = 3
        for fd in keeping.sorted() {
            if Int(fd) > next { _ = syscall(SYS_close_range, next, Int(fd) - 1, 0) }
            next = Int(fd) + 1
        }
        _ = syscall(SYS_close_range, next, Int(UInt32.max), 0)
    }

    private init(_ request: MakeRequest, control: Int32, cgroup: [Int32], template: Int32?, _ workshop: Workshop) throws(Failure) {
        self.control = control
        self.template = template
        self.workshop = workshop
        spec = request.spec
        resolvers = request.outbound?.resolvers ?? []
        filter = try JobFilter.prepare(request.spec.seccomp, singleID: !workshop.privileged)
        self.cgroup = JobCgroup(version: request.cgroupVersion, roles: request.cgroupFiles, descriptors: cgroup)
        do throws(Errno) {
            base = request.isKept ? try Files.open("/proc/self/ns/mnt", O_RDONLY) : nil
            null = try Files.open("/dev/null", O_RDWR)
            // As much as any process has; only what is touched costs memory.
            initStack = request.isKept ? try Stacks.allocate(8 << 20) : nil
            jobStack = try Stacks.allocate(128 << 10)
        } catch { throw Failure(.prepare, error.code) }
        try Isolation.settle(spec)
        // Where the spawner has power over the host, it has made the network.
        if !workshop.privileged || template != nil { try Isolation.startNetwork(spec) }
        try buildRoot()
        // In the namespace that many share there is nothing to find, and none to put in its place.
        if request.isKept, !workshop.privileged || template != nil || !spec.mayShareNetwork { network = try NetworkTraces() }
    }

    private func buildRoot() throws(Failure) {
        if base != nil { try attempt(.renew, "mount namespace") { () throws(Errno) in try Processes.unshare(.mount) } }
        scratch = try Isolation.build(spec, resolvers: resolvers, workshop: workshop, for: isKept ? .keeper : .onlyInit)
        try scratch!.rememberAsBlank()
    }

    /// One sandbox after the other, until the daemon wants no more.
    private func keep() throws(Failure) {
        while true {
            switch try runInit() {
            case .renew: try renew()
            case .failed, .over: return
            }
        }
    }

    private func runInit() throws(Failure) -> InitEnd {
        guard let initStack else { throw Failure(.initClone, EINVAL, "a cell that is not kept") }
        let end: ExitStatus
        do throws(Errno) {
            end = try Processes.runSharingMemory(
                in: [.pid, .mount, .ipc], stack: initStack, body: initMain, argument: Unmanaged.passUnretained(self).toOpaque())
        } catch { throw Failure(.initClone, error.code) }
        // One that was killed may have left the memory they share in any state: nothing is safe but to end.
        guard case .exited(let code) = end, let meaning = InitEnd(rawValue: code) else { Processes.exit(1) }
        return meaning
    }

    /// Makes anew what the last sandbox left a trace in. It has ended, with every process in it.
    private func renew() throws(Failure) {
        guard let base else { throw Failure(.renew, EINVAL, "a cell that is not kept") }
        if let used = network, !used.isBlank() {
            used.close()
            try attempt(.renew, "network namespace") { () throws(Errno) in try Processes.unshare(.network) }
            try Isolation.startNetwork(spec)
            network = try NetworkTraces()
        }
        // A terminal's numbers are given out by its file system, which has no memory one could ask.
        if spec.pty || !scratch!.isBlank() {
            scratch!.close()
            try attempt(.renew, "back") { () throws(Errno) in try Processes.enter(base, .mount) }
            try buildRoot()
        }
    }
}

/// Where the life of an init begins.
private func initMain(_ raw: UnsafeMutableRawPointer?) -> Int32 {
    Init.live(in: Unmanaged<Keeper>.fromOpaque(raw!).takeUnretainedValue()).rawValue
}
