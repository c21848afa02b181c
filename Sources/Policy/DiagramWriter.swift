// A decision diagram -> classic BPF, as short as it gets. Called by `Compile`.

import SandboxCore

/// Jumps only lead forward, so what is jumped to is written first, and all of it is turned round in the end.
struct DiagramWriter {
    private let diagram: DecisionDiagram
    private var backwards: [BPFInstruction] = []
    private var written: [DecisionDiagram.ID: Int] = [:]

    static func instructions(_ diagram: DecisionDiagram, from root: DecisionDiagram.ID) -> [BPFInstruction] {
        var writer = DiagramWriter(diagram: diagram)
        _ = writer.write(root)
        return writer.backwards.reversed()
    }

    private init(diagram: DecisionDiagram) { self.diagram = diagram }

    /// - Returns: where the node's code begins.
    private mutating func write(_ id: DecisionDiagram.ID) -> Int {
        if let known = written[id] { return known }
        switch diagram[id] {
        case .answer(let value): backwards.append(BPFInstruction(code: BPFInstruction.returnValue, k: value))
        case .choice(let word, let runs):
            for next in Set(runs.map(\.next)).sorted() { _ = write(next) }
            // The rarest answers are furthest away, and what a long jump would lead to is near by.
            let first = search(runs)
            // What is searched was written last, unless there is nothing to search.
            if first != backwards.count - 1 { jump(first) }
            if word.mask != .max { backwards.append(BPFInstruction(code: BPFInstruction.and, k: word.mask)) }
            backwards.append(BPFInstruction(code: BPFInstruction.loadWord, k: word.offset))
        }
        written[id] = backwards.count - 1
        return backwards.count - 1
    }

    /// Finds the run of the accumulator's value.
    private mutating func search(_ runs: [DecisionDiagram.Run]) -> Int {
        if runs.count == 1 { return write(runs[0].next) }
        // A value by itself takes one comparison less than its two ends; from then on it need not be kept apart.
        if runs.count <= 8, let hole = (1..<max(1, runs.count - 1)).first(where: { isHole(runs, at: $0) }) {
            var others = runs
            others.removeSubrange(hole...hole + 1)
            let (here, other) = (write(runs[hole].next), search(others))
            return compare(BPFInstruction.jumpEqual, runs[hole].first, is: here, not: other)
        }
        let middle = middle(of: runs)
        var upperRuns = Array(runs[middle...])
        upperRuns[0].first = 0
        let upper = search(upperRuns)
        let lower = search(Array(runs[..<middle]))
        return compare(BPFInstruction.jumpGreaterOrEqual, runs[middle].first, is: upper, not: lower)
    }

    /// Whether a run is one value, with the same on either side of it.
    private func isHole(_ runs: [DecisionDiagram.Run], at index: Int) -> Bool {
        index > 0 && index + 1 < runs.count && runs[index - 1].next == runs[index + 1].next && runs[index + 1].first == runs[index].first + 1
    }

    /// A boundary near the middle that parts no hole from what is around it.
    private func middle(of runs: [DecisionDiagram.Run]) -> Int {
        let half = runs.count / 2
        return [half, half + 1, half - 1].first { (1..<runs.count).contains($0) && !isHole(runs, at: $0) && !isHole(runs, at: $0 - 1) } ?? half
    }

    private mutating func compare(_ comparison: UInt16, _ k: UInt32, is yes: Int, not no: Int) -> Int {
        let (yesNear, noNear) = (near(yes), near(no))
        let here = backwards.count
        backwards.append(BPFInstruction(code: comparison, jumpTrue: UInt8(here - yesNear - 1), jumpFalse: UInt8(here - noNear - 1), k: k))
        return here
    }

    /// A conditional jump reaches 255 instructions; what is further away gets a long one to it.
    private mutating func near(_ target: Int) -> Int {
        // Two more instructions can come before the jump.
        if backwards.count - target < 250 { return target }
        jump(target)
        return backwards.count - 1
    }

    private mutating func jump(_ target: Int) {
        backwards.append(BPFInstruction(code: BPFInstruction.jumpAlways, k: UInt32(backwards.count - target - 1)))
    }
}
