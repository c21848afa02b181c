// The seccomp filter of a cell's jobs, in memory from which any of their processes can load it. Loading it takes the
// kernel longer than all that is left to do between then and a job's exec; so where the filter permits those few calls a
// job's child loads it while it waits for its job.

import Glibc
import LinuxSystem
import SandboxCore

/// Allocated once for a cell and never freed: it ends with the cell.
struct JobFilter {
    /// The same, for a process that has to be sent it.
    let code: [UInt8]
    let program: UnsafeMutablePointer<sock_fprog>
    /// Whether it answers some calls by asking a listener.
    let notifies: Bool
    /// Whether a child can load it before its job is known.
    let loadsAhead: Bool

    /// - Parameters:
    ///   - watched: whose filter is loaded instead, so that the init hears of some calls.
    ///   - singleID: whether jobs have their init's own id; then `InitGuard` stands before all.
    /// - Returns: `nil` where nothing is to be filtered.
    static func prepare(_ policy: SeccompProgram?, _ watched: WatchedCalls?, singleID: Bool) throws(Failure) -> JobFilter? {
        let whole = watched?.filter ?? policy?.bpf
        guard let code = singleID ? InitGuard.guarding(whole) : whole else { return nil }
        guard code.count / 8 <= 4096 else { throw Failure(.prepare, E2BIG, "seccomp filter") }
        let memory = UnsafeMutableRawPointer.allocate(byteCount: code.count, alignment: 8)
        code.withUnsafeBytes { memory.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        let program = UnsafeMutablePointer<sock_fprog>.allocate(capacity: 1)
        program.initialize(to: sock_fprog(len: UInt16(code.count / 8), filter: memory.assumingMemoryBound(to: sock_filter.self)))
        return JobFilter(code: code, program: program, notifies: policy?.notifies ?? false, loadsAhead: policy?.loadsAhead ?? true)
    }
}
