// The warden's first role: one per daemon, single-threaded, with power over the host. It makes cells on request and
// reaps them. All it does for a cell itself is one clone3 and two writes of id maps; the rest is the
// cell's own init's.

import Glibc
import LinuxSystem
import SandboxCore

public enum Spawner {
    /// Serves the daemon at the other end of `control` until it goes away, and takes every sandbox along.
    /// - Parameter directory: an existing directory to mount the workshop on; nothing of it is seen outside.
    public static func serve(control: Int32, directory: String) -> Never {
        do {
            var spawner = try SpawnerState(control: control, directory: directory)
            try spawner.loop()
            spawner.endAll()
        } catch {
            // The daemon learns of it by the first answer, which is for no sandbox in particular.
            try? Channel.send(control, SpawnerEvent.makeFailed(sandbox: 0, error).encoded())
            Processes.exit(1)
        }
        // Had this process been killed instead: each init dies with its spawner (PR_SET_PDEATHSIG), each sandbox with its init.
        Processes.exit(0)
    }
}

private struct SpawnerState {
    let control: Int32
    let workshop: Workshop
    let children: Int32
    /// Cells and templates by their first process.
    var cells: [Int32: (id: UInt64, isTemplate: Bool)] = [:]
    /// Where this process has power over the host; without, each cell makes its own.
    var networks: NetworkPool?
    var filters = FilterShelf()
    /// Whether a cell's user namespace can be its own user's: this process has power over the host, and the host lets other users
    /// make such namespaces, with all their power over them.
    let usersMayMakeNamespaces: Bool
    var images: ImageRoots
    /// Whether this process is in an ipc namespace that nobody else had a part in.
    private var isInEmptyIPC = false

    init(control: Int32, directory: String) throws(Failure) {
        self.control = control
        // Before anything is made: a daemon's umask is not to decide who may pass a sandbox's directories.
        _ = umask(0o022)
        let privileged = geteuid() == 0
        if !privileged { try SpawnerState.becomeRootOfOwnNamespace() }
        workshop = try Workshop(directory: directory, privileged: privileged)
        images = try ImageRoots(workshop)
        usersMayMakeNamespaces = privileged && Workshop.kernelSetting("apparmor_restrict_unprivileged_userns") != 1
            && Workshop.kernelSetting("unprivileged_userns_clone") != 0
        do { children = try Processes.signalDescriptor([SIGCHLD]) } catch { throw Failure(.prepare, error.code, "signals") }
        // No signal is ignored here: a job would inherit that. Its own session keeps a terminal's ^C away, and no write
        // of ours raises SIGPIPE.
        Processes.resetSignals()
        Processes.leaveSessionKeyring()
        try? Processes.setPriority(-5)
        // Where the kernel shares processors out by session, every job is one, and all inits together are another: without
        // more weight than one job's they would starve among many.
        _ = try? Files.writeFile("/proc/self/autogroup", "-10")
        if privileged { networks = try NetworkPool() }
        try attempt(.prepare, "announce") { () throws(Errno) in
            try Channel.send(control, SpawnerEvent.made(sandbox: 0, pid: getpid()).encoded())
        }
        Rehearsal.run(in: workshop)
        networks?.makeAhead()
    }

    /// Without root: a user namespace in which this process has the power that a sandbox's making takes.
    private static func becomeRootOfOwnNamespace() throws(Failure) {
        let (uid, gid) = (geteuid(), getegid())
        try attempt(.prepare, "user namespace") { () throws(Errno) in
            try Processes.unshare(.user)
            try Files.writeFile("/proc/self/setgroups", "deny")
            try Files.writeFile("/proc/self/gid_map", "0 \(gid) 1")
            try Files.writeFile("/proc/self/uid_map", "0 \(uid) 1")
        }
    }

    mutating func loop() throws(Failure) {
        var poll = PollSet()
        while true {
            poll.removeAll()
            poll.add(control)
            poll.add(children)
            try attempt(.supervise) { () throws(Errno) in try poll.wait(nanoseconds: nil) }
            if poll.isReady(children) { try reap() }
            if poll.isReady(control), try !takeRequest() { return }
        }
    }

