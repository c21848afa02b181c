// `--dry-run`: a backend that makes nothing and writes down what it was asked for. What it sees is what the real one
// would get, because the engine in front of it is the real one.

import SandboxCore
import Synchronization

/// Everything a backend is told about a job.
struct RecordedPlan: Sendable {
    var sandbox: SandboxSpec
    var steps: [LaunchPlan]
}

final class PlanningBackend: Backend {
    let unenforced: [Mechanism]
    private let plan = Mutex<RecordedPlan?>(nil)

    /// - Parameter unenforced: what the real backend says of this host.
    init(unenforced: [Mechanism]) { self.unenforced = unenforced }

    var recorded: RecordedPlan? { plan.withLock { $0 } }

    func makeSandbox(_ spec: SandboxSpec) async throws(FarmError) -> any Sandbox {
        plan.withLock { $0 = RecordedPlan(sandbox: spec, steps: []) }
        return PlannedSandbox { step in self.plan.withLock { $0?.steps.append(step) } }
    }

    func shutdown() async {}
}

private struct PlannedSandbox: Sandbox {
    let record: @Sendable (LaunchPlan) -> Void
    let isUsable = true

    /// Each step succeeds, so that the next one is planned too.
    func run(_ plan: LaunchPlan, onOutput: (@Sendable (OutputStream, [UInt8]) -> Void)?) async throws(FarmError) -> StepReport {
        record(plan)
        return StepReport(outcome: .exited(code: 0))
    }

    func cancel(by: Canceller) {}
    func destroy() async {}
}
