// What holds in every policy, whatever its rules say. See docs/adr/0003-seccomp-guards.md. Put around the rules by `Compile`.

enum Guards {
    /// Pushing keystrokes into a terminal, and the console's pasting.
    static let terminalRequests: [UInt32] = [0x5412 /* TIOCSTI */, 0x541C /* TIOCLINUX */]
    /// The family of sockets whose queues are on nobody's account.
    static let netlink: UInt64 = 16
    /// The bit of x32's numbers.
    static let x32Bit: UInt32 = 0x4000_0000

    /// A request the kernel takes the low 32 bits of: a comparison of all 64 could be got around.
    static func terminal() -> [ArgumentCondition] {
        [ArgumentCondition(index: 1, op: .maskedEqual, values: terminalRequests.map(UInt64.init), mask: 0xFFFF_FFFF)]
    }

    /// Families and protocols are C ints too.
    /// - Parameter protocols: a bit for each.
    static func netlink(_ protocols: UInt32) -> [ArgumentCondition] {
        let numbers = (0..<32).filter { protocols & 1 << UInt32($0) != 0 }.map(UInt64.init)
        return [
            ArgumentCondition(index: 0, op: .maskedEqual, values: [netlink], mask: 0xFFFF_FFFF),
            ArgumentCondition(index: 2, op: .maskedEqual, values: numbers, mask: 0xFFFF_FFFF),
        ]
    }
}
