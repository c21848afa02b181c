// What of a cell outlives a sandbox: ids, the user, uts, pid, ipc and network namespaces, a root file system. It belongs to
// the cell's one process, the init, which serves one sandbox after the other. Whatever a sandbox left a trace in is made
// anew before the next one; so each finds everything as if it were the first. See docs/adr/0011-one-init-for-a-cell.md.

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
    /// Whether the daemon would like it to serve more than one sandbox.
    let isKept: Bool
    /// What that takes; `nil` on a host that lacks something for it.
    private let renewal: Renewal?
    private(set) var scratch: Scratch
    /// How many roots it has had.
    private(set) var rootNumber = 1
    private var network: NetworkTraces?
    /// What 0, 1 and 2 are when no job is being started.
    let null: Int32
    /// Of the child of each step between its birth and its exec.
    let jobStack: UnsafeMutableRawBufferPointer
    let filter: JobFilter?

    private var namespaces: [Int32] = []
    private var watched: WatchedCalls?
    /// What the jobs of this sandbox may have left something in: everything, where nobody watches.
    private var touched: WatchedCalls.Places
    /// Whether the network namespace is the one the cell was lent, and nothing was done in it.
    private var networkIsUntouched: Bool { !isNetworkReplaced && !touched.contains(.network) }
    private var isNetworkReplaced = false
    /// Whether something may come into the cell yet that nobody can wait for.
    var isSpoiled = false

    var singleID: Bool { !workshop.privileged }

    private struct Renewal {
        /// The mount namespace a root is built from.
        let base: Int32
        /// Where the kernel is told which pid to give out next, of the caller's own namespace.
        let lastPid: Int32

        /// - Precondition: the host's /proc is in sight.
        init?() {
            guard let lastPid = try? Files.open("/proc/sys/kernel/ns_last_pid", O_WRONLY) else { return nil }
            guard let base = try? Files.open("/proc/self/ns/mnt", O_RDONLY) else {
                Files.close(lastPid)
                return nil
            }
            (self.base, self.lastPid) = (base, lastPid)
        }
    }

    /// What the spawner learns of a cell's end; its init's exit code. Every process of the cell has ended before.
    enum End: Int32 {
        /// The network namespace it was lent is as it was.
        case networkUntouched = 0
        /// It has said why it failed.
        case failed = 1
        case networkUsed = 2
    }

    /// The first thing a new cell's process does. Never returns.
    /// - Parameter networkTellsAll: what `NetworkTraces.settleGroups` said of the namespace it was lent.
    static func begin(
        _ request: MakeRequest, _ filter: CellFilter, control: Int32, cgroup: [Int32], gate: Int32, workshop: Workshop, networkTellsAll: Bool
    ) -> Never {
        do throws(Failure) {
            try waitForIDs(gate)
            try settle(workshop, keeping: [control] + cgroup)
            let (own, template) = request.templateID == nil ? (cgroup, nil) : (Array(cgroup.dropLast()), cgroup.last)
            let keeper = try Keeper(request, filter, control: control, cgroup: own, template: template, workshop, networkTellsAll)
            try Init(keeper).live()
            Processes.exit((keeper.networkIsUntouched ? End.networkUntouched : .networkUsed).rawValue)
        } catch {
            try? Channel.send(control, InitEvent.failed(error).encoded())
            Processes.exit(End.failed.rawValue)
        }
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

    private init(_ request: MakeRequest, _ filter: CellFilter, control: Int32, cgroup: [Int32], template: Int32?, _ workshop: Workshop, _ networkTellsAll: Bool) throws(Failure) {
        self.control = control
        self.template = template
        self.workshop = workshop
        spec = request.spec
        resolvers = request.outbound?.resolvers ?? []
        (watched, self.filter) = (filter.watched, filter.job)
        touched = watched == nil ? .all : []
        self.cgroup = JobCgroup(version: request.cgroupVersion, roles: request.cgroupFiles, descriptors: cgroup)
        do throws(Errno) {
            null = try Files.open("/dev/null", O_RDWR)
            // As much as any process has; only what is touched costs memory.
            jobStack = try Stacks.allocate(128 << 10)
        } catch { throw Failure(.prepare, error.code) }
        isKept = request.isKept
        renewal = isKept ? Renewal() : nil
        try Isolation.settle(spec)
        // Where the spawner has power over the host, it has made the network.
        let isOwn = !workshop.privileged || template != nil
        let tellsAll = isOwn ? try Isolation.startNetwork(spec) : networkTellsAll
        // In the namespace that many share there is nothing to find, and none to put in its place.
        if renewal != nil, isOwn || !spec.mayShareNetwork { network = try NetworkTraces(tellsAll: tellsAll) }
        scratch = try Self.buildRoot(spec, resolvers, workshop, renewal, isFirst: true)
    }

    private static func buildRoot(
        _ spec: SandboxSpec, _ resolvers: [IPv4Address], _ workshop: Workshop, _ renewal: Renewal?, isFirst: Bool
    ) throws(Failure) -> Scratch {
        if renewal != nil { try attempt(.renew, "mount namespace") { () throws(Errno) in try Processes.unshare(.mount) } }
        var scratch = try Isolation.build(spec, resolvers: resolvers, workshop: workshop, for: .sandbox(isKept: renewal != nil, isFirst: isFirst))
        try scratch.rememberAsBlank()
        try ProcMount(spec).mask(workshop)
        return scratch
    }

    // MARK: a job's doings

    /// Takes note of a call that was handed over because it can leave something behind.
    /// - Returns: what comes of it; `nil` for any other call.
    func take(_ call: SeccompNotification) -> WatchedCalls.Answer? {
        guard let (place, answer) = watched?.judge(call) else { return nil }
        if answer == .permit || answer == .denied { touched.insert(place) }
        return answer
    }

    /// - Returns: false when more is in the sandbox already than the limits allow.
    func resizeScratch(_ limits: EnforcedLimits) throws(Failure) -> Bool { try scratch.resize(limits) }

    /// What a fork enters the cell by, in the order in which it can.
    func namespaceFiles() throws(Errno) -> [Int32] {
        if namespaces.isEmpty {
            for name in ["user", "mnt", "pid", "net", "uts", "ipc"] { namespaces.append(try Files.open("/proc/self/ns/\(name)", O_RDONLY)) }
        }
        return namespaces
    }

    /// To be called when a namespace is another one than it was.
    private func forgetNamespaceFiles() {
        for file in namespaces { Files.close(file) }
        namespaces = []
    }

    // MARK: between two sandboxes

    /// Makes anew what the last sandbox left a trace in. Every process in it has ended and was waited for.
    /// - Returns: false where that is not possible, and the cell has served for the last time.
    func renew() throws(Failure) -> Bool {
        guard let renewal, !isSpoiled else { return false }
        let left = touched
        if watched != nil { touched = [] }
        let isNetworkUsed = left.contains(.network) && network?.isBlank() == false
        // A terminal's numbers are given out by its file system, which has no memory one could ask.
        if spec.pty || isNetworkUsed || !scratch.isBlank() {
            try renewRoot(renewal, andNetwork: isNetworkUsed)
        } else {
            try ProcMount(spec).forget()
        }
        // One that is shared has nothing in it, whatever was tried.
        if left.contains(.ipc), !spec.mayShareIPC {
            try attempt(.renew, "ipc namespace") { () throws(Errno) in try Processes.unshare(.ipc) }
            forgetNamespaceFiles()
        }
        // The next process is the second one again.
        try attempt(.renew, "pids") { () throws(Errno) in try Files.writeControl(renewal.lastPid, "1") }
        return true
    }

    private func renewRoot(_ renewal: Renewal, andNetwork: Bool) throws(Failure) {
        scratch.close()
        forgetNamespaceFiles()
        try attempt(.renew, "back") { () throws(Errno) in try Processes.enter(renewal.base, .mount) }
        // Here, where the host's /proc is in sight: the sandbox's own may lack what a network is set up by.
        if andNetwork {
            network?.close()
            try attempt(.renew, "network namespace") { () throws(Errno) in try Processes.unshare(.network) }
            isNetworkReplaced = true
            network = try NetworkTraces(tellsAll: try Isolation.startNetwork(spec))
        }
        scratch = try Self.buildRoot(spec, resolvers, workshop, renewal, isFirst: false)
        rootNumber += 1
    }
}
