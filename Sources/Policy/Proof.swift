// What must hold in every policy, asked of a finished filter. Called by `Compile`.

import SandboxCore

/// Questions to a finished filter. They do not depend on how it was made: a mistake in a policy, in this room or in
/// libseccomp that opened one of these doors would end here.
struct Proof {
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

    /// As with sockets: the rules have said so before. Nothing, everything, and the flag that makes an object.
    func permitsIPC() -> Bool {
        Policy.ipcMakers.compactMap(syscallNumber).contains { call in
            [0, 0o1000, .max].contains { (argument: UInt64) in permits(answer(UInt32(call), [UInt64](repeating: argument, count: 6))) }
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