    private mutating func reap() throws(Failure) {
        Events.drain(children)
        while let end = try? Processes.reapAny() {
            let cell = cells.removeValue(forKey: end.pid)
            // The kernel lets an init end only when everything in its pid namespace has; a template has none of its own.
            let inOrder = cell?.isTemplate == false || end.status == .exited(0) || end.status == .exited(1)
            if let cell { try answer(.ended(sandbox: cell.id, inOrder: inOrder)) }
            // Afterwards: looking for traces takes as long as all the rest, and nobody needs to wait for it.
            networks?.takeBack(from: end.pid, isUntouched: end.status == .exited(Keeper.End.networkUntouched.rawValue))
        }
    }

    /// Ends every sandbox and waits until the kernel has.
    mutating func endAll() {
        for pid in cells.keys { try? Processes.kill(pid, SIGKILL) }
        while (try? Processes.reapAny(wait: true)) != nil {}
    }

    private func answer(_ event: SpawnerEvent) throws(Failure) {
        try attempt(.supervise, "answer") { () throws(Errno) in try Channel.send(control, event.encoded()) }
    }

    /// - Returns: false when the daemon is gone.
    private mutating func takeRequest() throws(Failure) -> Bool {
        let message: (bytes: [UInt8], descriptors: [Int32])?
        do { message = try Channel.receive(control, wait: true) } catch { throw Failure(.supervise, error.code, "request") }
        guard let message else { return false }
        defer { for d in message.descriptors { Files.close(d) } }
        let command: SpawnerCommand
        do { command = try SpawnerCommand(decoding: message.bytes) } catch { throw Failure(.decode, EBADMSG, "at \(error.at): expected \(error.expected)") }
        switch command {
        case .make(let request):
            guard message.descriptors.count == request.descriptorCount else { throw Failure(.decode, EBADMSG, "descriptors") }
            try answerBirth(request.sandbox, isTemplate: false) { (s) throws(Failure) in
                do throws(Failure) { return try s.make(request, message.descriptors) } catch {
                    // On the cell's own socket first: the daemon may see that closed before it reads here why.
                    try? Channel.send(message.descriptors[0], InitEvent.failed(error).encoded())
                    throw error
                }
            }
        case .makeTemplate(let request):
            guard message.descriptors.count == request.descriptorCount else { throw Failure(.decode, EBADMSG, "descriptors") }
            try answerBirth(request.sandbox, isTemplate: true) { (s) throws(Failure) in
                try s.images.birth(of: request.root, hasResolvers: false) { (w) throws(Failure) in
                    try TemplateProcess.start(request, message.descriptors, workshop: w)
                }
            }
        case .kill(let id):
            // A pid that is still in the table has not been reaped, so it is nobody else's.
            if let cell = cells.first(where: { $0.value.id == id }) { try? Processes.kill(cell.key, SIGKILL) }
        }
        return true
    }

    private mutating func answerBirth(
        _ sandbox: UInt64, isTemplate: Bool, _ birth: (inout SpawnerState) throws(Failure) -> Int32
    ) throws(Failure) {
        let pid: Int32
        do throws(Failure) { pid = try birth(&self) } catch { return try answer(.makeFailed(sandbox: sandbox, error)) }
        cells[pid] = (sandbox, isTemplate)
        try answer(.made(sandbox: sandbox, pid: pid))
    }

