// Rules with conditions on arguments -> classic BPF that runs before libseccomp's part. Why not libseccomp: it loops for
// ever on some sets of conditions, see docs/adr/0003-seccomp-guards.md. Called by `Compile`; the result is property-tested
// against `ArgumentCondition.holds`.

enum ArgumentChecks {
    /// Decides every call that only has rules with conditions (the first that holds counts), and lets the others through.
    /// - Parameter standard: for a call of which no rule holds.
    static func add(to assembler: inout BPFAssembler, rules: [SyscallRule], standard: SeccompAction) {
        let unconditional = Set(rules.filter(\.conditions.isEmpty).flatMap(\.names))
        var names: [String] = []
        var byName: [String: [SyscallRule]] = [:]
        for rule in rules where !rule.conditions.isEmpty {
            for name in rule.names where !unconditional.contains(name) {
                if byName[name] == nil { names.append(name) }
                byName[name, default: []].append(rule)
            }
        }
        // Who is sent on to the next call's rules has loaded nothing else since.
        assembler.load(SyscallData.offsetOfNumber)
        for name in names {
            guard let number = syscallNumber(name: name) else { continue }
            let otherCall = assembler.newLabel()
            assembler.jump(BPFInstruction.jumpEqual, UInt32(number), is: false, to: otherCall)
            for rule in byName[name] ?? [] {
                let nextRule = assembler.newLabel()
                for condition in rule.conditions { assembler.check(condition, orElse: nextRule) }
                assembler.answer(rule.action)
                assembler.place(nextRule)
            }
            assembler.answer(standard)
            assembler.place(otherCall)
        }
    }
}

extension BPFAssembler {
    /// Goes on when the condition holds, to `failed` when it does not.
    mutating func check(_ condition: ArgumentCondition, orElse failed: Label) {
        let holds = newLabel()
        switch condition.op {
        case .equal, .maskedEqual:
            matchAny(condition, then: holds)
            jump(to: failed)
        case .notEqual: matchAny(condition, then: failed)
        case .greater: compare(condition, BPFInstruction.jumpGreater, above: holds, notAbove: failed)
        case .greaterOrEqual: compare(condition, BPFInstruction.jumpGreaterOrEqual, above: holds, notAbove: failed)
        case .less: compare(condition, BPFInstruction.jumpGreaterOrEqual, above: failed, notAbove: holds)
        case .lessOrEqual: compare(condition, BPFInstruction.jumpGreater, above: failed, notAbove: holds)
        }
        place(holds)
    }

    /// Goes to `matched` when the masked argument is one of the values, else on.
    private mutating func matchAny(_ condition: ArgumentCondition, then matched: Label) {
        // Values that share their upper half are compared with one load of each half.
        for (upper, values) in Dictionary(grouping: condition.values, by: { $0 >> 32 }).sorted(by: { $0.key < $1.key }) {
            let otherUpper = newLabel()
            load(SyscallData.offset(argument: condition.index, upperHalf: true))
            mask(UInt32(condition.mask >> 32))
            jump(BPFInstruction.jumpEqual, UInt32(upper), is: false, to: otherUpper)
            load(SyscallData.offset(argument: condition.index, upperHalf: false))
            mask(UInt32(truncatingIfNeeded: condition.mask))
            for value in values {
                jump(BPFInstruction.jumpEqual, UInt32(truncatingIfNeeded: value), is: true, to: matched)
            }
            place(otherUpper)
        }
    }

    /// Compares with the first value: `lower` is the comparison of the lower halves where the upper ones are equal.
    private mutating func compare(_ condition: ArgumentCondition, _ lower: UInt16, above: Label, notAbove: Label) {
        let value = condition.values.first ?? 0
        load(SyscallData.offset(argument: condition.index, upperHalf: true))
        jump(BPFInstruction.jumpGreater, UInt32(value >> 32), is: true, to: above)
        jump(BPFInstruction.jumpEqual, UInt32(value >> 32), is: false, to: notAbove)
        load(SyscallData.offset(argument: condition.index, upperHalf: false))
        jump(lower, UInt32(truncatingIfNeeded: value), is: true, to: above)
        jump(to: notAbove)
    }
}
