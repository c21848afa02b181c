// A filter as a decision diagram: each choice looks at one word of the call and goes on by its value, and what would decide
// alike is one node, however many rules say it. The kernel translates a filter for each job anew, at a cost that grows with
// its length, so this is worth some care: see docs/adr/0003-seccomp-guards.md. `Compile` builds it, `DiagramWriter` makes
// instructions of it. Pure.

import SandboxCore

struct DecisionDiagram {
    /// A node. Equal ids decide alike.
    struct ID: Hashable, Comparable {
        fileprivate var index: Int
        static func < (a: ID, b: ID) -> Bool { a.index < b.index }
    }

    /// What a choice looks at: a 32-bit word of `seccomp_data`, or some bits of it. Along every path these come in this
    /// order, each at most once.
    struct Word: Hashable, Comparable {
        var offset: UInt32
        /// The higher half of an argument is looked at before the lower one, as a comparison needs it.
        fileprivate var order: UInt32
        var mask: UInt32 = .max

        static let number = Word(offset: SyscallData.offsetOfNumber, order: 1)
        static let architecture = Word(offset: SyscallData.offsetOfArch, order: 0)

        static func argument(_ index: Int, upperHalf: Bool, mask: UInt32 = .max) -> Word {
            Word(offset: SyscallData.offset(argument: index, upperHalf: upperHalf), order: UInt32(16 + 8 * index + (upperHalf ? 0 : 4)), mask: mask)
        }

        static func < (a: Word, b: Word) -> Bool { (a.order, a.mask) < (b.order, b.mask) }
    }

    /// Values from `first` up to the next run's go on at `next`.
    struct Run: Hashable {
        var first: UInt32
        var next: ID
    }

    enum Node: Hashable {
        /// A SECCOMP_RET_ value; for a condition, 1 where it holds and 0 where not.
        case answer(UInt32)
        /// At least two runs, the first of them from 0.
        case choice(Word, [Run])
    }

    /// The rules ask for more nodes than any program the kernel takes could have.
    struct TooLarge: Error {}

    private var nodes: [Node] = []
    private var ids: [Node: ID] = [:]
    private var merged: [Merge: ID] = [:]

    private struct Merge: Hashable { let condition, then, otherwise: ID }

    /// No filter that fits the kernel's 4,096 instructions has as many; hostile rules would make more without end.
    private static let most = 1 << 14

    subscript(id: ID) -> Node { nodes[id.index] }

    mutating func answer(_ value: UInt32) throws(TooLarge) -> ID { try intern(.answer(value)) }

    /// Goes on by the value of a word. None of the nodes may look at that word again, or at one before it.
    /// - Parameter runs: in order, the first from 0.
    mutating func choice(_ word: Word, _ runs: [Run]) throws(TooLarge) -> ID {
        var distinct: [Run] = []
        for run in runs where distinct.last?.next != run.next { distinct.append(run) }
        return distinct.count == 1 ? distinct[0].next : try intern(.choice(word, distinct))
    }

    /// Does as `then` where the condition holds, as `otherwise` where it does not.
    mutating func merge(_ condition: ID, then: ID, otherwise: ID) throws(TooLarge) -> ID {
        if then == otherwise { return then }
        if case .answer(let holds) = self[condition] { return holds == 0 ? otherwise : then }
        let key = Merge(condition: condition, then: then, otherwise: otherwise)
        if let known = merged[key] { return known }
        let parts = [condition, then, otherwise]
        guard let word = parts.compactMap({ word(of: $0) }).min() else { return otherwise }
        var runs: [Run] = []
        for first in Set(parts.flatMap { firsts(of: $0, at: word) }).sorted() {
            let (c, t, o) = (follow(condition, word, first), follow(then, word, first), follow(otherwise, word, first))
            runs.append(Run(first: first, next: try merge(c, then: t, otherwise: o)))
        }
        guard merged.count < Self.most else { throw TooLarge() }
        let result = try choice(word, runs)
        merged[key] = result
        return result
    }

    private func word(of id: ID) -> Word? {
        if case .choice(let word, _) = self[id] { word } else { nil }
    }

    private func firsts(of id: ID, at word: Word) -> [UInt32] {
        if case .choice(word, let runs) = self[id] { runs.map(\.first) } else { [0] }
    }

    private func follow(_ id: ID, _ word: Word, _ value: UInt32) -> ID {
        guard case .choice(word, let runs) = self[id] else { return id }
        return runs.last { $0.first <= value }!.next
    }

    private mutating func intern(_ node: Node) throws(TooLarge) -> ID {
        if let known = ids[node] { return known }
        guard nodes.count < Self.most else { throw TooLarge() }
        let id = ID(index: nodes.count)
        nodes.append(node)
        ids[node] = id
        return id
    }
}
