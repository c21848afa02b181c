// The seccomp filter of a cell's jobs, in memory from which any of their processes can load it. Loading it takes the
// kernel longer than all that is left to do between then and a job's exec; so where the filter permits those few calls a
// job's child loads it while it waits for its job. Preparing it takes as long again, and is the same for all cells of a
// policy: the spawner does it once, and the inits that it forks find it done.

import Glibc
import LinuxSystem
import SandboxCore

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

    /// To be called when no cell is forked any more that would use it.
    func free() {
        UnsafeMutableRawPointer(program.pointee.filter).deallocate()
        program.deallocate()
    }
}

/// What a cell has of its policy's filter.
struct CellFilter {
    /// None where nothing of the cell comes back, and nobody needs to know what was left in it.
    var watched: WatchedCalls?
    var job: JobFilter?
}

/// The filters of the policies under which cells were made lately.
struct FilterShelf {
    private var kept: [(policy: SeccompProgram?, isWatched: Bool, filter: CellFilter)] = []
    /// More kinds of cells than a farm has at a time.
    private static let most = 32

    mutating func filter(for request: MakeRequest, privileged: Bool) throws(Failure) -> CellFilter {
        let (policy, isWatched) = (request.spec.seccomp, request.comesBack(privileged: privileged))
        if let known = kept.last(where: { $0.isWatched == isWatched && $0.policy == policy }) { return known.filter }
        let watched = isWatched ? WatchedCalls(policy) : nil
        let filter = CellFilter(watched: watched, job: try JobFilter.prepare(policy, watched, singleID: !privileged))
        if kept.count == Self.most { kept.removeFirst().filter.job?.free() }
        kept.append((policy, isWatched, filter))
        return filter
    }
}

extension MakeRequest {
    /// Whether something of the cell is used again when a job has ended: the cell itself, or the network namespace it is lent.
    fileprivate func comesBack(privileged: Bool) -> Bool {
        isKept || privileged && templateID == nil && !spec.mayShareNetwork && spec.network != .outbound
    }
}
