// The calls by which a job can leave something that is neither a process nor a file: in its network namespace or in its
// ipc namespace. Whoever wants one of them has to be looked after later; most jobs want none, and then nothing needs to be
// looked at, which would take longer than many a job. So a few instructions in front of the job's filter hand these calls
// to its init, which takes note and does with them what the filter says.

import LinuxSystem
import SandboxCore
import Glibc

struct WatchedCalls {
    /// What a job may have left something in.
    struct Places: OptionSet {
        let rawValue: UInt8
        static let network = Places(rawValue: 1)
        static let ipc = Places(rawValue: 2)
        static let all: Places = [.network, .ipc]
    }

    /// What comes of a call that was handed over.
    enum Answer: Equatable {
        case permit
        case error(Int32)
        /// As any other call that the policy denies.
        case denied
        case kill
    }

    /// io_uring makes sockets without asking a filter. What is not here makes neither a socket nor an ipc object, but out
    /// of one that is there.
    private static let calls: [(number: Int32, place: Places)] = [
        (Int32(SYS_socket), .network), (Int32(SYS_socketpair), .network), (Int32(SYS_io_uring_setup), .network),
        (Int32(SYS_shmget), .ipc), (Int32(SYS_semget), .ipc), (Int32(SYS_msgget), .ipc), (Int32(SYS_mq_open), .ipc),
    ]

    private let filter: [UInt8]
    /// Only some jobs need it.
    private var program: BPFProgram?

    /// - Parameter filter: the policy's.
    init(_ filter: [UInt8]) { self.filter = filter }

    /// What a job loads instead of the filter.
    var watchingFilter: [UInt8] { Self.watch + filter }

    /// The same for every filter.
    static let watch: [UInt8] = {
        let count = calls.count
        var code = [
            BPFInstruction(code: BPFInstruction.loadWord, k: SyscallData.offsetOfArch),
            // Numbers of a foreign table mean other calls; what becomes of those the filter says.
            BPFInstruction(code: BPFInstruction.jumpEqual, jumpTrue: 0, jumpFalse: UInt8(count + 2), k: InitGuard.nativeArchitecture),
            BPFInstruction(code: BPFInstruction.loadWord, k: SyscallData.offsetOfNumber),
        ]
        for (index, call) in calls.enumerated() {
            let last = index == count - 1
            code.append(BPFInstruction(code: BPFInstruction.jumpEqual, jumpTrue: UInt8(count - 1 - index), jumpFalse: last ? 1 : 0, k: UInt32(call.number)))
        }
        code.append(BPFInstruction(code: BPFInstruction.returnValue, k: UInt32(SECCOMP_RET_USER_NOTIF)))
        return code.flatMap(\.bytes)
    }()

    /// - Returns: `nil` for a call that is not watched.
    mutating func judge(_ call: SeccompNotification) -> (place: Places, answer: Answer)? {
        guard call.architecture == InitGuard.nativeArchitecture, let watched = Self.calls.first(where: { $0.number == call.syscall }) else { return nil }
        let program = self.program ?? BPFProgram(bytes: filter) ?? BPFProgram([])
        self.program = program
        let said = program.run(SyscallData(number: UInt32(call.syscall), arch: call.architecture, arguments: call.arguments))
        return (watched.place, Self.answer(said ?? 0))
    }

    private static func answer(_ value: UInt32) -> Answer {
        switch value & 0xFFFF_0000 {
        case 0x7FFF_0000, 0x7FFC_0000: .permit  // SECCOMP_RET_ALLOW, SECCOMP_RET_LOG
        case 0x0005_0000: .error(Int32(value & 0xFFFF))  // SECCOMP_RET_ERRNO
        case 0x7FC0_0000: .denied  // SECCOMP_RET_USER_NOTIF
        default: .kill
        }
    }
}
