// Compiles that were run before, and those that run right now: of jobs that need the same one at the same time, one
// compiles and the others wait for it. In memory, and gone with the daemon: what identifies a changing toolchain has to
// hold for no longer than that. docs/adr/0009-compile-cache.md has the reasons.

import SandboxCore
import Synchronization

final class CompileCache: Sendable {
    enum Answer: Sendable {
        case kept(CompiledStep)
        /// Another job compiles it right now.
        case underWay(CompileWait)
        /// The caller compiles it, and has to say how that ended.
        case absent(CompileTurn)
    }

    private struct Flight: Sendable {
        var turn: CompileTurn
        var waits: [CompileWait] = []
    }
    private struct State: Sendable {
        var kept: KeptCompiles
        var flights: [CompileKey: Flight] = [:]
        var turns: UInt64 = 0
        var hits = 0
        var shared = 0
        var misses = 0
    }
    private let state: Mutex<State>
    /// The most that is kept of one compile, and so the most that is brought back of it.
    let mostBytesOfOne: Int

    init(capacity: Int, mostEntries: Int) {
        mostBytesOfOne = min(capacity / 4, 32 << 20)
        state = Mutex(State(kept: KeptCompiles(capacity: capacity, mostEntries: mostEntries)))
    }

    var figures: CompileCacheFigures {
        state.withLock {
            CompileCacheFigures(
                hits: $0.hits, shared: $0.shared, misses: $0.misses, evicted: $0.kept.evicted, entries: $0.kept.count,
                bytes: $0.kept.bytes)
        }
    }

    func look(for key: CompileKey, now: Int) -> Answer {
        state.withLock { state in
            if let compiled = state.kept.find(key, now: now) {
                state.hits += 1
                return .kept(compiled)
            }
            if state.flights[key] != nil {
                let wait = CompileWait()
                state.flights[key]?.waits.append(wait)
                return .underWay(wait)
            }
            state.turns += 1
            state.misses += 1
            let turn = CompileTurn(key: key, number: state.turns)
            state.flights[key] = Flight(turn: turn)
            return .absent(turn)
        }
    }

    /// For a job whose wait ended with the compile.
    func countShared() { state.withLock { $0.shared += 1 } }

    /// For a job whose wait ended without: it compiles by itself, and nobody waits for it. So a job waits once at most,
    /// however the others' compiles end.
    func goAlone(_ key: CompileKey) -> CompileTurn {
        state.withLock {
            $0.turns += 1
            $0.misses += 1
            return CompileTurn(key: key, number: $0.turns)
        }
    }

    /// Ends a turn; what comes after the first end of one does nothing.
    /// - Parameter compiled: what is to be kept of it; `nil` where nothing came of it that others could use.
    func end(_ turn: CompileTurn, with compiled: CompiledStep?, now: Int) {
        let waits: [CompileWait] = state.withLock { state in
            if let compiled { state.kept.keep(compiled, as: turn.key, now: now) }
            // Whoever brings what the others wait for lets them go, whether they waited for just this one or not.
            guard let flight = state.flights[turn.key], compiled != nil || flight.turn == turn else { return [] }
            state.flights[turn.key] = nil
            return flight.waits
        }
        for wait in waits { wait.end(compiled) }
    }
}

/// The right and the duty of one job to compile something.
struct CompileTurn: Sendable, Equatable {
    let key: CompileKey
    fileprivate let number: UInt64
}

/// One job's wait for another's compile. Whoever ends it first decides what it brings.
final class CompileWait: Sendable {
    private enum State: Sendable {
        case open(CheckedContinuation<CompiledStep?, Never>?)
        case over(CompiledStep?)
    }
    private let state = Mutex(State.open(nil))

    func end(_ compiled: CompiledStep?) {
        let waiting: CheckedContinuation<CompiledStep?, Never>? = state.withLock {
            guard case .open(let waiting) = $0 else { return nil }
            $0 = .over(compiled)
            return waiting
        }
        waiting?.resume(returning: compiled)
    }

    /// What it brought: `nil` when there is nothing, or when it was given up. To be asked once.
    var outcome: CompiledStep? {
        get async {
            await withCheckedContinuation { continuation in
                let over: CompiledStep?? = state.withLock {
                    if case .over(let compiled) = $0 { return .some(compiled) }
                    $0 = .open(continuation)
                    return .none
                }
                if let over { continuation.resume(returning: over) }
            }
        }
    }
}
