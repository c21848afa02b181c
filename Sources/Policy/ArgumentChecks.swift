// Conditions on arguments -> decision diagrams. Why not libseccomp: it loops for ever on some sets of conditions, see
// docs/adr/0003-seccomp-guards.md. Called by `Compile`; the result is property-tested against `ArgumentCondition.holds`.

extension DecisionDiagram {
    /// What becomes of a call of which these are all the rules, none of them without conditions. The first that holds counts.
    /// - Parameter standard: where none holds.
    mutating func decide(_ rules: [SyscallRule], standard: SeccompAction) throws(TooLarge) -> ID {
        var decided = try answer(standard.number)
        for rule in rules.reversed() { decided = try merge(try holds(rule.conditions), then: try answer(rule.action.number), otherwise: decided) }
        return decided
    }

    /// 1 where all of the conditions hold, else 0.
    mutating func holds(_ conditions: [ArgumentCondition]) throws(TooLarge) -> ID {
        var all = try answer(1)
        for condition in conditions { all = try merge(all, then: try holds(condition), otherwise: try answer(0)) }
        return all
    }

    private mutating func holds(_ condition: ArgumentCondition) throws(TooLarge) -> ID {
        let (yes, no) = (try answer(1), try answer(0))
        let value = condition.values.first ?? 0
        return switch condition.op {
        case .equal, .maskedEqual: try isAny(condition, then: yes, otherwise: no)
        case .notEqual: try isAny(condition, then: no, otherwise: yes)
        case .greaterOrEqual: try isAtLeast(value, condition.index, then: yes, otherwise: no)
        case .less: try isAtLeast(value, condition.index, then: no, otherwise: yes)
        // Nothing is above the largest number.
        case .greater: value == .max ? no : try isAtLeast(value + 1, condition.index, then: yes, otherwise: no)
        case .lessOrEqual: value == .max ? yes : try isAtLeast(value + 1, condition.index, then: no, otherwise: yes)
        }
    }

    /// Whether the masked argument is one of the values.
    private mutating func isAny(_ condition: ArgumentCondition, then: ID, otherwise: ID) throws(TooLarge) -> ID {
        let upper = Word.argument(condition.index, upperHalf: true, mask: UInt32(condition.mask >> 32))
        let lower = Word.argument(condition.index, upperHalf: false, mask: UInt32(truncatingIfNeeded: condition.mask))
        var byUpper: [UInt32: ID] = [:]
        for (half, values) in Dictionary(grouping: condition.values, by: { UInt32($0 >> 32) }) {
            byUpper[half] = try table(lower, Dictionary(values.map { (UInt32(truncatingIfNeeded: $0), then) }) { a, _ in a }, otherwise: otherwise)
        }
        return try table(upper, byUpper, otherwise: otherwise)
    }

    private mutating func isAtLeast(_ value: UInt64, _ index: Int, then: ID, otherwise: ID) throws(TooLarge) -> ID {
        let (upper, lower) = (UInt32(value >> 32), UInt32(truncatingIfNeeded: value))
        let equal = try choice(.argument(index, upperHalf: false), lower == 0 ? [Run(first: 0, next: then)] : [Run(first: 0, next: otherwise), Run(first: lower, next: then)])
        var runs = upper == 0 ? [] : [Run(first: 0, next: otherwise)]
        runs.append(Run(first: upper, next: equal))
        if upper < .max { runs.append(Run(first: upper + 1, next: then)) }
        return try choice(.argument(index, upperHalf: true), runs)
    }

    /// Goes on as said for some values of a word, and elsewhere for all others. Values that the word's mask rules out never are.
    mutating func table(_ word: Word, _ entries: [UInt32: ID], otherwise: ID) throws(TooLarge) -> ID {
        if word.mask == 0 { return entries[0] ?? otherwise }
        var runs: [Run] = []
        var next: UInt32? = 0
        for (value, id) in entries.sorted(by: { $0.key < $1.key }) where value & ~word.mask == 0 {
            if let next, next < value { runs.append(Run(first: next, next: otherwise)) }
            runs.append(Run(first: value, next: id))
            next = value == .max ? nil : value + 1
        }
        if let next { runs.append(Run(first: next, next: otherwise)) }
        return try choice(word, runs)
    }
}
