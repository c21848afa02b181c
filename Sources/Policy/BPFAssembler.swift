// A small assembler for classic BPF: `Guards` and `ArgumentChecks` write with it what `Compile` puts before libseccomp's
// program.

/// Instructions whose jumps lead forward to labels. A conditional jump reaches 255 instructions; where its label is
/// further away it becomes a short one over a long one.
struct BPFAssembler {
    struct Label: Hashable { fileprivate var id: Int }

    private enum Item {
        case instruction(BPFInstruction)
        case jump(Label)
        /// To the label when the comparison comes out as `outcome`, else on.
        case branch(comparison: UInt16, k: UInt32, outcome: Bool, Label)
    }

    private var items: [Item] = []
    /// Before which item a label is.
    private var places: [Label: Int] = [:]
    private var labels = 0

    mutating func newLabel() -> Label {
        labels += 1
        return Label(id: labels)
    }

    mutating func place(_ label: Label) { places[label] = items.count }

    mutating func load(_ offset: UInt32) { items.append(.instruction(.init(code: BPFInstruction.loadWord, k: offset))) }

    /// Keeps only these bits of the accumulator.
    mutating func mask(_ bits: UInt32) {
        if bits != .max { items.append(.instruction(.init(code: BPFInstruction.and, k: bits))) }
    }

    mutating func answer(_ action: SeccompAction) {
        items.append(.instruction(.init(code: BPFInstruction.returnValue, k: action.number)))
    }

    mutating func jump(to label: Label) { items.append(.jump(label)) }

    /// Goes to `label` when the comparison of the accumulator with `k` comes out as `outcome`, else on.
    mutating func jump(_ comparison: UInt16, _ k: UInt32, is outcome: Bool, to label: Label) {
        items.append(.branch(comparison: comparison, k: k, outcome: outcome, label))
    }

    /// The finished instructions. Every label jumped to has its place.
    func assembled() -> [BPFInstruction] {
        var long: Set<Int> = []
        while true {
            let positions = positions(long)
            let far = items.indices.filter { at in
                guard case .branch(_, _, _, let label) = items[at], !long.contains(at) else { return false }
                return distance(from: at, to: label, positions) > 255
            }
            if far.isEmpty { return written(long, positions) }
            long.formUnion(far)
        }
    }

    /// Where each item begins, and where the last one ends.
    private func positions(_ long: Set<Int>) -> [Int] {
        var result = [0]
        for at in items.indices { result.append(result[at] + (long.contains(at) ? 2 : 1)) }
        return result
    }

    private func distance(from item: Int, to label: Label, _ positions: [Int]) -> Int {
        positions[places[label] ?? items.count] - positions[item] - 1
    }

    private func written(_ long: Set<Int>, _ positions: [Int]) -> [BPFInstruction] {
        var result: [BPFInstruction] = []
        for at in items.indices {
            switch items[at] {
            case .instruction(let instruction): result.append(instruction)
            case .jump(let label): result.append(.init(code: BPFInstruction.jumpAlways, k: UInt32(distance(from: at, to: label, positions))))
            case .branch(let comparison, let k, let outcome, let label):
                let distance = distance(from: at, to: label, positions)
                if long.contains(at) {
                    result.append(.init(code: comparison, jumpTrue: outcome ? 0 : 1, jumpFalse: outcome ? 1 : 0, k: k))
                    result.append(.init(code: BPFInstruction.jumpAlways, k: UInt32(distance - 1)))
                } else {
                    result.append(.init(code: comparison, jumpTrue: outcome ? UInt8(distance) : 0, jumpFalse: outcome ? 0 : UInt8(distance), k: k))
                }
            }
        }
        return result
    }
}
