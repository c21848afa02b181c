// ResolvedJob -> SandboxSpec and LaunchPlans: what the backend needs, with the contents at hand. Done when the job's
// turn has come, so that a queued job holds nothing it does not need.

import SandboxCore

struct Launch: Sendable {
    var spec: SandboxSpec
    var steps: [(phase: Phase, plan: LaunchPlan)]
    /// What came of its compile step when an equal one was run; that is not among `steps` then.
    var compiled: CompiledStep?
    /// Set where what comes of its compile step is to be kept.
    var duty: CompileDuty?
}

extension Farm {
    private func named(_ mechanism: Mechanism) -> String {
        backend.lack(of: mechanism).map { "\(mechanism.rawValue) (\($0))" } ?? mechanism.rawValue
    }

    /// - Parameter isLast: whether the sandbox ends with the job, and not later.
    /// - Throws: `host_lacks` when the policy insists on what this host does not have; `storage`.
    func prepare(_ job: AdmittedJob, isLast: Bool) throws(FarmError) -> Launch {
        let (resolved, terms) = (job.resolved, job.resolved.terms)
        let missing = terms.unenforced.filter { !terms.policy.tolerateMissing.contains($0) }
        if !missing.isEmpty {
            throw FarmError(
                .hostLacks,
                "policy \(quoted(terms.policyName)) insists on \(missing.map(named).joined(separator: ", ")), "
                    + "which this host does not enforce")
        }
        var plans: [(phase: Phase, plan: LaunchPlan)] = []
        for step in resolved.steps {
            plans.append(
                (
                    step.phase,
                    LaunchPlan(
                        arguments: step.arguments, environment: terms.environment(adding: resolved.environment, renames: resolved.suite?.step.renames ?? [:]),
                        workingDirectory: step.phase == .compile ? "/workspace" : resolved.workingDirectory,
                        limits: EnforcedLimits(step.limits.value), keepOutputBytes: terms.keepOutputBytes)
                ))
        }
        // Files are there from the first step on; the last one is the job's own.
        plans[0].plan.files = try load(resolved.files) + (resolved.suite?.step.files ?? [])
        let last = plans.count - 1
        plans[last].plan.isLast = isLast
        plans[last].plan.fork = resolved.isFork
        plans[last].plan.stdin = try standardInput(of: job)
        // The judge's come first, so that nothing else can use up what may be brought back.
        plans[last].plan.collect = (resolved.suite?.step.collect ?? []) + resolved.collect
        plans[last].plan.stream = resolved.stream && job.onOutput != nil
        plans[last].plan.keepOutputBytes = max(terms.keepOutputBytes, resolved.suite?.step.keepOutputBytes ?? 0)
        return Launch(spec: terms.spec, steps: plans)
    }

    private func load(_ files: [FileIn]) throws(FarmError) -> [PlacedFile] {
        var placed: [PlacedFile] = []
        for file in files {
            placed.append(PlacedFile(path: file.path, bytes: try load(file.content), mode: file.mode))
        }
        return placed
    }

    private func load(_ content: Content) throws(FarmError) -> [UInt8] {
        switch content {
        case .bytes(let bytes): bytes
        case .blob(let digest): try blobs.read(digest)
        }
    }

    private func standardInput(of job: AdmittedJob) throws(FarmError) -> StandardInput {
        if let descriptor = job.standardInput { return .descriptor(descriptor) }
        guard let content = job.resolved.stdin else { return .empty }
        return .bytes(try load(content))
    }
}

extension EnforcedLimits {
    /// Of limits that `Resolver` has completed.
    init(_ limits: Limits) {
        let whole = limits.filled(from: .fallback)
        self.init(
            cpuTimeMs: whole.cpuTimeMs!, wallTimeMs: whole.wallTimeMs!, memoryBytes: whole.memoryBytes!,
            processes: whole.processes!, diskBytes: whole.diskBytes!, diskInodes: whole.diskInodes!, outputBytes: whole.outputBytes!, openFiles: whole.openFiles!,
            stackBytes: whole.stackBytes!, fileSizeBytes: whole.fileSizeBytes!)
    }
}
