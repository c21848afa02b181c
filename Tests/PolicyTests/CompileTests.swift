// The compiled program means what the rules say, whatever the rules are.

import SandboxCore
import TestKit
import Testing

@testable import Policy

@Suite("A compiled filter does what its policy says")
struct CompileTests {
    @Test("Notification can be left out for kernels that lack it")
    func withoutNotify() throws {
        let policy = try #require(resolve(["p.yaml": wholePolicy()]).policies["p"])
        #expect(try policy.compile().notifies)
        #expect(try !policy.compile(notify: false).notifies)
        #expect(try Filter(policy).ask("mount") == "notify")
        let quiet = try Filter(policy, notify: false)
        #expect(quiet.ask("mount") == "errno EPERM")
        #expect(quiet.ask("ioctl", 0, 0x5412) == "errno EPERM")
    }

    @Test("A hundred random sets of rules agree with the filter on every call tried")
    func agreement() throws {
        var generator = SeededRandom(42)
        for _ in 0..<100 {
            var rules = [SyscallRule(names: Lint.needed, action: .allow, why: "", origin: "p")]
            for name in ["read", "fcntl", "prctl", "openat", "futex", "kill"].shuffled(using: &generator).prefix(4) {
                let action: SeccompAction = [.allow, .errno(13), .killProcess, .trap].randomElement(using: &generator)!
                for _ in 0..<Int.random(in: 1...5, using: &generator) {
                    rules.append(SyscallRule(
                        names: [name], action: action, conditions: randomConditions(&generator), why: "", origin: "p"))
                }
            }
            let program = try #require(BPFProgram(bytes: try policy(rules).compile().bpf))
            for rule in rules {
                for _ in 0..<40 {
                    let arguments = (0..<6).map { _ in interesting(&generator) }
                    let number = UInt32(try #require(syscallNumber(name: rule.names[0])))
                    let data = SyscallData(number: number, arch: Machine.current.architecture.auditArch, arguments: arguments)
                    let wanted = rules.first { other in
                        other.names.contains(rule.names[0]) && other.conditions.allSatisfy { $0.holds(arguments[$0.index]) }
                    }
                    #expect(program.run(data) == (wanted?.action ?? .notify).number, "\(rules) \(arguments)")
                }
            }
        }
    }

    @Test("A filter is loaded before its program is known only where it permits all that comes in between")
    func loadsAhead() throws {
        let between = Set(SeccompProgram.beforeExec.map(\.call))
        func allow(_ names: Set<String>, _ conditions: [ArgumentCondition] = []) -> SyscallRule {
            SyscallRule(names: names.sorted(), action: .allow, conditions: conditions, why: "", origin: "p")
        }
        let needed = Set(Lint.needed)
        #expect(try policy([allow(needed.union(between))]).compile().loadsAhead)
        for name in between.subtracting(needed) {
            #expect(try !policy([allow(needed.union(between).subtracting([name]))]).compile().loadsAhead, "without \(name)")
        }
        let rest = allow(needed.union(between).subtracting(["prlimit64"]))
        for (process, loads) in [(UInt64(0), true), (1, false)] {
            let own = ArgumentCondition(index: 0, op: .equal, values: [process])
            #expect(try policy([rest, allow(["prlimit64"], [own])]).compile().loadsAhead == loads)
        }
    }

    private func policy(_ rules: [SyscallRule]) -> Policy {
        Policy(
            name: "p", description: "", ancestors: [], network: .none, proc: .pids, pty: false, onDenied: .errno,
            limits: Limits(), ceiling: Limits(), environment: [:], tolerateMissing: [], defaultAction: .notify,
            rules: rules, reasons: [:], notes: [])
    }

    /// Small numbers, so that conditions often hold, with a bit in either half.
    private func interesting(_ generator: inout SeededRandom) -> UInt64 {
        UInt64.random(in: 0...5, using: &generator) | (Bool.random(using: &generator) ? 1 << 32 : 0)
    }

    private func randomConditions(_ generator: inout SeededRandom) -> [ArgumentCondition] {
        (0..<6).shuffled(using: &generator).prefix(Int.random(in: 0...3, using: &generator)).map { index in
            let op = Comparison.allCases.randomElement(using: &generator)!
            if op == .maskedEqual {
                let mask = interesting(&generator)
                return ArgumentCondition(index: index, op: op, values: [interesting(&generator) & mask], mask: mask)
            }
            let count = op == .equal ? Int.random(in: 1...3, using: &generator) : 1
            return ArgumentCondition(index: index, op: op, values: (0..<count).map { _ in interesting(&generator) })
        }
    }

    @Test("A policy that got past the lint with an open door does not compile")
    func proof() {
        let needed = SyscallRule(names: Lint.needed, action: .allow, why: "", origin: "p")
        let doors: [(SyscallRule, String)] = [
            (SyscallRule(names: ["clone3"], action: .allow, why: "", origin: "p"), "permits clone3"),
            (SyscallRule(names: ["mount"], action: .log, why: "", origin: "p"), "permits mount"),
            (
                SyscallRule(
                    names: ["clone"], action: .allow,
                    conditions: [.init(index: 0, op: .maskedEqual, values: [0], mask: 0x6E02_0000)], why: "", origin: "p"),
                "permits clone with flag 268435456"
            ),
        ]
        for (rule, message) in doors {
            #expect(throws: PolicyErrors(PolicyError(file: "p", path: "seccomp", "the compiled filter \(message)"))) {
                try policy([needed, rule]).compile()
            }
        }
        #expect(throws: PolicyErrors.self) { try policy([]).compile() }
    }

