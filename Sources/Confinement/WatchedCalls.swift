// The calls by which a job can leave something that is neither a process nor a file: in its network namespace or in its
// ipc namespace. Whoever wants one of them has to be looked after later; most jobs want none, and then nothing needs to be
// looked at, which would take longer than many a job. So a job loads a filter that hands these calls to its init, which
// takes note and does with them what the policy's own filter says.

import LinuxSystem
import SandboxCore

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

    /// What a job loads instead of the policy's own filter.
    let filter: [UInt8]
    private let places: [UInt32: Places]
    private let policy: [UInt8]
    /// The policy's filter, for asking; only some jobs need it.
    private var program: BPFProgram?

    /// `nil` for a filter that hands nothing over.
    init?(_ policy: SeccompProgram?) {
        guard let policy, let watching = policy.watching else { return nil }
        filter = watching.bpf
        self.policy = policy.bpf
        let all = watching.network.map { ($0, Places.network) } + watching.ipc.map { ($0, Places.ipc) }
        places = Dictionary(all) { $0.union($1) }
    }

    /// - Returns: `nil` for a call that is not watched.
    mutating func judge(_ call: SeccompNotification) -> (place: Places, answer: Answer)? {
        // Foreign tables are not handed over.
        guard let place = places[UInt32(bitPattern: call.syscall)] else { return nil }
        let program = self.program ?? BPFProgram(bytes: policy) ?? BPFProgram([])
        self.program = program
        let said = program.run(SyscallData(number: UInt32(bitPattern: call.syscall), arch: call.architecture, arguments: call.arguments))
        return (place, Self.answer(said ?? 0))
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
