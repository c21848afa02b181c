// What everything is measured against: posix_spawn and wait, in a loop that does nothing else.

import Glibc
import Synchronization

/// A program to start without any isolation, or with a peer's.
struct Command: Sendable {
    /// The first is a path.
    var arguments: [String]
    var environment = ["PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp", "LANG=C.UTF-8"]
    /// Whether its output goes to /dev/null rather than to this process's. Not for what prints nothing: it costs a system call.
    var quiet = true

    static let nothing = Command(arguments: ["/bin/true"], environment: [], quiet: false)
}

enum Baseline {
    /// Starts a program and waits for its end.
    /// - Throws: where it does not end with 0: what failed would be measured as fast.
    static func spawn(_ command: Command) throws {
        var arguments: [UnsafeMutablePointer<CChar>?] = command.arguments.map { strdup($0) } + [nil]
        var environment: [UnsafeMutablePointer<CChar>?] = command.environment.map { strdup($0) } + [nil]
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer {
            for pointer in arguments + environment { free(pointer) }
            posix_spawn_file_actions_destroy(&actions)
        }
        if command.quiet {
            for stream in [STDOUT_FILENO, STDERR_FILENO] { posix_spawn_file_actions_addopen(&actions, stream, "/dev/null", O_WRONLY, 0) }
        }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, command.arguments[0], &actions, nil, &arguments, &environment)
        guard code == 0 else { throw BenchError("\(command.arguments[0]): \(String(cString: strerror(code)))") }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) == -1 && errno == EINTR {}
        guard status == 0 else { throw BenchError("\(command.arguments.joined(separator: " ")): ended with status \(status)") }
    }

    /// One after the other: how long each took, in milliseconds.
    static func alone(_ command: Command, count: Int) throws -> [Double] {
        try (0..<count).map { _ in try milliseconds { try spawn(command) } }
    }

    /// Starts per second with this many threads.
    static func rate(_ command: Command, threads: Int, seconds: Double) async throws -> Double {
        try await rate(threads: threads, seconds: seconds) { _ in try spawn(command) }
    }

    /// Calls per second with this many threads; each call gets its number.
    static func rate(threads: Int, seconds: Double, _ body: @escaping @Sendable (Int) throws -> Void) async throws -> Double {
        let start = now(), end = start + Int(seconds * 1e9)
        let next = Counter()
        let total = try await parallel(threads) {
            var done = 0
            while now() < end {
                try body(next.take())
                done += 1
            }
            return done
        }.reduce(0, +)
        return Double(total) / (Double(now() - start) / 1e9)
    }

    /// Seconds that so many calls take with this many threads; each call gets its number.
    static func time(threads: Int, count: Int, _ body: @escaping @Sendable (Int) throws -> Void) async throws -> Double {
        let start = now(), next = Counter()
        _ = try await parallel(threads) {
            while case let number = next.take(), number < count { try body(number) }
        }
        return Double(now() - start) / 1e9
    }

    /// Does the same on threads of its own: blocking on the cooperative pool would hold up whoever shares it.
    private static func parallel<Value: Sendable>(_ threads: Int, _ body: @escaping @Sendable () throws -> Value) async throws -> [Value] {
        try await withThrowingTaskGroup(of: Value.self) { group in
            for _ in 0..<threads { group.addTask { try await onThread(body) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
    }
}

/// Runs something that blocks on a thread of its own.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        let box = Unmanaged.passRetained(Body { continuation.resume(with: Result { try body() }) })
        var thread = pthread_t()
        pthread_create(&thread, nil, { raw in
            // What a thread blocks, the processes it starts do; threads of the concurrency runtime block nearly all signals.
            var none = sigset_t()
            sigemptyset(&none)
            pthread_sigmask(SIG_SETMASK, &none, nil)
            Unmanaged<Body>.fromOpaque(raw!).takeRetainedValue().run()
            return nil
        }, box.toOpaque())
        pthread_detach(thread)
    }
}

private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

/// Numbers that nobody else gets.
final class Counter: Sendable {
    private let next = Atomic<Int>(0)
    func take() -> Int { next.add(1, ordering: .relaxed).oldValue }
}

func now() -> Int {
    var t = timespec()
    clock_gettime(CLOCK_MONOTONIC, &t)
    return t.tv_sec * 1_000_000_000 + t.tv_nsec
}

func milliseconds(_ body: () throws -> Void) rethrows -> Double {
    let start = now()
    try body()
    return Double(now() - start) / 1e6
}

struct BenchError: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
