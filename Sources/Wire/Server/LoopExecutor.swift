// A connection's thread as a place for tasks. What begins with a line that came and ends with a line to send can stay
// there all the way: each change of threads in between is a processor to wake, which takes longer than a small job's
// share of the farm's own work.

import NIOCore

/// Runs tasks on an event loop, between the loop's own work. They must not block.
final class LoopExecutor: TaskExecutor {
    private let loop: any EventLoop

    /// - Parameter loop: of a group that is never shut down while a task can still be moved on.
    init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
