// JobRequest -> ResolvedJob: every name looked up, every bound decided, every field checked. What passes here can only
// fail for the program's own reasons or the farm's. Nothing is read or allocated for it yet.

import SandboxCore

/// A job with everything decided.
struct ResolvedJob: Sendable {
    var pool: String
    var policyName: String
    var policy: ResolvedPolicy
    var image: ResolvedImage
    /// What its one step is forked from.
    var template: TemplateSpec?
    /// The job's, complete.
    var limits: Limits
    /// In the order they run; the last one is the job's own.
    var steps: [ResolvedStep]
    /// Where its compile step leaves the program; empty where that is neither to be kept nor to be taken from those kept.
    var compileOutput: [String] = []
    /// The job's own and its source.
    var files: [FileIn]
    var stdin: Content?
    var environment: [String: String]
    /// Absolute.
    var workingDirectory: String
    var collect: [FileOut]
    var tests: TestStep?
    var testRequest: TestRequest?
    var labels: Labels
    var stream: Bool
    /// Of each stream's head, and as much of its tail.
    var keepOutputBytes: Int
    /// What this host does not enforce of what the job's sandbox has.
    var unenforced: [Mechanism]
    /// Digests it needs, each once; kept in the store until it ends.
    var blobs: [String]
    /// Bytes it holds in memory until it ends.
    var heldBytes: Int
}

struct ResolvedStep: Sendable {
    var phase: Phase
    var arguments: [String]
    var limits: Limits
}

/// The image and policy for jobs of a pool that name none.
struct PoolNames: Sendable {
    var image: String
    var policy: String
    /// Its image's templates that are kept loaded.
    var templates: [String] = []
}

struct Resolver {
    let catalog: any Catalog
    let judge: any TestJudge
    let unenforced: [Mechanism]
    let collectBytes: Int
    let keepOutputBytes: Int

    /// - Throws: `invalid_request`, `unknown_policy`, `unknown_image` or `unknown_language`, with the field at fault.
    func resolve(_ request: JobRequest, pool: String, names: PoolNames) throws(Rejected) -> ResolvedJob {
        try checkScalars(request)
        let policyName = request.policy ?? names.policy
        let policy = try catalog.lookUpPolicy(policyName)
        let image = try catalog.lookUpImage(request.image ?? names.image)
        let language = try catalog.lookUpLanguage(request.work)
        let limits = try resolve(request.limits, under: policy, named: policyName, needs: language?.limits ?? Limits())
        try checkFiles(request.files)
        try checkCollect(request.collect, atMost: collectBytes)

        var job = ResolvedJob(
            pool: pool, policyName: policyName, policy: policy, image: image, limits: limits, steps: [],
            files: request.files, stdin: request.stdin,
            environment: (language?.environment ?? [:]).merging(request.environment) { _, own in own },
            workingDirectory: try resolveDirectory(request.workingDirectory), collect: request.collect,
            testRequest: request.tests, labels: request.labels, stream: request.stream,
            keepOutputBytes: keepOutputBytes,
            unenforced: unenforced.filter { $0 != .outbound || policy.network == .outbound }, blobs: [], heldBytes: 0)
        try addSteps(to: &job, work: request.work, language: language, tests: request.tests)
        job.template = try template(
            for: request, steps: job.steps, image: request.image ?? names.image, policy: policyName, kept: names.templates)
        if request.compileCache, job.steps.first?.phase == .compile { job.compileOutput = language?.output ?? [] }
        try checkFilesFit(job)
        try checkArguments(job)
        job.blobs = try blobs(of: job)
        job.heldBytes = heldBytes(of: job)
        return job
    }

    // MARK: The work

    private func addSteps(
        to job: inout ResolvedJob, work: Work, language: ResolvedLanguage?, tests: TestRequest?
    ) throws(Rejected) {
        switch work {
        case .command(let command):
            guard let program = command.first, !program.isEmpty else {
                throw invalid("command", "expected a program and its arguments, found \(command.isEmpty ? "nothing" : "an empty program")")
            }
            guard let tests else {
                job.steps = [ResolvedStep(phase: .run, arguments: command, limits: job.limits)]
                return
            }
            try addTests(to: &job, tests, command: command)
        case .testsOnly:
            guard let tests else { throw invalid("command", "expected one of command, source and tests") }
            try addTests(to: &job, tests, command: nil)
        case .source(let text, _, let arguments):
            guard tests == nil else {
                throw invalid("tests", "expected no tests beside source: they stand alone, or with command")
            }
            if let language { try addSource(to: &job, text: text, language, arguments: arguments) }
        }
    }

