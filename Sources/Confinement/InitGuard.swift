// Where the daemon is not root, a job runs under the very id its init has. The kernel's own rules keep it from tracing
// and killing that init, but let one process of a user lower another's limits, priority and processors: enough to make
// an init die or starve. These few instructions, put in front of the job's filter, refuse the calls that could.

import CLinux
import Glibc
import LinuxSystem
import SandboxCore

enum InitGuard {
    /// Calls whose first argument is the process they change.
    private static let byFirst = [
        SYS_prlimit64, SYS_sched_setaffinity, SYS_sched_setparam, SYS_sched_setscheduler, SYS_sched_setattr,
    ]
    /// Calls that say in the first argument what kind of thing the second one names.
    private static let byKind: [(call: Int32, process: UInt32, user: UInt32)] = [(SYS_setpriority, 0, 2), (SYS_ioprio_set, 1, 3)]

    /// The job's filter with the guard before it; the guard alone where there is no filter.
    static func guarding(_ filter: [UInt8]?) -> [UInt8] {
        var program = BPF()
        // The filter itself refuses foreign call tables, whose numbers mean other calls.
        program.load(SyscallData.offsetOfArch)
        program.jump(ifEqual: nativeArchitecture, 1, 0)
        program.jumpAlways(0)  // patched below: to the end of the guard
        let foreign = program.count - 1
        program.load(SyscallData.offsetOfNumber)
        for call in byFirst {
            program.jump(ifEqual: UInt32(call), 0, 4)
            program.load(argument(0))
            program.jump(ifEqual: 1, 0, 1)
            program.give(refusal)
            program.load(SyscallData.offsetOfNumber)
        }
        for (call, process, user) in byKind {
            program.jump(ifEqual: UInt32(call), 0, 7)
            program.load(argument(0))
            program.jump(ifEqual: user, 3, 0)
            program.jump(ifEqual: process, 0, 3)
            program.load(argument(1))
            program.jump(ifEqual: 1, 0, 1)
            program.give(refusal)
            program.load(SyscallData.offsetOfNumber)
        }
        program.patch(foreign, jumpTo: program.count)
        guard let filter else {
            program.give(UInt32(SECCOMP_RET_ALLOW))
            return program.bytes
        }
        return program.bytes + filter
    }

    private static let refusal = UInt32(SECCOMP_RET_ERRNO) | UInt32(EPERM)
    /// The low half of an argument: ids and kinds are 32 bits wide.
    private static func argument(_ n: Int) -> UInt32 { SyscallData.offset(argument: n, upperHalf: false) }

    #if arch(x86_64)
    private static let nativeArchitecture: UInt32 = 0xC000_003E
    #else
    private static let nativeArchitecture: UInt32 = 0xC000_00B7
    #endif
}

/// Classic BPF, written instruction by instruction.
private struct BPF {
    private var code: [BPFInstruction] = []
    var count: Int { code.count }

    mutating func load(_ offset: UInt32) { code.append(BPFInstruction(code: BPFInstruction.loadWord, k: offset)) }
    mutating func jump(ifEqual value: UInt32, _ yes: UInt8, _ no: UInt8) {
        code.append(BPFInstruction(code: BPFInstruction.jumpEqual, jumpTrue: yes, jumpFalse: no, k: value))
    }
    mutating func jumpAlways(_ distance: UInt32) { code.append(BPFInstruction(code: BPFInstruction.jumpAlways, k: distance)) }
    mutating func give(_ value: UInt32) { code.append(BPFInstruction(code: BPFInstruction.returnValue, k: value)) }
    mutating func patch(_ at: Int, jumpTo target: Int) { code[at].k = UInt32(target - at - 1) }

    var bytes: [UInt8] { code.flatMap(\.bytes) }
}
