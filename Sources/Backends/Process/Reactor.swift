// One thread that waits on the warden's socket and on every sandbox's. All that the warden says arrives here.

import Glibc
import LinuxSystem
import Synchronization

final class Reactor: Sendable {
    private struct State {
        var handlers: [UInt64: @Sendable () -> Void] = [:]
        var next: UInt64 = 1
        var stopped = false
    }

    private let epoll: Epoll
    private let wakeUp: WakeUp
    private let state = Mutex(State())

    init() throws(Errno) {
        epoll = try Epoll()
        wakeUp = try WakeUp()
        try epoll.add(wakeUp.fd, token: 0)
        try DetachedThread.start { [self] in loop() }
    }

    /// Calls `handler` on the reactor's thread whenever `fd` has something to read or is hung up.
    func register(_ fd: Int32, _ handler: @escaping @Sendable () -> Void) throws(Errno) -> UInt64 {
        let token = state.withLock { s in
            let token = s.next
            s.next += 1
            s.handlers[token] = handler
            return token
        }
        do { try epoll.add(fd, token: token) } catch {
            state.withLock { _ = $0.handlers.removeValue(forKey: token) }
            throw error
        }
        return token
    }

    /// Calls `handler` on the reactor's thread every second, until the reactor stops.
    func everySecond(_ handler: @escaping @Sendable () -> Void) throws(Errno) {
        let timer = Descriptor(try Timers.every(seconds: 1))
        _ = try register(timer.raw) {
            Events.drain(timer.raw)
            handler()
        }
    }

    /// To be called before `fd` is closed. A call under way may still be going on when this returns.
    func unregister(_ token: UInt64, _ fd: Int32) {
        epoll.remove(fd)
        state.withLock { _ = $0.handlers.removeValue(forKey: token) }
    }

    func stop() {
        state.withLock { $0.stopped = true }
        wakeUp.raise()
    }

    private func loop() {
        var tokens: [UInt64] = []
        while !state.withLock({ $0.stopped }) {
            do { try epoll.wait(milliseconds: -1, into: &tokens) } catch { return }
            for token in tokens {
                if token == 0 { wakeUp.clear() } else { state.withLock { $0.handlers[token] }?() }
            }
        }
    }
}
