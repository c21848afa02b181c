// What confines a template while it loads an image's own code: everything that no policy grants is closed to it, but for
// what entering a sandbox takes. Its forks keep it below their policy's own filter. So it refuses by user notification,
// for which it has no listener: in a template such a call is answered ENOSYS, and in a fork the policy's filter, which is
// younger and says the same, is the one whose listener counts it.

import SandboxCore

public enum TemplateFilter {
    private static let entering = ["setns", "unshare"]
    private static let newCgroupNamespace: UInt64 = 0x0200_0000

    /// The same for every policy.
    public static func compile() throws(PolicyErrors) -> SeccompProgram {
        let why = "no policy grants it"
        func refuse(_ names: [String], _ conditions: [ArgumentCondition] = []) -> SyscallRule {
            SyscallRule(names: names, action: .notify, conditions: conditions, why: why, origin: "template")
        }
        var rules = [refuse(Danger.never.flatMap(\.names).filter { !entering.contains($0) })]
        rules.append(refuse(["unshare"], [ArgumentCondition(index: 0, op: .notEqual, values: [newCgroupNamespace])]))
        for flag in Danger.namespaceFlags {
            rules.append(refuse(["clone"], [ArgumentCondition(index: 0, op: .maskedEqual, values: [flag], mask: flag)]))
        }
        let program = try FilterSource(rules, standard: .allow, guarded: .notify, named: "template", machine: Machine.current).program()
        return SeccompProgram(bpf: program.bytes, notifies: true, onDenied: .errno, permitsKeys: false)
    }
}
