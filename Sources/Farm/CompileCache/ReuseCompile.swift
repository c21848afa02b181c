// Where a job's journey meets the compile cache: before it has a sandbox its compile step may be replaced by what is
// known of it; after the step was run it may be kept.

import SandboxCore

/// A compile step that is to be kept, if it turns out so that it can be.
struct CompileDuty: Sendable {
    var turn: CompileTurn
    var toolchain: Toolchain
    /// As it was before the step.
    var toolchainState: String
}

/// Where a compile step finds its compiler.
struct Toolchain: Sendable {
    var program: String
    var path: String
    var image: ResolvedImage
}

extension Farm {
    /// Takes the compile step off a launch where an equal one was run before. Waits where one is being run, until that has
    /// ended or the job is cancelled.
    func reuseCompile(in launch: inout Launch, for lease: Lease) async {
        let job = lease.job.resolved
        guard let compiles, !job.compileOutput.isEmpty, let plan = launch.steps.first?.plan, launch.steps.first?.phase == .compile,
            // What it fetches may be different the next time.
            launch.spec.network != .outbound
        else { return }
        let toolchain = Toolchain(
            program: plan.arguments.first ?? "", path: plan.environment.last { $0.hasPrefix("PATH=") }.map { String($0.dropFirst(5)) } ?? "",
            image: job.terms.image)
        let state = catalog.state(of: toolchain)
        let key = CompileKey(plan, files: job.files, output: job.compileOutput, in: launch.spec, toolchain: state)
        let turn: CompileTurn
        switch compiles.look(for: key, now: time.now) {
        case .kept(let compiled): return launch.reuse(compiled)
        case .absent(let ours): turn = ours
        case .underWay(let wait):
            guard lease.beginWait({ wait.end(nil) }) else { return }
            let compiled = await wait.outcome
            lease.endWait()
            if let compiled {
                compiles.countShared()
                return launch.reuse(compiled)
            }
            guard lease.canceller == nil else { return }
            turn = compiles.goAlone(key)
        }
        launch.duty = CompileDuty(turn: turn, toolchain: toolchain, toolchainState: state)
        launch.steps[0].plan.collect = job.compileOutput.map { FileOut(pattern: $0, maxBytes: compiles.mostBytesOfOne) }
    }

    /// Keeps what came of a compile step, if that can be kept, and lets those go on who wait for it.
    func keepCompile(_ report: StepReport, milliseconds: Double, _ launch: Launch) {
        guard let compiles, let duty = launch.duty else { return }
        var compiled = CompiledStep(report, milliseconds: milliseconds, mostBytes: compiles.mostBytesOfOne)
        // Made by half of one toolchain and half of the next, it would be kept under the name of the first.
        if catalog.state(of: duty.toolchain) != duty.toolchainState { compiled = nil }
        compiles.end(duty.turn, with: compiled, now: time.now)
    }

    /// For a compile that came to nothing, or never began.
    func dropCompile(of launch: Launch) {
        if let compiles, let duty = launch.duty { compiles.end(duty.turn, with: nil, now: time.now) }
    }
}

extension Launch {
    /// What of its steps is done before the first is run.
    func begin(cancelledBy canceller: Canceller? = nil) -> StepsRun {
        StepsRun(compile: compiled.map { ($0.report, $0.milliseconds, true) }, cancelledBy: canceller)
    }

    /// The program takes the place of the step that made it; a compile that failed is the whole job.
    fileprivate mutating func reuse(_ compiled: CompiledStep) {
        let compile = steps.removeFirst()
        self.compiled = compiled
        guard compiled.succeeded else { return steps = [] }
        steps[0].plan.files = compile.plan.files + steps[0].plan.files + compiled.files
    }
}

extension Catalog {
    fileprivate func state(of toolchain: Toolchain) -> String {
        state(of: toolchain.program, path: toolchain.path, in: toolchain.image)
    }
}
