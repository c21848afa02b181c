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

    /// - Throws: `host_lacks` when the policy insists on what this host does not have; `storage`.
    func prepare(_ job: AdmittedJob) throws(FarmError) -> Launch {
        let resolved = job.resolved
        let missing = resolved.unenforced.filter { !resolved.policy.tolerateMissing.contains($0) }
        if !missing.isEmpty {
            throw FarmError(
                .hostLacks,
                "policy \(quoted(resolved.policyName)) insists on \(missing.map(named).joined(separator: ", ")), "
                    + "which this host does not enforce")
        }
        var plans: [(phase: Phase, plan: LaunchPlan)] = []
        for step in resolved.steps {
            plans.append(
                (
                    step.phase,
                    LaunchPlan(
                        arguments: step.arguments, environment: environment(of: resolved),
                        workingDirectory: step.phase == .compile ? "/workspace" : resolved.workingDirectory,
                        limits: EnforcedLimits(step.limits), keepOutputBytes: resolved.keepOutputBytes)
                ))
        }
        // Files are there from the first step on; the last one is the job's own.
        plans[0].plan.files = try load(resolved.files) + (resolved.tests?.files ?? [])
        let last = plans.count - 1
        plans[last].plan.isLast = true
        plans[last].plan.fork = resolved.template != nil
        plans[last].plan.stdin = try standardInput(of: job)
        // The judge's come first, so that nothing else can use up what may be brought back.
        plans[last].plan.collect = (resolved.tests?.collect ?? []) + resolved.collect
        plans[last].plan.stream = resolved.stream && job.onOutput != nil
        plans[last].plan.keepOutputBytes = max(resolved.keepOutputBytes, resolved.tests?.keepOutputBytes ?? 0)
        return Launch(spec: spec(of: resolved), steps: plans)
    }

    private func spec(of job: ResolvedJob) -> SandboxSpec {
        SandboxSpec(pool: job.pool, image: job.image, policy: job.policy, template: job.template)
    }

    /// What every job finds set, unless something says otherwise.
    public static let basicEnvironment = ["PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/workspace", "LANG": "C.UTF-8"]

    /// What the image, the policy and the job say, the later over the earlier, over a minimum of the farm's own.
    private func environment(of job: ResolvedJob) -> [String] {
        var variables = Self.basicEnvironment
        for layer in [job.image.environment, job.policy.environment, job.environment] {
            variables.merge(layer) { $1 }
        }
        for (name, other) in job.tests?.renames ?? [:] {
            // An empty one says nothing.
            if let value = variables.removeValue(forKey: name), !value.isEmpty { variables[other] = value }
        }
        return variables.map { "\($0.key)=\($0.value)" }.sorted()
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
