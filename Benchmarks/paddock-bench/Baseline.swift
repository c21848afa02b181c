// What everything is measured against: posix_spawn and wait, in a loop that does nothing else.

import Glibc
import Synchronization

enum Baseline {
    /// Starts a program and waits for its end.
    static func spawn(_ path: String) {
        var pid: pid_t = 0
        let name = strdup(path)
        defer { free(name) }
        var arguments: [UnsafeMutablePointer<CChar>?] = [name, nil]
        var environment: [UnsafeMutablePointer<CChar>?] = [nil]
        guard posix_spawn(&pid, path, nil, nil, &arguments, &environment) == 0 else { fatalError("posix_spawn \(path) failed") }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) == -1 && errno == EINTR {}
    }

    /// One after the other: how long each took, in milliseconds.
    static func alone(_ path: String, count: Int) -> [Double] {
        (0..<count).map { _ in
            let start = now()
            spawn(path)
            return Double(now() - start) / 1e6
        }
    }

    /// Starts per second with this many threads.
    static func rate(_ path: String, threads: Int, seconds: Double) async -> Double {
        let end = now() + Int(seconds * 1e9)
        let start = now()
        let total = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<threads {
                group.addTask {
                    await onThread {
                        var n = 0
                        while now() < end {
                            spawn(path)
                            n += 1
                        }
                        return n
                    }
                }
            }
            return await group.reduce(0, +)
        }
        return Double(total) / (Double(now() - start) / 1e9)
    }

    /// A thread of its own: blocking on the cooperative pool would hold up whoever shares it.
    private static func onThread(_ body: @escaping @Sendable () -> Int) async -> Int {
        await withCheckedContinuation { continuation in
            let box = Unmanaged.passRetained(Body { continuation.resume(returning: body()) })
            var thread = pthread_t()
            pthread_create(&thread, nil, { raw in
                Unmanaged<Body>.fromOpaque(raw!).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
            pthread_detach(thread)
        }
    }
}

private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

func now() -> Int {
    var t = timespec()
    clock_gettime(CLOCK_MONOTONIC, &t)
    return t.tv_sec * 1_000_000_000 + t.tv_nsec
}
