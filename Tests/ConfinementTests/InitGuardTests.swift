// The guard before the filter of a job that shares its init's id: run here by an interpreter of its own.

@testable import Confinement
import LinuxSystem
import Testing

@Suite("The init's guard")
struct InitGuardTests {
    private static let allow: UInt32 = 0x7fff_0000
    private static let refuse: UInt32 = 0x0005_0001
    #if arch(x86_64)
    private static let native: UInt32 = 0xC000_003E
    #else
    private static let native: UInt32 = 0xC000_00B7
    #endif

    /// The kernel's interpreter, as far as the guard's instructions need it.
    private func answer(_ program: [UInt8], _ call: Int32, _ arguments: [UInt32] = [], arch: UInt32 = native) -> UInt32? {
        var at = 0, accumulator: UInt32 = 0
        for _ in 0..<1000 {
            guard at * 8 + 8 <= program.count else { return nil }
            let i = Array(program[(at * 8)..<(at * 8 + 8)])
            let k = UInt32(i[4]) | UInt32(i[5]) << 8 | UInt32(i[6]) << 16 | UInt32(i[7]) << 24
            switch UInt16(i[0]) | UInt16(i[1]) << 8 {
            case 0x20:
                let n = (Int(k) - 16) / 8
                accumulator = k == 0 ? UInt32(bitPattern: call) : k == 4 ? arch : n < arguments.count ? arguments[n] : 0
                at += 1
            case 0x15: at += 1 + Int(accumulator == k ? i[2] : i[3])
            case 0x05: at += 1 + Int(k)
            case 0x06: return k
            default: return nil
            }
        }
        return nil
    }

    @Test("refuses what would change PID 1, and lets everything else through to the filter")
    func refuses() {
        // A filter that allows all, so that what is refused is the guard's.
        for program in [InitGuard.guarding(nil), InitGuard.guarding([6, 0, 0, 0, 0, 0, 0xff, 0x7f])] {
            for call in [SYS_prlimit64, SYS_sched_setaffinity, SYS_sched_setparam, SYS_sched_setscheduler, SYS_sched_setattr] {
                #expect(answer(program, Int32(call), [1]) == Self.refuse)
                for pid: UInt32 in [0, 2, 1000, .max] { #expect(answer(program, Int32(call), [pid]) == Self.allow) }
            }
            #expect(answer(program, Int32(SYS_setpriority), [0, 1]) == Self.refuse)
            #expect(answer(program, Int32(SYS_setpriority), [2, 0]) == Self.refuse)
            #expect(answer(program, Int32(SYS_setpriority), [2, 1000]) == Self.refuse)
            #expect(answer(program, Int32(SYS_setpriority), [0, 0]) == Self.allow)
            #expect(answer(program, Int32(SYS_setpriority), [1, 1]) == Self.allow)
            #expect(answer(program, Int32(SYS_ioprio_set), [1, 1]) == Self.refuse)
            #expect(answer(program, Int32(SYS_ioprio_set), [3, 0]) == Self.refuse)
            #expect(answer(program, Int32(SYS_ioprio_set), [1, 5]) == Self.allow)
            for call in 0..<500 where ![Int(SYS_prlimit64), Int(SYS_setpriority), Int(SYS_ioprio_set)].contains(call) && !(142...145).contains(call) {
                #expect(answer(program, Int32(call), [2, 2]) == Self.allow)
            }
            // Numbers of another table mean other calls: those are the filter's to judge.
            #expect(answer(program, Int32(SYS_prlimit64), [1], arch: 0x4000_0003) == Self.allow)
        }
    }
}
