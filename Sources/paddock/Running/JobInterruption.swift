// ^C at one job: the first ends the job, and what is left in its sandbox with it; the second, or one that finds no job any more, ends
// this process at once, whatever it waits for.

import Foundation
import SandboxCore
import Synchronization

final class JobInterruption: Sendable {
    private struct State {
        var task: Task<JobResult, any Error>?
        var relay: OutputRelay?
        var count = 0
        var isUnwanted = false
        var isOver = false
    }
    private let state = Mutex(State())
    private let interrupts = Mutex<Interrupts?>(nil)

    /// It keeps itself: whatever the process waits for last, a signal has to find it.
    init() { interrupts.withLock { $0 = Interrupts { _ in self.happened() } } }

    /// Whether it happened before the job was over: what came of its output then may have been dropped.
    var hasHappened: Bool { state.withLock { $0.count > 0 } }

    /// From here on it ends this job, at once if that was asked for already.
    func ends(_ task: Task<JobResult, any Error>, _ relay: OutputRelay) {
        let isUnwanted = state.withLock { state in
            (state.task, state.relay) = (task, relay)
            return state.isUnwanted
        }
        if isUnwanted { task.cancel() }
    }

    /// Ends the job, for whatever reason.
    func endJob() {
        let task = state.withLock { state in
            state.isUnwanted = true
            return state.task
        }
        task?.cancel()
    }

    /// There is nothing to end any more but this process.
    func jobIsOver() { state.withLock { $0.isOver = true } }

    private func happened() {
        let (isFirst, relay) = state.withLock { state in
            state.count += 1
            return (state.count == 1 && !state.isOver, state.relay)
        }
        guard isFirst else { _exit(130) }
        // Whoever interrupts does not want to wait for a slow reader.
        relay?.stop()
        endJob()
    }
}
