@testable import Farm
import Synchronization

/// Time that passes when a test says so.
final class ManualTime: TimeSource {
    private struct State {
        var now = 1_000_000_000
        var sleepers: [Int: (moment: Int, continuation: CheckedContinuation<Void, any Error>)] = [:]
        var watchers: [(moment: Int, continuation: CheckedContinuation<Void, Never>)] = []
        var last = 0
    }
    private let state = Mutex(State())

    var now: Int { state.withLock { $0.now } }
    var sleepers: Int { state.withLock { $0.sleepers.count } }

    func advance(milliseconds: Int) {
        let due = state.withLock { state in
            state.now += milliseconds * 1_000_000
            let due = state.sleepers.filter { $0.value.moment <= state.now }
            for key in due.keys { state.sleepers[key] = nil }
            return due.sorted { $0.value.moment < $1.value.moment }.map(\.value.continuation)
        }
        for sleeper in due { sleeper.resume() }
    }

    func sleep(until moment: Int) async throws {
        let number = state.withLock { state in
            state.last += 1
            return state.last
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let (due, watchers) = state.withLock { state in
                    guard moment > state.now else { return (true, [] as [CheckedContinuation<Void, Never>]) }
                    state.sleepers[number] = (moment, continuation)
                    let watchers = state.watchers.filter { $0.moment == moment }.map(\.continuation)
                    state.watchers.removeAll { $0.moment == moment }
                    return (false, watchers)
                }
                for watcher in watchers { watcher.resume() }
                if due { continuation.resume() }
                // Cancelled before it slept: the handler below found nobody.
                if Task.isCancelled { wake(number) }
            }
        } onCancel: {
            wake(number)
        }
    }

    /// Returns when someone sleeps until just `milliseconds` from now.
    func untilSomeoneSleeps(milliseconds: Int) async {
        await withCheckedContinuation { continuation in
            let there = state.withLock { state in
                let moment = state.now + milliseconds * 1_000_000
                if state.sleepers.values.contains(where: { $0.moment == moment }) { return true }
                state.watchers.append((moment, continuation))
                return false
            }
            if there { continuation.resume() }
        }
    }

    private func wake(_ number: Int) {
        state.withLock { $0.sleepers.removeValue(forKey: number) }?.continuation.resume(throwing: CancellationError())
    }
}
