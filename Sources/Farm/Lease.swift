// The right of one job to a place in its pool, from its start until its sandbox is gone; and the one place where a
// cancel meets a job that runs.

import SandboxCore
import Synchronization

final class Lease: Sendable {
    let job: AdmittedJob
    let grantedAt: Int
    /// The group its sandbox stays with when the job has ended; `nil` where it ends with the job.
    let group: String?
    /// What that group's last job was in.
    let kept: (any Sandbox)?

    private struct Life: Sendable {
        var canceller: Canceller?
        /// Set while a step runs in it.
        var sandbox: (any Sandbox)?
        /// Set while the job waits for what another one compiles: ends the wait.
        var giveUpWait: (@Sendable () -> Void)?
    }
    private let life = Mutex(Life())

    init(job: AdmittedJob, grantedAt: Int, group: String? = nil, kept: (any Sandbox)? = nil) {
        self.job = job
        self.grantedAt = grantedAt
        self.group = group
        self.kept = kept
    }

    /// Who cancelled the job, once someone has.
    var canceller: Canceller? { life.withLock { $0.canceller } }

    /// - Returns: false when the job was cancelled and must not begin another step.
    func beginStep(in sandbox: any Sandbox) -> Bool {
        life.withLock {
            guard $0.canceller == nil else { return false }
            $0.sandbox = sandbox
            return true
        }
    }

    func endStep() { life.withLock { $0.sandbox = nil } }

    /// - Returns: false when the job was cancelled and must not begin to wait.
    func beginWait(_ giveUp: @escaping @Sendable () -> Void) -> Bool {
        life.withLock {
            guard $0.canceller == nil else { return false }
            $0.giveUpWait = giveUp
            return true
        }
    }

    var isWaiting: Bool { life.withLock { $0.giveUpWait != nil } }

    func endWait() { life.withLock { $0.giveUpWait = nil } }

    /// Ends the running step or the wait, and keeps the next from beginning. The first canceller is the one that is named.
    /// - Returns: whether a step is running that has to come to its end.
    func cancel(by canceller: Canceller) -> Bool {
        let (sandbox, giveUpWait, first): ((any Sandbox)?, (@Sendable () -> Void)?, Canceller) = life.withLock {
            let first = $0.canceller ?? canceller
            $0.canceller = first
            return ($0.sandbox, $0.giveUpWait, first)
        }
        giveUpWait?()
        sandbox?.cancel(by: first)
        return sandbox != nil
    }
}
