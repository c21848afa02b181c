// What holds in every policy, whatever its rules say, and what libseccomp has no words for: a dozen instructions that run
// before its program. See docs/adr/0003-seccomp-guards.md. Put in front by `Compile`.

enum Guards {
    /// Pushing keystrokes into a terminal, and the console's pasting.
    static let terminalRequests: [UInt32] = [0x5412 /* TIOCSTI */, 0x541C /* TIOCLINUX */]
    /// The bit of x32's numbers; libseccomp's own program kills those.
    static let x32Bit: UInt32 = 0x4000_0000

    /// - `denied`: what happens to a guarded request; must not permit it.
    static func instructions(machine: Machine, ioctl: Int, denied: SeccompAction) -> [BPFInstruction] {
        let noSuchCall = SeccompAction.errno(Errno.numbers["ENOSYS"] ?? 38)
        let offsetOfNumber: UInt32 = 0
        let offsetOfArch: UInt32 = 4
        // The kernel takes an ioctl request's low 32 bits; comparing all 64, as libseccomp does, can be got around.
        let lowHalfOfArgument1: UInt32 = 24
        return [
            .init(code: BPFInstruction.loadWord, k: offsetOfArch),
            // Another architecture: the numbers below mean other calls; libseccomp's program kills.
            .init(code: BPFInstruction.jumpEqual, jumpTrue: 0, jumpFalse: 9, k: machine.architecture.auditArch),
            .init(code: BPFInstruction.loadWord, k: offsetOfNumber),
            .init(code: BPFInstruction.jumpGreaterOrEqual, jumpTrue: 7, jumpFalse: 0, k: x32Bit),
            .init(code: BPFInstruction.jumpGreater, jumpTrue: 4, jumpFalse: 0, k: UInt32(Syscalls.newestNumber)),
            .init(code: BPFInstruction.jumpEqual, jumpTrue: 0, jumpFalse: 5, k: UInt32(ioctl)),
            .init(code: BPFInstruction.loadWord, k: lowHalfOfArgument1),
            .init(code: BPFInstruction.jumpEqual, jumpTrue: 2, jumpFalse: 0, k: terminalRequests[0]),
            .init(code: BPFInstruction.jumpEqual, jumpTrue: 1, jumpFalse: 2, k: terminalRequests[1]),
            .init(code: BPFInstruction.returnValue, k: noSuchCall.number),
            .init(code: BPFInstruction.returnValue, k: denied.number),
        ]
    }
}
