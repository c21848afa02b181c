// ^C and its relatives as a call, instead of the end of the process. By one thread that waits at a pipe: Dispatch would start two
// and a manager, a twentieth of a small job.

import Foundation
import LinuxSystem
import Synchronization

/// Calls back each time one of the signals comes, until it is let go of. The signals stay harmless after that.
final class Interrupts {
    private let number: UInt64

    init(_ signals: [Int32] = [SIGINT, SIGTERM, SIGHUP], _ handler: @escaping @Sendable (_ signal: Int32) -> Void) {
        number = SignalThread.shared.add(handler)
        for signal in signals { SignalThread.shared.take(signal) }
    }

    deinit { SignalThread.shared.remove(number) }
}

/// Where a signal's handler writes which one came: nothing else may be done there.
private nonisolated(unsafe) var signalPipe: Int32 = -1

private final class SignalThread: Sendable {
    static let shared = SignalThread()

    private struct Listener {
        let hear: @Sendable (Int32) -> Void
    }
    private struct State {
        var listeners: [UInt64: Listener] = [:]
        var next: UInt64 = 0
    }
    private let state = Mutex(State())
    /// Both ends stay open as long as the process lives: a handler may be about to write.
    private let reading: Int32

    private init() {
        // Without descriptors or threads the signals do nothing, which is still better than the end of a farm in mid-job.
        (reading, signalPipe) = (try? LinuxSystem.Files.pipe()) ?? (-1, -1)
        try? DetachedThread.start { [self] in listen() }
    }

    func add(_ hear: @escaping @Sendable (Int32) -> Void) -> UInt64 {
        state.withLock { state in
            state.next += 1
            state.listeners[state.next] = Listener(hear: hear)
            return state.next
        }
    }

    func remove(_ number: UInt64) { state.withLock { _ = $0.listeners.removeValue(forKey: number) } }

    func take(_ signal: Int32) {
        var action = sigaction()
        // What whoever started this process has it ignore (nohup, a shell's job in the background) stays ignored.
        if sigaction(signal, nil, &action) == 0, ignores(action) { return }
        action.__sigaction_handler.sa_handler = { number in
            let before = errno
            var byte = UInt8(truncatingIfNeeded: number)
            _ = write(signalPipe, &byte, 1)
            errno = before
        }
        action.sa_flags = SA_RESTART
        sigaction(signal, &action, nil)
    }

    private func ignores(_ action: sigaction) -> Bool {
        unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
    }

    private func listen() {
        // Who started this process may have blocked them: then they come to this thread.
        var none = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, nil)
        var byte: UInt8 = 0
        while true {
            let count = read(reading, &byte, 1)
            if count < 0 && errno == EINTR { continue }
            guard count == 1 else { return }
            for listener in state.withLock({ Array($0.listeners.values) }) { listener.hear(Int32(byte)) }
        }
    }
}
