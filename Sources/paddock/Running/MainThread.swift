// The process's first thread as a place for tasks. What runs one job and then ends has nothing to do side by side with it; to make a
// pool of threads for that, and to take it apart, is a tenth of a small job.

import Dispatch
import Synchronization

final class MainThread: TaskExecutor {
    static let shared = MainThread()

    private let tasks = Mutex<[UnownedJob]>([])
    private let waiting = DispatchSemaphore(value: 0)

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        tasks.withLock { $0.append(job) }
        waiting.signal()
    }

    /// Runs tasks for the rest of the process's life. To be called by the main thread.
    func serve() -> Never {
        while true {
            waiting.wait()
            tasks.withLock { $0.removeFirst() }.runSynchronously(on: asUnownedTaskExecutor())
        }
    }
}
