// Classic BPF as seccomp runs it: instructions, their bytes, and an interpreter of its own, so that `Compile` can ask a
// finished filter what it does instead of trusting how it was made. Pure.

/// One instruction, as in the kernel's `struct sock_filter`.
struct BPFInstruction: Equatable {
    var code: UInt16
    var jumpTrue: UInt8 = 0
    var jumpFalse: UInt8 = 0
    var k: UInt32

    // The kernel's names: BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, …
    static let loadWord: UInt16 = 0x20
    static let jumpEqual: UInt16 = 0x15
    static let jumpGreater: UInt16 = 0x25
    static let jumpGreaterOrEqual: UInt16 = 0x35
    static let jumpBitsSet: UInt16 = 0x45
    static let jumpAlways: UInt16 = 0x05
    static let and: UInt16 = 0x54
    static let returnValue: UInt16 = 0x06

    var bytes: [UInt8] {
        let head = [UInt8(code & 0xFF), UInt8(code >> 8), jumpTrue, jumpFalse]
        return head + [0, 8, 16, 24].map { (shift: UInt32) in UInt8(k >> shift & 0xFF) }
    }
}

/// What the kernel hands a filter for each system call: `struct seccomp_data` without the instruction pointer.
struct SyscallData: Equatable {
    var number: UInt32
    var arch: UInt32
    /// Six.
    var arguments: [UInt64]

    init(number: UInt32, arch: UInt32, arguments: [UInt64] = []) {
        self.number = number
        self.arch = arch
        self.arguments = Array((arguments + [0, 0, 0, 0, 0, 0]).prefix(6))
    }

    static let offsetOfNumber: UInt32 = 0
    static let offsetOfArch: UInt32 = 4

    /// Both architectures of the farm are little-endian.
    static func offset(argument: Int, upperHalf: Bool) -> UInt32 { UInt32(16 + 8 * argument + (upperHalf ? 4 : 0)) }

    /// The 32-bit word at a byte offset, on a little-endian machine.
    fileprivate func word(at offset: UInt32) -> UInt32? {
        switch offset {
        case 0: return number
        case 4: return arch
        case 8, 12: return 0
        case 16..<64 where offset % 4 == 0:
            let argument = arguments[Int(offset - 16) / 8]
            return UInt32(truncatingIfNeeded: offset % 8 == 0 ? argument : argument >> 32)
        default: return nil
        }
    }
}

struct BPFProgram: Equatable {
    /// The kernel takes no longer ones.
    static let maximumLength = 4096

    var instructions: [BPFInstruction]

    init(_ instructions: [BPFInstruction]) { self.instructions = instructions }

    /// From the little-endian bytes of `struct sock_filter`s; `nil` when they are not a whole number of them.
    init?(bytes: [UInt8]) {
        guard bytes.count % 8 == 0 else { return nil }
        instructions = stride(from: 0, to: bytes.count, by: 8).map { at in
            var k: UInt32 = 0
            for byte in bytes[at + 4..<at + 8].reversed() { k = k << 8 | UInt32(byte) }
            let code = UInt16(bytes[at]) | UInt16(bytes[at + 1]) << 8
            return BPFInstruction(code: code, jumpTrue: bytes[at + 2], jumpFalse: bytes[at + 3], k: k)
        }
    }

    var bytes: [UInt8] { instructions.flatMap(\.bytes) }

    /// The SECCOMP_RET_ value for a call; `nil` for a program the kernel would refuse (it runs off its end, or uses what
    /// is not known here).
    func run(_ data: SyscallData) -> UInt32? {
        var accumulator: UInt32 = 0
        var position = 0
        // Jumps only lead forward: this ends.
        while position < instructions.count {
            let instruction = instructions[position]
            position += 1
            let holds: Bool
            switch instruction.code {
            case BPFInstruction.returnValue: return instruction.k
            case BPFInstruction.loadWord:
                guard let word = data.word(at: instruction.k) else { return nil }
                accumulator = word
                continue
            case BPFInstruction.and:
                accumulator &= instruction.k
                continue
            case BPFInstruction.jumpAlways:
                position += Int(instruction.k)
                continue
            case BPFInstruction.jumpEqual: holds = accumulator == instruction.k
            case BPFInstruction.jumpGreater: holds = accumulator > instruction.k
            case BPFInstruction.jumpGreaterOrEqual: holds = accumulator >= instruction.k
            case BPFInstruction.jumpBitsSet: holds = accumulator & instruction.k != 0
            default: return nil
            }
            position += Int(holds ? instruction.jumpTrue : instruction.jumpFalse)
        }
        return nil
    }
}
