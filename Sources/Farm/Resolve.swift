// JobRequest -> ResolvedJob: every name looked up, every bound decided, every field checked. What passes here can only
// fail for the program's own reasons or the farm's. Nothing is read or allocated for it yet.

import SandboxCore

/// A job with everything decided. Many of them wait at once, so what jobs share is behind one reference, and what few of
/// them have behind another.
struct ResolvedJob: Sendable {
    /// What it has in common with others, of its sandbox above all.
    var terms: JobTerms
    /// Whether its one step is forked from its sandbox's template.
    var isFork = false
    /// The job's, complete.
    let limits: SharedLimits
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
    var suite: TestSuite?
    var labels: Labels
    var stream: Bool
    /// Digests it needs, each once; kept in the store until it ends.
    var blobs: [String]
    /// Bytes it holds in memory until it ends.
    var heldBytes: Int

    var pool: String { terms.spec.pool }
}

struct ResolvedStep: Sendable {
    var phase: Phase
    var arguments: [String]
    var limits: SharedLimits
}

/// The tests of a job that has some: what was asked for, and what it adds to the job.
final class TestSuite: Sendable {
    let request: TestRequest
    let step: TestStep

    init(_ request: TestRequest, _ step: TestStep) {
        self.request = request
        self.step = step
    }
}

/// What a pool says of its jobs: image and policy for those that name none, and whether their sandboxes are used again.
struct PoolTerms: Sendable {
    var image: String
    var policy: String
    /// Its image's templates that are kept loaded.
    var templates: [String] = []
    var reuse: SandboxReuse
}

struct Resolver {
    let catalog: any Catalog
    let judge: any TestJudge
    let terms: TermsCache
    let collectBytes: Int

    /// - Throws: `invalid_request`, `unknown_policy`, `unknown_image` or `unknown_language`, with the field at fault.
    func resolve(_ request: JobRequest, pool: String, _ pooled: PoolTerms) throws(Rejected) -> ResolvedJob {
        try checkScalars(request)
        let (policyName, imageName) = (request.policy ?? pooled.policy, request.image ?? pooled.image)
        let (policy, image) = (try catalog.lookUpPolicy(policyName), try catalog.lookUpImage(imageName))
        func termsOfJob(_ template: TemplateSpec?) -> JobTerms {
            terms.terms(pool: pool, policyName: policyName, policy: policy, imageName: imageName, image: image, template: template)
        }
        let plain = termsOfJob(nil)
        let language = try catalog.lookUpLanguage(request.work)
        let limits = try resolve(request.limits, under: plain, needs: language?.limits ?? Limits())
        try checkFiles(request.files)
        try checkCollect(request.collect, atMost: collectBytes)

        var job = ResolvedJob(
            terms: plain, limits: limits, steps: [], files: request.files, stdin: request.stdin,
            environment: (language?.environment ?? [:]).merging(request.environment) { _, own in own },
            workingDirectory: try resolveDirectory(request.workingDirectory), collect: request.collect,
            labels: request.labels, stream: request.stream, blobs: [], heldBytes: 0)
        try addSteps(to: &job, work: request.work, language: language, tests: request.tests)
        let own = try template(for: request, steps: job.steps, image: imageName, policy: policyName, kept: pooled.templates)
        // The jobs of a group that share a sandbox need one that is the same for all of them, forks or not.
        let shares = pooled.reuse == .group && request.labels.group != nil && request.tests == nil && request.template ?? "none" == "none"
        if let template = shares ? firstTemplate(of: pooled.templates, image: imageName, policy: policyName) : own {
            job.terms = termsOfJob(template)
            job.isFork = own == template
        }
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
        job.suite = TestSuite(tests, step)
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
                .filled(from: job.terms.policy.completeDefaults.raised(to: language.limits)).clamped(to: job.terms.policy.ceiling)
            job.steps = [ResolvedStep(phase: .compile, arguments: compile, limits: SharedLimits(limits))]
        }
        job.steps.append(ResolvedStep(phase: .run, arguments: language.run + arguments, limits: job.limits))
    }

    // MARK: Limits

    private func resolve(_ asked: Limits, under terms: JobTerms, needs: Limits) throws(Rejected) -> SharedLimits {
        if asked == Limits(), needs == Limits() { return terms.limits }
        let policy = terms.policy
        for field in LimitField.all {
            guard let value = asked[field] else { continue }
            guard field.range.contains(value) else {
                throw invalid(
                    "limits.\(field.key)", "found \(value), expected \(field.range.lowerBound) to \(field.range.upperBound)")
            }
            if let ceiling = policy.ceiling[field], value > ceiling {
                throw invalid("limits.\(field.key)", "asked for \(value), policy \(quoted(terms.policyName)) allows \(ceiling)")
            }
        }
        return SharedLimits(asked.filled(from: policy.completeDefaults.raised(to: needs)).clamped(to: policy.ceiling))
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
        let ids = (job.suite?.request.failToPass ?? []) + (job.suite?.request.passToPass ?? [])
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
