// What the tests of this room share: small policies as text, and questions to compiled filters.

import Foundation
import SandboxCore
import Testing

@testable import Policy

private let repository = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
/// The repository's own policies, and what is said about them.
let policiesDirectory = repository + "/policies"
let referenceFile = repository + "/docs/policies.md"

/// The smallest seccomp rules that `Lint` lets pass.
let neededRule = """
    - names: [execve, exit, exit_group, rt_sigreturn, write, close, sendmsg]
      action: SCMP_ACT_ALLOW
      why: A job starts and ends.
"""

/// Everything a policy that extends nothing has to say, without its seccomp section.
func header(_ name: String = "p") -> String {
    """
    version: 1
    name: \(name)
    network: none
    proc: pids
    limits: &LIMITS
    ceiling: &CEILING
    """
    .replacing("&LIMITS", with: "{\(limits("10s", "64MiB", 100))}").replacing("&CEILING", with: "{\(limits("1h", "1GiB", 1000))}")
}

private func limits(_ time: String, _ bytes: String, _ count: Int) -> String {
    LimitField.all.map { field in
        switch field.unit {
        case .milliseconds: "\(field.key): \(time)"
        case .bytes: "\(field.key): \(bytes)"
        case .count: "\(field.key): \(count)"
        }
    }.joined(separator: ", ")
}

/// A whole policy: `header`, `extra` keys, and `rules` after the needed ones.
func wholePolicy(_ name: String = "p", extra: String = "", rules: String = "", action: String = "SCMP_ACT_NOTIFY") -> String {
    """
    \(header(name))
    \(extra)
    seccomp:
      defaultAction: \(action)
      syscalls:
    \(neededRule)
    \(rules)
    """
}

/// What one file by itself is refused for.
func parseErrors(_ text: String, file: String = "p.yaml") -> [String] {
    do throws(PolicyErrors) {
        _ = try PolicyFile.parse(Array(text.utf8), file: file)
        return []
    } catch {
        return error.errors.map(\.description)
    }
}

/// A directory `d` made of texts, profiles among them; this machine unless another is given.
func resolve(_ files: [String: String], machine: Machine = .current) -> (policies: [String: Policy], errors: [String]) {
    let yaml = files.filter { $0.key.hasSuffix(".yaml") }.sorted { $0.key < $1.key }
    let result = PolicyStore.resolve(
        files: yaml.map { ($0.key, Array($0.value.utf8)) }, directory: "d", machine: machine
    ) { name throws(PolicyErrors) in
        guard let text = files[name] else { throw PolicyErrors(PolicyError(file: "d/\(name)", "cannot be read")) }
        return Array(text.utf8)
    }
    return (result.policies, PolicyErrors(result.errors).errors.map(\.description))
}

/// A decision in words: `allow`, `notify`, `errno ENOSYS`, `kill`.
func decision(_ value: UInt32?) -> String {
    guard let value else { return "invalid program" }
    switch value & 0xFFFF_0000 {
    case 0x7FFF_0000: return "allow"
    case 0x7FC0_0000: return "notify"
    case 0x0005_0000: return "errno \(Errno.name(Int(value & 0xFFFF)))"
    case 0x8000_0000: return "kill"
    default: return "action \(value)"
    }
}

/// A compiled filter that can be asked.
struct Filter {
    static let x86_64: UInt32 = 0xC000_003E
    static let i386: UInt32 = 0x4000_0003

    let program: BPFProgram
    /// Protocols of netlink sockets that are permitted by whoever is handed the calls.
    let countedNetlink: UInt32
    let permitsSockets: Bool
    let permitsIPC: Bool

    init(_ policy: Policy, notify: Bool = true) throws {
        let compiled = try policy.compile(notify: notify)
        program = try #require(BPFProgram(bytes: compiled.bpf))
        countedNetlink = compiled.countedNetlink
        permitsSockets = compiled.permitsSockets
        permitsIPC = compiled.permitsIPC
    }

    func ask(_ number: UInt32, _ arguments: [UInt64] = [], arch: UInt32 = Machine.current.architecture.auditArch) -> String {
        decision(program.run(SyscallData(number: number, arch: arch, arguments: arguments)))
    }

    func ask(_ name: String, _ arguments: UInt64...) -> String {
        guard let number = syscallNumber(name: name) else { return "no such call" }
        return ask(UInt32(number), arguments)
    }
}

/// One of the repository's policies, compiled.
func shipped(_ name: String) throws -> Filter {
    try Filter(try PolicyStore.load(directory: policiesDirectory).policy(named: name))
}
