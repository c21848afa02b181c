// A benchmark that is ended early ends its daemons, and takes its directories along.

import Foundation
import Synchronization

enum Interruption {
    /// The daemons under way.
    static let daemons = Mutex<Set<pid_t>>([])
    private static let pipe = Pipe()
    private static let isUnderWay = Atomic(false)

    /// To be called where a daemon may have ended because of it: then this process is about to exit, and nothing else is to be said.
    static func holdIfUnderWay() async {
        while isUnderWay.load(ordering: .acquiring) { try? await Task.sleep(for: .seconds(1)) }
    }

    /// From now on SIGINT and SIGTERM end the benchmark by way of its daemons.
    static func watch() {
        _ = pipe
        for number in [SIGINT, SIGTERM] {
            // What is caught is as usual again in programs that are started; what is ignored or blocked would stay so.
            signal(number) { number in
                var byte = UInt8(number)
                _ = write(Interruption.pipe.fileHandleForWriting.fileDescriptor, &byte, 1)
            }
        }
        Thread.detachNewThread {
            guard let byte = try? pipe.fileHandleForReading.read(upToCount: 1)?.first else { return }
            end()
            exit(128 + Int32(byte))
        }
    }

    /// Thousands of sandboxes take some time to end.
    private static func end() {
        isUnderWay.store(true, ordering: .releasing)
        let pids = daemons.withLock { $0 }
        for pid in pids { kill(pid, SIGTERM) }
        for _ in 0..<600 where pids.contains(where: { kill($0, 0) == 0 }) { usleep(100_000) }
        let all = (try? FileManager.default.contentsOfDirectory(atPath: NSTemporaryDirectory())) ?? []
        for name in all where name.hasPrefix(temporaryPrefix) { try? FileManager.default.removeItem(atPath: NSTemporaryDirectory() + name) }
    }
}
