// The policies of this machine as the catalog asks for them: all of them read at the start, or each when it is first wanted.

import Policy
import Synchronization

final class PolicySource: Sendable {
    private let directory: String
    private let known = Mutex<PolicyStore?>(nil)

    init(directory: String) { self.directory = directory }

    /// All of them; a mistake in one shows here.
    @discardableResult
    func all() throws(PolicyErrors) -> PolicyStore {
        if let store = known.withLock({ $0 }) { return store }
        let store = try PolicyStore.load(directory: directory)
        known.withLock { $0 = store }
        return store
    }

    /// That one, and the files it was made of if it was read alone. Where there is something to say about it the others are
    /// read too: it may be of names that are nearly right.
    /// - Returns: `nil` where there is none of that name.
    func policy(named name: String) throws(PolicyErrors) -> (policy: Policy, files: [String: [UInt8]])? {
        if known.withLock({ $0 == nil }), let lineage = PolicyStore.lineage(of: name, in: directory) {
            return (lineage.policy, lineage.files)
        }
        return try all()[name].map { ($0, [:]) }
    }
}