    @Test("A filter longer than the kernel takes is refused")
    func length() {
        // No two upper halves go with the same lower ones, and no two lower ones are neighbours.
        let values = (0..<UInt64(64)).flatMap { upper in (0..<UInt64(75)).map { lower -> UInt64 in upper << 32 + upper * 1000 + lower * 3 } }
        let long = SyscallRule(names: ["prctl"], action: .allow, conditions: [.init(index: 0, op: .equal, values: values)], why: "", origin: "p")
        let needed = SyscallRule(names: Lint.needed, action: .allow, why: "", origin: "p")
        do throws(PolicyErrors) {
            _ = try policy([needed, long]).compile()
            Issue.record("compiled")
        } catch {
            #expect(error.errors.count == 1)
            #expect(error.description.hasPrefix("p: seccomp: the compiled filter has "))
            #expect(error.description.hasSuffix(" instructions, the kernel takes 4096"))
        }
    }

    @Test("System calls are known by name and number, younger ones than libseccomp among them")
    func names() {
        #expect(syscallName(number: 1000) == nil)
        #expect(syscallName(number: -1) == nil)
        #expect(syscallNumber(name: "no_such_call") == nil)
        for name in ["read", "clone3", "fchmodat2", "mseal", "file_setattr", "set_mempolicy_home_node"] {
            #expect(syscallNumber(name: name).flatMap(syscallName) == name)
        }
        #if arch(x86_64)
        #expect(syscallName(number: 59) == "execve")
        #expect(syscallNumber(name: "socketcall") == nil)
        #expect(Syscalls.lookUp("socketcall") == .elsewhere)
        #endif
    }
}

@Suite("The interpreter refuses what the kernel refuses")
struct BPFTests {
    @Test("Programs that run off their end, or use what seccomp has not")
    func invalid() {
        let data = SyscallData(number: 0, arch: 0)
        #expect(BPFProgram([]).run(data) == nil)
        #expect(BPFProgram([.init(code: BPFInstruction.jumpAlways, k: 7)]).run(data) == nil)
        #expect(BPFProgram([.init(code: BPFInstruction.loadWord, k: 3)]).run(data) == nil)
        #expect(BPFProgram([.init(code: 0xFFFF, k: 0)]).run(data) == nil)
        #expect(BPFProgram(bytes: [1, 2, 3]) == nil)
    }

    @Test("Bytes and instructions are the same thing")
    func bytes() {
        let program = BPFProgram([
            .init(code: 0x20, k: 0x1234_5678), .init(code: 0x15, jumpTrue: 1, jumpFalse: 255, k: 0xC000_003E), .init(code: 6, k: 0x7FFF_0000),
        ])
        #expect(BPFProgram(bytes: program.bytes) == program)
        #expect(program.bytes.prefix(8) == [0x20, 0, 0, 0, 0x78, 0x56, 0x34, 0x12])
    }
}
