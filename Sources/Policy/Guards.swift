// What holds in every policy, whatever its rules say: a few instructions that run before everything else. See
// docs/adr/0003-seccomp-guards.md. Put in front by `Compile`.

enum Guards {
    /// Pushing keystrokes into a terminal, and the console's pasting.
    static let terminalRequests: [UInt32] = [0x5412 /* TIOCSTI */, 0x541C /* TIOCLINUX */]
    /// The family of sockets whose queues are on nobody's account.
    static let netlink: UInt64 = 16
    /// The bit of x32's numbers.
    static let x32Bit: UInt32 = 0x4000_0000

    /// Sends foreign system call tables to `foreign`, answers what is guarded, and lets the rest through.
    /// - `countedNetlink`: protocols of netlink sockets, a bit for each, of which a call that makes one is handed over instead
    ///   of being left to the rules.
    /// - `denied`: what happens to a guarded request; must not permit it.
    static func add(to assembler: inout BPFAssembler, machine: Machine, denied: SeccompAction, countedNetlink: UInt32, foreign: BPFAssembler.Label) {
        let known = assembler.newLabel()
        assembler.load(SyscallData.offsetOfArch)
        assembler.jump(BPFInstruction.jumpEqual, machine.architecture.auditArch, is: false, to: foreign)
        assembler.load(SyscallData.offsetOfNumber)
        assembler.jump(BPFInstruction.jumpGreaterOrEqual, x32Bit, is: true, to: foreign)
        assembler.jump(BPFInstruction.jumpGreater, UInt32(Syscalls.newestNumber), is: false, to: known)
        assembler.answer(.errno(Errno.numbers["ENOSYS"] ?? 38))
        assembler.place(known)

        if countedNetlink != 0, let socket = syscallNumber(name: "socket") {
            let counted = assembler.newLabel(), ruled = assembler.newLabel(), otherCall = assembler.newLabel()
            assembler.jump(BPFInstruction.jumpEqual, UInt32(socket), is: false, to: otherCall)
            // Families and protocols are C ints: what is above their 32 bits is nothing to the kernel.
            assembler.load(SyscallData.offset(argument: 0, upperHalf: false))
            assembler.jump(BPFInstruction.jumpEqual, UInt32(netlink), is: false, to: ruled)
            assembler.load(SyscallData.offset(argument: 2, upperHalf: false))
            for number in 0..<32 where countedNetlink & 1 << UInt32(number) != 0 {
                assembler.jump(BPFInstruction.jumpEqual, UInt32(number), is: true, to: counted)
            }
            assembler.jump(to: ruled)
            assembler.place(counted)
            assembler.answer(.notify)
            assembler.place(ruled)
            assembler.load(SyscallData.offsetOfNumber)
            assembler.place(otherCall)
        }

        guard let ioctl = syscallNumber(name: "ioctl") else { return }
        let passed = assembler.newLabel()
        let refused = assembler.newLabel()
        assembler.jump(BPFInstruction.jumpEqual, UInt32(ioctl), is: false, to: passed)
        // The kernel takes the low 32 bits of a request; a comparison of all 64 could be got around.
        assembler.load(SyscallData.offset(argument: 1, upperHalf: false))
        for request in terminalRequests {
            assembler.jump(BPFInstruction.jumpEqual, request, is: true, to: refused)
        }
        assembler.jump(to: passed)
        assembler.place(refused)
        assembler.answer(denied)
        assembler.place(passed)
    }
}