    private mutating func make(_ request: MakeRequest, _ descriptors: [Int32]) throws(Failure) -> Int32 {
        let gate: (read: Int32, write: Int32)
        do { gate = try Files.pipe() } catch { throw Failure(.clone, error.code, "pipe") }
        defer {
            Files.close(gate.read)
            Files.close(gate.write)
        }
        let filter = try filters.filter(for: request, privileged: workshop.privileged)
        let hasResolvers = request.outbound?.resolvers.isEmpty == false
        let network = request.templateID == nil ? try networks?.enter(for: request.spec) ?? nil : nil
        let pid: Int32
        do throws(Failure) {
            let namespaces = try namespaces(for: request)
            let owner = owner(of: request)
            pid = try images.birth(of: request.spec.root, hasResolvers: hasResolvers) { (workshop) throws(Failure) in
                let pid = try Self.clone(namespaces, owner: owner)
                guard pid == 0 else { return pid }
                // Else it would wait at its own end of the gate when this process dies.
                Files.close(gate.write)
                Keeper.begin(
                    request, filter, control: descriptors[0], cgroup: Array(descriptors.dropFirst()), gate: gate.read, workshop: workshop,
                    networkTellsAll: network?.tellsAll ?? false)
            }
        } catch {
            networks?.leave()
            if let network { networks?.discard(network) }
            throw error
        }
        networks?.leave()
        // One with a way out has an interface that stays.
        if let network { if request.spec.network == .outbound { networks?.discard(network) } else { networks?.lend(network, to: pid) } }
        do throws(Failure) {
            try mapIDs(of: pid, request)
            if let place = request.outbound { try attach(place, to: pid) }
        } catch {
            try? Processes.kill(pid, SIGKILL)
            throw error
        }
        // One byte lets the init go on; the end of the file without it says that this process died.
        try attempt(.idMap, "gate") { () throws(Errno) in try Files.writeAll(gate.write, [1]) }
        return pid
    }

    /// Whose a user namespace is, on whose account the kernel has what is counted by user: inotify's instances and watches, namespaces. Were
    /// all of them root's, one sandbox could use up what the host has for itself. A template's, because it may enter only what is its own.
    private func owner(of request: MakeRequest) -> UInt32? { request.templateID ?? (usersMayMakeNamespaces ? request.idBase : nil) }

    private mutating func namespaces(for request: MakeRequest) throws(Failure) -> Namespaces {
        var namespaces: Namespaces = [.user, .pid, .mount, .uts]
        if request.templateID != nil || networks == nil { namespaces.insert(.network) }
        if try !sharesIPC(request) { namespaces.insert(.ipc) }
        return namespaces
    }

    /// Whether the cell is to be in this process's own ipc namespace, which is empty then: the host's is left first. Forks enter what
    /// their template's user namespace owns, and this belongs to the host's.
    private mutating func sharesIPC(_ request: MakeRequest) throws(Failure) -> Bool {
        guard request.spec.mayShareIPC, request.templateID == nil, workshop.privileged else { return false }
        if !isInEmptyIPC {
            try attempt(.clone, "ipc namespace") { () throws(Errno) in try Processes.unshare(.ipc) }
            isInEmptyIPC = true
        }
        return true
    }

    private static func clone(_ namespaces: Namespaces, owner: UInt32?) throws(Failure) -> Int32 {
        do throws(Errno) {
            if let owner { try Processes.actAs(Int(owner)) }
            let pid = try Processes.fork(into: namespaces)
            if owner != nil, pid != 0 { actAsRoot() }
            return pid
        } catch {
            if owner != nil { actAsRoot() }
            throw Failure(.clone, error.code)
        }
    }

    /// Before the init goes on: from then on it could be anything's, and an address is given by no one else.
    private func attach(_ place: OutboundAddress, to pid: Int32) throws(Failure) {
        let namespace: Int32
        do { namespace = try Files.open("/proc/\(pid)/ns/net", O_RDONLY) } catch { throw Failure(.outboundLink, error.code, "namespace") }
        defer { Files.close(namespace) }
        try OutboundLink.attach(place, to: namespace)
    }

    /// A spawner that stayed somebody else could neither map ids nor end anything.
    private static func actAsRoot() {
        if (try? Processes.actAs(0)) == nil { Processes.exit(1) }
    }

    private func mapIDs(of pid: Int32, _ request: MakeRequest) throws(Failure) {
        try attempt(.idMap) { () throws(Errno) in
            if let base = request.idBase, workshop.privileged {
                try Files.writeFile("/proc/\(pid)/gid_map", "0 \(base) 65536")
                try Files.writeFile("/proc/\(pid)/uid_map", "0 \(base) 65536")
            } else {
                try Files.writeFile("/proc/\(pid)/setgroups", "deny")
                try Files.writeFile("/proc/\(pid)/gid_map", "\(request.spec.user.gid) 0 1")
                try Files.writeFile("/proc/\(pid)/uid_map", "\(request.spec.user.uid) 0 1")
            }
        }
    }
}