    private func addTests(to job: inout ResolvedJob, _ tests: TestRequest, command: [String]?) throws(Rejected) {
        let step = try judge.plan(for: tests, command: command)
        job.steps = [ResolvedStep(phase: .run, arguments: step.arguments, limits: job.limits)]
        job.tests = step
    }

    private func addSource(
        to job: inout ResolvedJob, text: String, _ language: ResolvedLanguage, arguments: [String]
    ) throws(Rejected) {
        let place = language.fileName
        if let index = job.files.firstIndex(where: {
            $0.path == place || $0.path.hasPrefix(place + "/") || place.hasPrefix($0.path + "/")
        }) {
            throw invalid(
                "files[\(index)].path", "found \(quoted(job.files[index].path)), but the source goes to \(quoted(place))")
        }
        job.files.append(FileIn(path: place, content: .bytes(Array(text.utf8))))
        if let compile = language.compile {
            let limits = (language.compileLimits ?? Limits())
                .filled(from: job.policy.completeDefaults.raised(to: language.limits)).clamped(to: job.policy.ceiling)
            job.steps = [ResolvedStep(phase: .compile, arguments: compile, limits: limits)]
        }
        job.steps.append(ResolvedStep(phase: .run, arguments: language.run + arguments, limits: job.limits))
    }

    // MARK: Limits

    private func resolve(
        _ asked: Limits, under policy: ResolvedPolicy, named name: String, needs: Limits
    ) throws(Rejected) -> Limits {
        for field in LimitField.all {
            guard let value = asked[keyPath: field.path] else { continue }
            guard field.range.contains(value) else {
                throw invalid(
                    "limits.\(field.key)", "found \(value), expected \(field.range.lowerBound) to \(field.range.upperBound)")
            }
            if let ceiling = policy.ceiling[keyPath: field.path], value > ceiling {
                throw invalid("limits.\(field.key)", "asked for \(value), policy \(quoted(name)) allows \(ceiling)")
            }
        }
        return asked.filled(from: policy.completeDefaults.raised(to: needs)).clamped(to: policy.ceiling)
    }

    // MARK: What it holds

    private func blobs(of job: ResolvedJob) throws(Rejected) -> [String] {
        var digests: Set<String> = []
        for (index, file) in job.files.enumerated() {
            guard case .blob(let digest) = file.content else { continue }
            try checkDigest(digest, "files[\(index)].blob")
            digests.insert(digest)
        }
        if case .blob(let digest)? = job.stdin {
            try checkDigest(digest, "stdin.blob")
            digests.insert(digest)
        }
        return digests.sorted()
    }

    private func heldBytes(of job: ResolvedJob) -> Int {
        var bytes = 2_048 + (job.stdin?.inlineBytes ?? 0)
        bytes += job.files.reduce(0) { $0 + $1.content.inlineBytes + $1.path.utf8.count + 64 }
        bytes += job.collect.reduce(0) { $0 + $1.pattern.utf8.count + 32 }
        bytes += job.steps.reduce(0) { $0 + $1.arguments.reduce(0) { $0 + $1.utf8.count + 16 } }
        bytes += job.environment.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count + 48 }
        let ids = (job.testRequest?.failToPass ?? []) + (job.testRequest?.passToPass ?? [])
        return bytes + ids.reduce(0) { $0 + $1.utf8.count + 16 }
    }
}

// MARK: Names

extension Catalog {
    func lookUpPolicy(_ name: String) throws(Rejected) -> ResolvedPolicy {
        if let policy = policy(named: name) { return policy }
        throw Rejected(.unknownPolicy, "found \(quoted(name)), expected one of \(listed(policyNames))", field: "policy")
    }

    func lookUpImage(_ name: String) throws(Rejected) -> ResolvedImage {
        do throws(Rejected) {
            return try image(named: name)
        } catch {
            throw Rejected(error.code, error.message, field: error.field ?? "image", retryAfterMs: error.retryAfterMs)
        }
    }

    /// - Returns: `nil` for work that is not in a language.
    func lookUpLanguage(_ work: Work) throws(Rejected) -> ResolvedLanguage? {
        guard case .source(_, let name, _) = work else { return nil }
        if let language = language(named: name) { return language }
        throw Rejected(
            .unknownLanguage, "found \(quoted(name)), expected one of \(listed(languageNames))", field: "source.language")
    }
}

extension Content {
    var inlineBytes: Int {
        switch self {
        case .bytes(let bytes): bytes.count
        case .blob: 64
        }
    }
}
