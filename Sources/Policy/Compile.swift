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
        func assemble(countedNetlink: UInt32) throws(PolicyErrors) -> BPFProgram {
            try Self.assemble(
                rules, standard: standard, guarded: standard.permits ? .errno(1) : standard, countedNetlink: countedNetlink, named: name,
                machine: machine)
        }
        // The rules alone say what is permitted; whoever is handed the calls has to know.
        let ruled = try assemble(countedNetlink: 0)
        let netlink = notify ? Proof(program: ruled, machine: machine).netlinkProtocols() : 0
        let program = netlink == 0 ? ruled : try assemble(countedNetlink: netlink)
        let proof = Proof(program: program, machine: machine)
        let broken = proof.broken() + (netlink == 0 || proof.netlinkProtocols() == 0 ? [] : ["permits netlink sockets without number"])
        guard broken.isEmpty else {
            throw PolicyErrors(broken.map { PolicyError(file: name, path: "seccomp", "the compiled filter \($0)") })
        }
        return SeccompProgram(
            bpf: program.bytes, notifies: program.instructions.contains(.init(code: 0x06, k: SeccompAction.notify.number)),
            onDenied: onDenied, permitsKeys: proof.permitsKeys(), loadsAhead: proof.loadsAhead(), countedNetlink: netlink,
            permitsSockets: permits(any: Self.socketMakers, standard) || proof.permitsSockets())
    }

    /// The calls that can make a socket. io_uring's operations are seen by no filter, so its set-up counts.
    fileprivate static let socketMakers = ["socket", "socketpair", "io_uring_setup"]

    /// Whether some rule, whatever it asks of the arguments, lets one of these calls through.
    private func permits(any calls: [String], _ standard: SeccompAction) -> Bool {
        standard.permits || rules.contains { $0.action.permits && $0.names.contains(where: calls.contains) }
    }

    /// - Parameters:
    ///   - guarded: what happens to requests that no rule can grant.
    ///   - countedNetlink: protocols of netlink sockets, a bit for each, of which a call that makes one is handed over.
    static func assemble(
        _ rules: [SyscallRule], standard: SeccompAction, guarded: SeccompAction, countedNetlink: UInt32 = 0, named name: String,
        machine: Machine
    ) throws(PolicyErrors) -> BPFProgram {
        // libseccomp refuses a rule that says what holds anyway. Leaving it out is safe: `Lint` has seen to it that no
        // call matches two rules with different actions.
        let table = rules.filter { $0.conditions.isEmpty && $0.action != standard }.flatMap { rule in
            rule.names.compactMap(syscallNumber).map { Libseccomp.Rule(number: $0, action: rule.action) }
        }
        let exported: [UInt8]
        do throws(Libseccomp.Failure) {
            exported = try Libseccomp.export(defaultAction: standard, rules: table)
        } catch {
            throw PolicyErrors(PolicyError(
                file: name, path: "seccomp", "libseccomp does not take it: \(error.call) failed with errno \(error.errno)"))
        }
        guard let byNumber = BPFProgram(bytes: exported) else {
            throw PolicyErrors(PolicyError(file: name, path: "seccomp", "libseccomp wrote half an instruction"))
        }
        let instructions: [BPFInstruction]?
        do throws(DecisionDiagram.TooLarge) {
            instructions = try diagram(rules, byNumber, standard, guarded, countedNetlink, machine)
        } catch {
            throw PolicyErrors(PolicyError(file: name, path: "seccomp", "its conditions on arguments are too many to be checked for each call"))
        }
        guard let instructions else {
            throw PolicyErrors(PolicyError(file: name, path: "seccomp", "libseccomp's program does not answer every call"))
        }
        return BPFProgram(instructions)
    }

    /// - Parameter byNumber: libseccomp's program; `nil` comes of one that does not answer some number.
    private static func diagram(
        _ rules: [SyscallRule], _ byNumber: BPFProgram, _ standard: SeccompAction, _ guarded: SeccompAction, _ countedNetlink: UInt32, _ machine: Machine
    ) throws(DecisionDiagram.TooLarge) -> [BPFInstruction]? {
        var diagram = DecisionDiagram()
        let conditional = conditionalRules(rules)
        let (socket, ioctl) = (syscallNumber(name: "socket"), syscallNumber(name: "ioctl"))
        var runs: [DecisionDiagram.Run] = []
        for number in 0...Syscalls.newestNumber {
            guard let answer = byNumber.run(SyscallData(number: UInt32(number), arch: machine.architecture.auditArch)) else { return nil }
            var next = if let rules = conditional[number] { try diagram.decide(rules, standard: standard) } else { try diagram.answer(answer) }
            if number == socket, countedNetlink != 0 {
                next = try diagram.merge(try diagram.holds(Guards.netlink(countedNetlink)), then: try diagram.answer(SeccompAction.notify.number), otherwise: next)
            }
            if number == ioctl { next = try diagram.merge(try diagram.holds(Guards.terminal()), then: try diagram.answer(guarded.number), otherwise: next) }
            runs.append(DecisionDiagram.Run(first: UInt32(number), next: next))
        }
        let foreign = try diagram.answer(SeccompAction.killProcess.number)
        let unknown = try diagram.answer(SeccompAction.errno(Errno.numbers["ENOSYS"] ?? 38).number)
        runs.append(DecisionDiagram.Run(first: UInt32(Syscalls.newestNumber) + 1, next: unknown))
        runs.append(DecisionDiagram.Run(first: Guards.x32Bit, next: foreign))
        let native = try diagram.choice(.number, runs)
        let root = try diagram.table(.architecture, [machine.architecture.auditArch: native], otherwise: foreign)
        return DiagramWriter.instructions(diagram, from: root)
    }

    /// The rules of each call that only has rules with conditions, in their order.
    private static func conditionalRules(_ rules: [SyscallRule]) -> [Int: [SyscallRule]] {
        let unconditional = Set(rules.filter(\.conditions.isEmpty).flatMap(\.names))
        var byNumber: [Int: [SyscallRule]] = [:]
        for rule in rules where !rule.conditions.isEmpty {
            for name in rule.names where !unconditional.contains(name) {
                if let number = syscallNumber(name: name) { byNumber[number, default: []].append(rule) }
            }
        }
        return byNumber
    }
}

