// Policies that parse and are refused all the same.

import Testing

@testable import Policy

@Suite("A policy that would be dangerous or useless is refused")
struct LintTests {
    private func errors(rules: String = "", extra: String = "", action: String = "SCMP_ACT_NOTIFY") -> [String] {
        resolve(["p.yaml": wholePolicy(extra: extra, rules: rules, action: action)]).errors
    }

    /// The line of the first rule after the needed ones.
    private static let line = 14

    @Test("Allowing by default, audibly or not", arguments: ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG"])
    func allowAll(action: String) {
        #expect(errors(action: action) == [
            "d/p.yaml:2: seccomp.defaultAction: found \(action), expected an action that denies: a policy lists what it grants"
        ])
    }

    @Test("Every call that is never granted", arguments: Danger.never.flatMap(\.names))
    func never(name: String) throws {
        guard syscallNumber(name: name) != nil else { return }
        let reason = try #require(Danger.never.first { $0.names.contains(name) }?.reason)
        #expect(errors(rules: "    - {names: [\(name)], action: SCMP_ACT_ALLOW, why: because}") == [
            "d/p.yaml:\(Self.line): seccomp.syscalls[1]: \(name) is never granted: it \(reason)"
        ])
        #expect(errors(rules: "    - {names: [\(name)], action: SCMP_ACT_ERRNO, why: quietly}") == [])
    }

    @Test("clone with any flag that makes a namespace", arguments: [
        "", ", args: [{index: 1, op: SCMP_CMP_MASKED_EQ, value: 0x7e020000, valueTwo: 0}]",
        ", args: [{index: 0, op: SCMP_CMP_MASKED_EQ, value: 0x6e020000, valueTwo: 0}]",
        ", args: [{index: 0, op: SCMP_CMP_MASKED_EQ, value: 0x7e020000, valueTwo: 0x10000000}]",
        ", args: [{index: 0, op: SCMP_CMP_EQ, value: [17, 0x10000011]}]", ", args: [{index: 0, op: SCMP_CMP_LT, value: 0x80000000}]",
    ])
    func clone(args: String) {
        #expect(errors(rules: "    - {names: [clone], action: SCMP_ACT_ALLOW, why: processes\(args)}") == [
            "d/p.yaml:\(Self.line): seccomp.syscalls[1]: clone is granted with flags that make namespaces: "
                + "mask 0x7e020000 of argument 0 has to be 0"
        ])
    }

    @Test("A policy under which nothing can start or end", arguments: Lint.needed)
    func needed(name: String) {
        let text = wholePolicy().replacing(" \(name),", with: "").replacing(", \(name)]", with: "]").replacing("[\(name), ", with: "[")
        #expect(resolve(["p.yaml": text]).errors == [
            "d/p.yaml:2: seccomp.syscalls: \(name) is not granted without conditions: no job could run"
        ])
    }

    @Test("ptrace together with a tolerated missing user namespace", arguments: ["ptrace", "process_vm_writev", "pidfd_getfd"])
    func ptrace(name: String) throws {
        let rule = "    - {names: [\(name)], action: SCMP_ACT_ALLOW, why: debuggers}"
        #expect(errors(rules: rule, extra: "tolerate_missing: [user_namespace]\nwhy: {tolerate_missing: old hosts}") == [
            "d/p.yaml:2: tolerate_missing: \(name) together with a tolerated missing user_namespace: "
                + "the job could reach into its sandbox's init"
        ])
        let policy = try #require(resolve(["p.yaml": wholePolicy(rules: rule)]).policies["p"])
        #expect(policy.notes.count == 1)
        #expect(policy.notes.first?.hasPrefix("grants \(name): processes of the job may ") == true)
    }

    @Test("Two rules with different actions for the same call, unless their conditions exclude each other")
    func overlaps() {
        let message = "d/p.yaml:\(Self.line + 1): seccomp.syscalls[2]: prctl is SCMP_ACT_ERRNO here and SCMP_ACT_ALLOW in "
            + "d/p.yaml:\(Self.line), and some call may match both"
        #expect(errors(rules: """
                - {names: [prctl], action: SCMP_ACT_ALLOW, why: all of it}
                - {names: [prctl], action: SCMP_ACT_ERRNO, why: not that, args: [{index: 0, op: SCMP_CMP_EQ, value: 22}]}
            """) == [message])
        #expect(errors(rules: """
                - {names: [prctl], action: SCMP_ACT_ALLOW, why: some of it, args: [{index: 0, op: SCMP_CMP_MASKED_EQ, value: 6, valueTwo: 2}]}
                - {names: [prctl], action: SCMP_ACT_ERRNO, why: not that, args: [{index: 0, op: SCMP_CMP_MASKED_EQ, value: 3, valueTwo: [2, 1]}]}
            """) == [message])
        #expect(errors(rules: """
                - {names: [prctl], action: SCMP_ACT_ALLOW, why: some of it, args: [{index: 0, op: SCMP_CMP_EQ, value: [1, 2]}]}
                - {names: [prctl], action: SCMP_ACT_ERRNO, why: not that, args: [{index: 0, op: SCMP_CMP_GE, value: 3}]}
            """) == [])
        #expect(errors(rules: """
                - {names: [prctl], action: SCMP_ACT_ALLOW, why: some of it, args: [{index: 0, op: SCMP_CMP_MASKED_EQ, value: 6, valueTwo: 2}]}
                - {names: [prctl], action: SCMP_ACT_ERRNO, why: not that, args: [{index: 0, op: SCMP_CMP_MASKED_EQ, value: 2, valueTwo: 0}]}
            """) == [])
    }
}
