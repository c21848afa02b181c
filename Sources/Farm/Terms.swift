// What jobs of one pool, policy and image have in common, looked up once and held once, however many of them wait: a queue
// of a hundred thousand jobs holds a hundred thousand commands, not as many policies.

import SandboxCore
import Synchronization

/// The terms on which a job runs, as far as they are not its own.
final class JobTerms: Sendable {
    let policyName: String
    let policy: ResolvedPolicy
    let image: ResolvedImage
    /// What this host does not enforce of what their sandboxes have.
    let unenforced: [Mechanism]
    /// Names the pool.
    let spec: SandboxSpec
    /// Of a job that asks for none.
    let limits: SharedLimits
    /// Of a job that adds nothing to it, as exec takes it.
    let environment: [String]
    /// Of each stream's head, and as much of its tail.
    let keepOutputBytes: Int

    init(
        pool: String, policyName: String, policy: ResolvedPolicy, image: ResolvedImage, template: TemplateSpec?, unenforced: [Mechanism],
        keepOutputBytes: Int
    ) {
        self.keepOutputBytes = keepOutputBytes
        self.policyName = policyName
        self.policy = policy
        self.image = image
        self.unenforced = unenforced.filter { $0 != .outbound || policy.network == .outbound }
        spec = SandboxSpec(pool: pool, image: image, policy: policy, template: template)
        limits = SharedLimits(policy.completeDefaults.clamped(to: policy.ceiling))
        environment = Self.environment(policy, image, [:], [:])
    }

    /// Of a job with variables of its own, or that starts with some under another name.
    func environment(adding own: [String: String], renames: [String: String]) -> [String] {
        own.isEmpty && renames.isEmpty ? environment : Self.environment(policy, image, own, renames)
    }

    /// What the image, the policy and the job say, the later over the earlier, over a minimum of the farm's own.
    private static func environment(_ policy: ResolvedPolicy, _ image: ResolvedImage, _ own: [String: String], _ renames: [String: String]) -> [String] {
        var variables = Farm.basicEnvironment
        for layer in [image.environment, policy.environment, own] { variables.merge(layer) { $1 } }
        for (name, other) in renames {
            // An empty one says nothing.
            if let value = variables.removeValue(forKey: name), !value.isEmpty { variables[other] = value }
        }
        return variables.map { "\($0.key)=\($0.value)" }.sorted()
    }
}

/// Limits that several steps and jobs refer to.
final class SharedLimits: Sendable {
    let value: Limits
    init(_ value: Limits) { self.value = value }
}

/// The terms that jobs were taken in under lately.
final class TermsCache: Sendable {
    private struct Key: Hashable {
        var pool: String
        var policy: String
        var image: String
        var template: String?
    }

    private let unenforced: [Mechanism]
    private let keepOutputBytes: Int
    private let known = Mutex<[Key: JobTerms]>([:])
    /// More than a farm has in use; then it begins anew.
    private static let most = 1_024

    /// - Parameter unenforced: what this host does not enforce.
    init(unenforced: [Mechanism], keepOutputBytes: Int) {
        self.unenforced = unenforced
        self.keepOutputBytes = keepOutputBytes
    }

    /// - Parameters: what the names mean now. Terms from a time when they meant something else are not found again.
    func terms(pool: String, policyName: String, policy: ResolvedPolicy, imageName: String, image: ResolvedImage, template: TemplateSpec?) -> JobTerms {
        let key = Key(pool: pool, policy: policyName, image: imageName, template: template?.name)
        return known.withLock { known in
            // Quick where nothing has changed: both then share their storage.
            if let terms = known[key], terms.policy == policy, terms.image == image, terms.spec.template == template { return terms }
            if known.count >= Self.most { known = [:] }
            let terms = JobTerms(
                pool: pool, policyName: policyName, policy: policy, image: image, template: template, unenforced: unenforced,
                keepOutputBytes: keepOutputBytes)
            known[key] = terms
            return terms
        }
    }
}