/// Questions to a finished filter. They do not depend on how it was made: a mistake in a policy, in this room or in
/// libseccomp that opened one of these doors would end here.
private struct Proof {
    let program: BPFProgram
    let machine: Machine

    func broken() -> [String] {
        guard program.instructions.count <= BPFProgram.maximumLength else {
            return ["has \(program.instructions.count) instructions, the kernel takes \(BPFProgram.maximumLength)"]
        }
        return foreignTables() + startable() + closedDoors() + namespaces() + terminals()
    }

    private func answer(_ number: UInt32, _ arguments: [UInt64] = [], arch: UInt32? = nil) -> UInt32? {
        program.run(SyscallData(number: number, arch: arch ?? machine.architecture.auditArch, arguments: arguments))
    }

    private func permits(_ value: UInt32?) -> Bool {
        guard let value else { return true }
        let action = value & 0xFFFF_0000
        return action == SeccompAction.allow.number || action == SeccompAction.log.number || action == 0x7FF0_0000
    }

    func permitsKeys() -> Bool {
        ["add_key", "request_key", "keyctl"].compactMap(syscallNumber).contains { permits(answer(UInt32($0))) }
    }

    /// The rules say so before; this asks the filter itself, by every family and kind of socket there is.
    func permitsSockets() -> Bool {
        Policy.socketMakers.compactMap(syscallNumber).contains { call in
            (0...UInt64(64)).contains { family in
                [0, 1, 2, 3, 5, 0x80002].contains { kind in permits(answer(UInt32(call), [family, kind])) }
            }
        }
    }

    /// The protocols of netlink sockets that can be made, a bit for each.
    func netlinkProtocols() -> UInt32 {
        guard let socket = syscallNumber(name: "socket") else { return 0 }
        return (0..<32).reduce(0) { mask, number in
            [2, 3].contains { permits(answer(UInt32(socket), [Guards.netlink, $0, UInt64(number)])) } ? mask | 1 << UInt32(number) : mask
        }
    }

    /// Whatever stands in the places of the arguments that vary: a number, an address, nothing.
    func loadsAhead() -> Bool {
        SeccompProgram.beforeExec.allSatisfy { step in
            guard let number = syscallNumber(name: step.call) else { return false }
            return [0, 7, 0x7FFD_1234_5678].allSatisfy { (varying: UInt64) in
                answer(UInt32(number), step.arguments.map { $0 ?? varying }) == SeccompAction.allow.number
            }
        }
    }

    private func foreignTables() -> [String] {
        let kill = SeccompAction.killProcess.number
        var broken: [String] = []
        // i386, arm, and one that does not exist.
        for arch: UInt32 in [0x4000_0003, 0x4000_0028, 0x1234_5678] {
            for number: UInt32 in [0, 1, 11, 59, 102, 120, 450, 1000] where answer(number, arch: arch) != kill {
                broken.append("does not kill system call \(number) of architecture \(arch)")
            }
        }
        for number in 0...UInt32(Syscalls.newestNumber) where answer(Guards.x32Bit | number) != kill {
            if machine.architecture == .x86_64 { broken.append("does not kill x32's system call \(number)") }
        }
        let younger = UInt32(Syscalls.newestNumber) + 1
        if answer(younger) != SeccompAction.errno(38).number { broken.append("does not answer ENOSYS to a younger call") }
        return broken
    }

    private func startable() -> [String] {
        Lint.needed.compactMap { name in
            guard let number = syscallNumber(name: name) else { return nil }
            return answer(UInt32(number)) == SeccompAction.allow.number ? nil : "denies \(name)"
        }
    }

    private func closedDoors() -> [String] {
        let everything = [UInt64](repeating: .max, count: 6)
        return Danger.never.flatMap(\.names).compactMap { name in
            guard let number = syscallNumber(name: name) else { return nil }
            return permits(answer(UInt32(number))) || permits(answer(UInt32(number), everything)) ? "permits \(name)" : nil
        }
    }

    private func namespaces() -> [String] {
        guard let clone = syscallNumber(name: "clone") else { return [] }
        return Danger.namespaceFlags.compactMap { flag in
            // As fork does it, as threads do it, and with rubbish in the half the kernel ignores.
            let calls: [UInt64] = [flag, flag | 17, flag | 0x3D_0F00, flag | 0xFFFF_FFFF_0000_0000]
            return calls.contains { permits(answer(UInt32(clone), [$0])) } ? "permits clone with flag \(flag)" : nil
        }
    }

    private func terminals() -> [String] {
        guard let ioctl = syscallNumber(name: "ioctl") else { return [] }
        return Guards.terminalRequests.compactMap { request in
            let calls = [UInt64(request), UInt64(request) | 1 << 32, UInt64(request) | 0xFFFF_FFFF_0000_0000]
            return calls.contains { permits(answer(UInt32(ioctl), [0, $0])) } ? "permits ioctl \(request)" : nil
        }
    }
}
