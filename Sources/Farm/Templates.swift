// Which template a job is forked from, and which are loaded before a job comes.

import SandboxCore

extension Resolver {
    /// - Returns: `nil` for a job whose command starts by itself: it asked for that, its pool has none for it, or it has
    ///   more than one step, which one fork could not become.
    func template(for request: JobRequest, steps: [ResolvedStep], image: String, policy: String, kept: [String]) throws(Rejected) -> TemplateSpec? {
        if request.template == "none" { return nil }
        let names = request.template.map { [$0] } ?? kept
        for name in names {
            guard let template = catalog.template(named: name, image: image, policy: policy) else {
                // What a pool keeps is the operator's, and may be of another image than the job's.
                guard request.template != nil else { continue }
                throw invalid("template", "found \(quoted(name)), expected \(listed(catalog.templateNames(image: image) + ["none"]))")
            }
            if steps.count == 1, let program = steps[0].arguments.first, program == template.program { return template.spec }
        }
        return nil
    }
}

extension Resolver {
    /// The first of a pool's templates that this image has.
    func firstTemplate(of names: [String], image: String, policy: String) -> TemplateSpec? {
        names.lazy.compactMap { catalog.template(named: $0, image: image, policy: policy)?.spec }.first
    }
}

extension Farm {
    /// What every job finds set, unless something says otherwise.
    public static let basicEnvironment = ["PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/workspace", "LANG": "C.UTF-8"]

    /// - Throws: `invalid_request` for a template that the pool's image does not have.
    func checkTemplates(_ pool: PoolTerms) throws(Rejected) {
        // What an image declares is read when somebody wants one.
        guard !pool.templates.isEmpty else { return }
        let known = catalog.templateNames(image: pool.image)
        for (index, name) in pool.templates.enumerated() where !known.contains(name) {
            let expected = known.isEmpty ? "none, as image \(quoted(pool.image)) has no templates" : "one of \(listed(known))"
            throw invalid("templates[\(index)]", "found \(quoted(name)), expected \(expected)")
        }
    }

    func loadTemplates(of pool: String, _ names: PoolTerms) {
        backend.prepare(sandboxes(of: pool, names), pool: pool)
    }

    /// The sandboxes that a pool's templates are for.
    private func sandboxes(of pool: String, _ names: PoolTerms) -> [SandboxSpec] {
        guard !names.templates.isEmpty, let policy = catalog.policy(named: names.policy), let image = try? catalog.lookUpImage(names.image) else { return [] }
        return names.templates.compactMap { name in
            catalog.template(named: name, image: names.image, policy: names.policy).map {
                SandboxSpec(pool: pool, image: image, policy: policy, template: $0.spec)
            }
        }
    }
}

extension SandboxSpec {
    /// Sandboxes of one pool, image, policy and template are alike.
    init(pool: String, image: ResolvedImage, policy: ResolvedPolicy, template: TemplateSpec?) {
        self.init(
            pool: pool, root: image.root, network: policy.network, proc: policy.proc, pty: policy.pty, seccomp: policy.seccomp,
            tolerateMissing: policy.tolerateMissing, template: template)
    }
}
