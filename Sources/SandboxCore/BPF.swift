// Classic BPF as seccomp runs it: instructions, their bytes, and an interpreter, so that a policy's finished filter can be
// asked what it does instead of trusting how it was made, and an init can ask it about a call it was handed. Pure.

/// One instruction, as in the kernel's `struct sock_filter`.
package struct BPFInstruction: Equatable {
    package var code: UInt16
    package var jumpTrue: UInt8
    package var jumpFalse: UInt8
    package var k: UInt32

    package init(code: UInt16, jumpTrue: UInt8 = 0, jumpFalse: UInt8 = 0, k: UInt32) {
        (self.code, self.jumpTrue, self.jumpFalse, self.k) = (code, jumpTrue, jumpFalse, k)
    }

    // The kernel's names: BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, …
    package static let loadWord: UInt16 = 0x20
    package static let jumpEqual: UInt16 = 0x15
    package static let jumpGreater: UInt16 = 0x25
    package static let jumpGreaterOrEqual: UInt16 = 0x35
    package static let jumpBitsSet: UInt16 = 0x45
    package static let jumpAlways: UInt16 = 0x05
    package static let and: UInt16 = 0x54
    package static let returnValue: UInt16 = 0x06

    package var bytes: [UInt8] {
        let head = [UInt8(code & 0xFF), UInt8(code >> 8), jumpTrue, jumpFalse]
        return head + [0, 8, 16, 24].map { (shift: UInt32) in UInt8(k >> shift & 0xFF) }
    }
}

/// What the kernel hands a filter for each system call: `struct seccomp_data` without the instruction pointer.
package struct SyscallData: Equatable {
    package var number: UInt32
    package var arch: UInt32
    /// Six.
    package var arguments: [UInt64]

    package init(number: UInt32, arch: UInt32, arguments: [UInt64] = []) {
        self.number = number
        self.arch = arch
        self.arguments = Array((arguments + [0, 0, 0, 0, 0, 0]).prefix(6))
    }

    package static let offsetOfNumber: UInt32 = 0
    package static let offsetOfArch: UInt32 = 4

    /// Both architectures of the farm are little-endian.
    package static func offset(argument: Int, upperHalf: Bool) -> UInt32 { UInt32(16 + 8 * argument + (upperHalf ? 4 : 0)) }

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

package struct BPFProgram: Equatable {
    /// The kernel takes no longer ones.
    package static let maximumLength = 4096

    package var instructions: [BPFInstruction]

    package init(_ instructions: [BPFInstruction]) { self.instructions = instructions }

    /// From the little-endian bytes of `struct sock_filter`s; `nil` when they are not a whole number of them.
    package init?(bytes: [UInt8]) {
        guard bytes.count % 8 == 0 else { return nil }
        instructions = stride(from: 0, to: bytes.count, by: 8).map { at in
            var k: UInt32 = 0
            for byte in bytes[at + 4..<at + 8].reversed() { k = k << 8 | UInt32(byte) }
            let code = UInt16(bytes[at]) | UInt16(bytes[at + 1]) << 8
            return BPFInstruction(code: code, jumpTrue: bytes[at + 2], jumpFalse: bytes[at + 3], k: k)
        }
    }

    package var bytes: [UInt8] { instructions.flatMap(\.bytes) }

    /// The SECCOMP_RET_ value for a call; `nil` for a program the kernel would refuse (it runs off its end, or uses what
    /// is not known here).
    package func run(_ data: SyscallData) -> UInt32? {
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
