// A checked policy -> the kernel's program, and the proof that the program does what must hold in every policy. The last
// stop of this room; the program travels on in a `SandboxSpec`.

import SandboxCore

extension Policy {
    /// The seccomp filter of every process a job starts under this policy on this machine.
    /// - Parameter notify: false on a host whose kernel has no user notification; denied calls then get EPERM uncounted.
    public func compile(notify: Bool = true) throws(PolicyErrors) -> SeccompProgram {
        let machine = Machine.current
        let fallback = { (action: SeccompAction) in action == .notify && !notify ? .errno(1) : action }
        let standard = fallback(defaultAction)
        var rules = self.rules
        for index in rules.indices { rules[index].action = fallback(rules[index].action) }
        let source = try FilterSource(rules, standard: standard, guarded: standard.permits ? .errno(1) : standard, named: name, machine: machine)
        // The rules alone say what is permitted; whoever is handed the calls has to know.
        let ruled = try source.program()
        let netlink = notify ? Proof(program: ruled, machine: machine).netlinkProtocols() : 0
        let program = netlink == 0 ? ruled : try source.program(countedNetlink: netlink)
        let proof = try prove(program, machine)
        if netlink != 0, proof.netlinkProtocols() != 0 { throw broken(["permits netlink sockets without number"]) }
        let notifies = program.instructions.contains(.init(code: BPFInstruction.returnValue, k: SeccompAction.notify.number))
        return SeccompProgram(
            bpf: program.bytes, notifies: notifies, onDenied: onDenied, permitsKeys: proof.permitsKeys(), loadsAhead: proof.loadsAhead(),
            countedNetlink: netlink, permitsSockets: permits(any: Self.socketMakers, standard) || proof.permitsSockets(),
            permitsIPC: permits(any: Self.ipcMakers, standard) || proof.permitsIPC(),
            watching: notifies ? try watching(source, netlink, machine) : nil)
    }

    /// The same filter, but that its supervisor hears of every call by which a job could leave something behind.
    private func watching(_ source: FilterSource, _ netlink: UInt32, _ machine: Machine) throws(PolicyErrors) -> SeccompProgram.Watching {
        let (network, ipc) = (Self.socketMakers.compactMap(syscallNumber), Self.ipcMakers.compactMap(syscallNumber))
        let program = try source.program(countedNetlink: netlink, handedOver: Set(network + ipc))
        _ = try prove(program, machine)
        return SeccompProgram.Watching(bpf: program.bytes, network: network.map(UInt32.init), ipc: ipc.map(UInt32.init))
    }

    private func prove(_ program: BPFProgram, _ machine: Machine) throws(PolicyErrors) -> Proof {
        let proof = Proof(program: program, machine: machine)
        let doors = proof.broken()
        if !doors.isEmpty { throw broken(doors) }
        return proof
    }

    private func broken(_ doors: [String]) -> PolicyErrors {
        PolicyErrors(doors.map { PolicyError(file: name, path: "seccomp", "the compiled filter \($0)") })
    }

    /// The calls that can make a socket. io_uring's operations are seen by no filter, so its set-up counts.
    static let socketMakers = ["socket", "socketpair", "io_uring_setup"]
    /// Those that can make an object in an ipc namespace. All others need one that is there.
    static let ipcMakers = ["shmget", "semget", "msgget", "mq_open"]

    /// Whether some rule, whatever it asks of the arguments, lets one of these calls through.
    private func permits(any calls: [String], _ standard: SeccompAction) -> Bool {
        standard.permits || rules.contains { $0.action.permits && $0.names.contains(where: calls.contains) }
    }
}
