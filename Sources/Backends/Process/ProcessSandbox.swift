// One sandbox of the process backend, as the farm has it: the right to use a cell until it is destroyed.

import SandboxCore
import Synchronization

final class ProcessSandbox: Sandbox {
    private let cell: Cell
    private let stock: CellStock
    private let isOver = Atomic<Bool>(false)

    init(_ cell: Cell, of stock: CellStock) {
        self.cell = cell
        self.stock = stock
    }

    func run(_ plan: LaunchPlan, onOutput: (@Sendable (OutputStream, [UInt8]) -> Void)?) async throws(FarmError) -> StepReport {
        // The cell may be another job's by then.
        guard !isOver.load(ordering: .acquiring) else { throw FarmError(.sandboxLost, "the sandbox has ended", retryable: true) }
        return try await cell.run(plan, onOutput: onOutput)
    }

    func cancel(by canceller: Canceller) {
        if !isOver.load(ordering: .acquiring) { cell.cancel(by: canceller) }
    }

    func destroy() async {
        guard !isOver.exchange(true, ordering: .acquiringAndReleasing) else { return }
        await stock.takeBack(cell)
    }
}
