// The warden's second role: PID 1 of a sandbox. It makes the sandbox around itself, then runs one step at a time as the
// daemon asks, holds it to its limits, and reports. It cannot be reached from inside: other ids than the job's (or, with
// a single id, no way to trace it), not dumpable, not in the job's cgroup, and the kernel lets no signal from its own
// pid namespace through.

import Glibc
import LinuxSystem
import SandboxCore

struct Init {
    let control: Int32
    let spec: SandboxSpec
    let cgroup: JobCgroup
    let singleID: Bool
    /// What the scratch file system holds that is not the job's.
    let ownDisk: (inodes: Int, bytes: Int)
    /// Processors of the machine, counted outside: a hostile image could answer in its place.
    let cpus: Int
    /// Raised by the kernel when a process of the sandbox ends.
    let children: Int32
    /// What 0, 1 and 2 are when no job is being started.
    let null: Int32
    let workspace: Int32
    let temporary: Int32
    /// For the child of each step between its clone and its exec.
    let stack: UnsafeMutableRawBufferPointer

    /// The first thing a new sandbox's first process does. Never returns.
    static func begin(_ request: MakeRequest, control: Int32, cgroup: [Int32], gate: Int32, workshop: Workshop) -> Never {
        do throws(Failure) {
            try waitForIDs(gate)
            try settle(request, workshop, keeping: [control] + cgroup)
            try Isolation.enter(request.spec, resolvers: request.outbound?.resolvers ?? [], workshop: workshop)
            var initProcess = try Init(request, control: control, cgroup: cgroup, workshop)
            try attempt(.supervise) { () throws(Errno) in try Channel.send(control, InitEvent.ready.encoded()) }
            try initProcess.serve()
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
    private static func settle(_ request: MakeRequest, _ workshop: Workshop, keeping: [Int32]) throws(Failure) {
        if workshop.privileged {
            try attempt(.setID) { () throws(Errno) in
                try Processes.dropGroups()
                try Processes.setIDs(uid: 0, gid: 0)
            }
        }
        // After the change of ids, which clears both.
        _ = Processes.control(PR_SET_PDEATHSIG, Int(SIGKILL))
        _ = Processes.control(PR_SET_DUMPABLE, 0)
        // The spawner's own descriptors, and those of other sandboxes under way.
        var next = 3
        for fd in keeping.sorted() {
            if Int(fd) > next { _ = syscall(SYS_close_range, next, Int(fd) - 1, 0) }
            next = Int(fd) + 1
        }
        _ = syscall(SYS_close_range, next, Int(UInt32.max), 0)
    }

    private init(_ request: MakeRequest, control: Int32, cgroup: [Int32], _ workshop: Workshop) throws(Failure) {
        self.control = control
        spec = request.spec
        self.cgroup = JobCgroup(version: request.cgroupVersion, roles: request.cgroupFiles, descriptors: cgroup)
        singleID = !workshop.privileged
        ownDisk = Workshop.own(resolvers: request.outbound?.resolvers.isEmpty == false)
        cpus = workshop.cpus
        do throws(Errno) {
            children = try Processes.signalDescriptor([SIGCHLD])
            null = try Files.open("/dev/null", O_RDWR)
            workspace = try Files.open("/workspace", O_RDONLY | O_DIRECTORY)
            temporary = try Files.open("/tmp", O_RDONLY | O_DIRECTORY)
        } catch { throw Failure(.prepare, error.code) }
        stack = UnsafeMutableRawBufferPointer.allocate(byteCount: 128 << 10, alignment: 16)
    }

    private mutating func serve() throws(Failure) {
        while true {
            let message: (bytes: [UInt8], descriptors: [Int32])?
            do { message = try Channel.receive(control, wait: true) } catch { throw Failure(.supervise, error.code, "command") }
            guard let message else { return }
            defer { for d in message.descriptors { Files.close(d) } }
            let command: InitCommand
            do { command = try InitCommand(decoding: message.bytes) } catch { throw Failure(.decode, EBADMSG, "at \(error.at): expected \(error.expected)") }
            // A cancel that crossed the report of the step it was meant for has nothing to end.
            guard case .run(let plan, let hasInput) = command else { continue }
            guard !hasInput || message.descriptors.count == 1 else { throw Failure(.decode, EBADMSG, "standard input") }
            let event: InitEvent
            do throws(Failure) {
                event = .report(try RunningStep.run(plan, input: hasInput ? message.descriptors[0] : nil, in: self))
            } catch { event = .failed(error) }
            try attempt(.supervise, "report") { () throws(Errno) in try Channel.send(control, event.encoded()) }
        }
    }
}
