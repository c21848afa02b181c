// One sandbox of the process backend, as the farm has it: the right to use a cell until it is destroyed.

import SandboxCore
import Synchronization

final class ProcessSandbox: Sandbox {
    private enum Life {
        case lasting
        case ending([CheckedContinuation<Void, Never>])
        case over
    }

    private let cell: Cell
    /// Where its cell goes back to; `nil` where that ends with it.
    private let stock: CellStock?
    private let life = Mutex(Life.lasting)

    init(_ cell: Cell, of stock: CellStock?) {
        self.cell = cell
        self.stock = stock
    }

    /// Whether the cell is still this sandbox's: another may be in it by now.
    private var isLasting: Bool { life.withLock { if case .lasting = $0 { true } else { false } } }

    var isUsable: Bool { isLasting && cell.canRun }

    func run(_ plan: LaunchPlan, onOutput: (@Sendable (OutputStream, [UInt8]) -> Void)?) async throws(FarmError) -> StepReport {
        guard isLasting else { throw FarmError(.sandboxLost, "the sandbox has ended", retryable: true) }
        return try await cell.run(plan, onOutput: onOutput)
    }

    func cancel(by canceller: Canceller) {
        if isLasting { cell.cancel(by: canceller) }
    }

    func destroy() async {
        let isFirst = life.withLock { now in
            guard case .lasting = now else { return false }
            now = .ending([])
            return true
        }
        guard isFirst else { return await awaitEnd() }
        if let stock {
            await stock.takeBack(cell)
        } else {
            _ = cell.endLease()
            await cell.awaitEnd()
        }
        let waiting: [CheckedContinuation<Void, Never>] = life.withLock { now in
            defer { now = .over }
            if case .ending(let waiting) = now { return waiting }
            return []
        }
        for c in waiting { c.resume() }
    }

    /// For whoever wants it destroyed while someone else is at it.
    private func awaitEnd() async {
        await withCheckedContinuation { (c: CheckedContinuation<Void, Never>) in
            let isOver = life.withLock { now in
                guard case .ending(let waiting) = now else { return true }
                now = .ending(waiting + [c])
                return false
            }
            if isOver { c.resume() }
        }
    }
}
