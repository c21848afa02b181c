// What holds in every policy, whatever its rules say: a few instructions that run before everything else. See
// docs/adr/0003-seccomp-guards.md. Put in front by `Compile`.

enum Guards {
    /// Pushing keystrokes into a terminal, and the console's pasting.
    static let terminalRequests: [UInt32] = [0x5412 /* TIOCSTI */, 0x541C /* TIOCLINUX */]
    /// The bit of x32's numbers.
    static let x32Bit: UInt32 = 0x4000_0000

    /// Sends foreign system call tables to `foreign`, answers what is guarded, and lets the rest through.
    /// - `denied`: what happens to a guarded request; must not permit it.
    static func add(to assembler: inout BPFAssembler, machine: Machine, denied: SeccompAction, foreign: BPFAssembler.Label) {
        let known = assembler.newLabel()
        assembler.load(SyscallData.offsetOfArch)
        assembler.jump(BPFInstruction.jumpEqual, machine.architecture.auditArch, is: false, to: foreign)
        assembler.load(SyscallData.offsetOfNumber)
        assembler.jump(BPFInstruction.jumpGreaterOrEqual, x32Bit, is: true, to: foreign)
        assembler.jump(BPFInstruction.jumpGreater, UInt32(Syscalls.newestNumber), is: false, to: known)
        assembler.answer(.errno(Errno.numbers["ENOSYS"] ?? 38))
        assembler.place(known)

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
