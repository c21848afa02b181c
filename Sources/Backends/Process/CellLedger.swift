// What becomes of cells, counted by pool: for operators. Written by the reactor's thread alone, so nobody waits here but
// for somebody who looks.

import SandboxCore
import Synchronization

final class CellLedger: Sendable {
    enum Event {
        /// A cell's first sandbox is ready.
        case made
        /// One that served a sandbox is ready for the next; `nil` where nothing had run in that.
        case renewed(teardown: Duration?)
        /// A cell is gone; with it, where there was one, a sandbox in which something had run.
        case discarded(teardown: Duration?)
    }

    private let pools = Mutex<[String: BackendFigures.Pool]>([:])

    var counts: [String: BackendFigures.Pool] { pools.withLock { $0 } }

    func note(_ event: Event, pool: String) { pools.withLock { $0[pool, default: BackendFigures.Pool()].note(event) } }
}

extension BackendFigures.Pool {
    fileprivate mutating func note(_ event: CellLedger.Event) {
        let took: Duration?
        switch event {
        case .made:
            made += 1
            took = nil
        case .renewed(let time):
            renewed += 1
            took = time
        case .discarded(let time):
            discarded += 1
            took = time
        }
        guard let (seconds, attoseconds) = took?.components else { return }
        teardown.record(Int(seconds) * 1_000_000_000 + Int(attoseconds / 1_000_000_000))
    }
}
