// A policy's rules, as far as they are the same for every filter that is made of them, and the filters. Called by `Compile`.

import SandboxCore

struct FilterSource {
    private let name: String
    private let machine: Machine
    private let standard: SeccompAction
    private let guarded: SeccompAction
    /// What libseccomp says of each number, in order.
    private let answers: [UInt32]
    private let conditional: [Int: [SyscallRule]]

    /// - Parameters:
    ///   - standard: of calls that no rule names.
    ///   - guarded: what happens to requests that no rule can grant.
    init(_ rules: [SyscallRule], standard: SeccompAction, guarded: SeccompAction, named name: String, machine: Machine) throws(PolicyErrors) {
        (self.name, self.machine, self.standard, self.guarded) = (name, machine, standard, guarded)
        conditional = Self.conditionalRules(rules)
        answers = try Self.answers(rules, standard, name, machine)
    }

    private static func answers(_ rules: [SyscallRule], _ standard: SeccompAction, _ name: String, _ machine: Machine) throws(PolicyErrors) -> [UInt32] {
        // libseccomp refuses a rule that says what holds anyway. Leaving it out is safe: `Lint` has seen to it that no
        // call matches two rules with different actions.
        let table = rules.filter { $0.conditions.isEmpty && $0.action != standard }.flatMap { rule in
            rule.names.compactMap(syscallNumber).map { Libseccomp.Rule(number: $0, action: rule.action) }
        }
        let exported: [UInt8]
        do throws(Libseccomp.Failure) {
            exported = try Libseccomp.export(defaultAction: standard, rules: table)
        } catch {
            throw PolicyErrors(PolicyError(
                file: name, path: "seccomp", "libseccomp does not take it: \(error.call) failed with errno \(error.errno)"))
        }
        guard let program = BPFProgram(bytes: exported) else {
            throw PolicyErrors(PolicyError(file: name, path: "seccomp", "libseccomp wrote half an instruction"))
        }
        var answers: [UInt32] = []
        for number in 0...UInt32(Syscalls.newestNumber) {
            guard let answer = program.run(SyscallData(number: number, arch: machine.architecture.auditArch)) else {
                throw PolicyErrors(PolicyError(file: name, path: "seccomp", "libseccomp's program does not answer every call"))
            }
            answers.append(answer)
        }
        return answers
    }

    /// The rules of each call that only has rules with conditions, in their order.
    private static func conditionalRules(_ rules: [SyscallRule]) -> [Int: [SyscallRule]] {
        let unconditional = Set(rules.filter(\.conditions.isEmpty).flatMap(\.names))
        var byNumber: [Int: [SyscallRule]] = [:]
        for rule in rules where !rule.conditions.isEmpty {
            for name in rule.names where !unconditional.contains(name) {
                if let number = syscallNumber(name: name) { byNumber[number, default: []].append(rule) }
            }
        }
        return byNumber
    }

    /// - Parameters:
    ///   - countedNetlink: protocols of netlink sockets, a bit for each, of which a call that makes one is handed over.
    ///   - handedOver: numbers of calls that are handed over whenever they could be permitted.
    func program(countedNetlink: UInt32 = 0, handedOver: Set<Int> = []) throws(PolicyErrors) -> BPFProgram {
        do throws(DecisionDiagram.TooLarge) {
            var diagram = DecisionDiagram()
            let root = try root(of: &diagram, countedNetlink, handedOver)
            return BPFProgram(DiagramWriter.instructions(diagram, from: root))
        } catch {
            throw PolicyErrors(PolicyError(file: name, path: "seccomp", "its conditions on arguments are too many to be checked for each call"))
        }
    }

    private func root(of diagram: inout DecisionDiagram, _ countedNetlink: UInt32, _ handedOver: Set<Int>) throws(DecisionDiagram.TooLarge) -> DecisionDiagram.ID {
        let (socket, ioctl) = (syscallNumber(name: "socket"), syscallNumber(name: "ioctl"))
        let notify = try diagram.answer(SeccompAction.notify.number)
        var runs: [DecisionDiagram.Run] = []
        for (number, answer) in answers.enumerated() {
            var next = if let rules = conditional[number] { try diagram.decide(rules, standard: standard) } else { try diagram.answer(answer) }
            if number == socket, countedNetlink != 0 {
                next = try diagram.merge(try diagram.holds(Guards.netlink(countedNetlink)), then: notify, otherwise: next)
            }
            if number == ioctl { next = try diagram.merge(try diagram.holds(Guards.terminal()), then: try diagram.answer(guarded.number), otherwise: next) }
            if handedOver.contains(number), mayPermit(next, diagram) { next = notify }
            runs.append(DecisionDiagram.Run(first: UInt32(number), next: next))
        }
        let foreign = try diagram.answer(SeccompAction.killProcess.number)
        let unknown = try diagram.answer(SeccompAction.errno(Errno.numbers["ENOSYS"] ?? 38).number)
        runs.append(DecisionDiagram.Run(first: UInt32(Syscalls.newestNumber) + 1, next: unknown))
        runs.append(DecisionDiagram.Run(first: Guards.x32Bit, next: foreign))
        let native = try diagram.choice(.number, runs)
        return try diagram.table(.architecture, [machine.architecture.auditArch: native], otherwise: foreign)
    }

    /// Whether some call that comes here is permitted.
    private func mayPermit(_ id: DecisionDiagram.ID, _ diagram: DecisionDiagram) -> Bool {
        switch diagram[id] {
        case .answer(let value): value == SeccompAction.allow.number || value == SeccompAction.log.number
        case .choice(_, let runs): Set(runs.map(\.next)).contains { mayPermit($0, diagram) }
        }
    }
}
