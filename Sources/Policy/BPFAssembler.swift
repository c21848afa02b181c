// A small assembler for classic BPF: `Guards` and `ArgumentChecks` write with it what `Compile` puts before libseccomp's
// program.

/// Instructions whose jumps lead forward to labels. A conditional jump reaches 255 instructions, so each is written as
/// a short one over a long one.
struct BPFAssembler {
    struct Label: Hashable { fileprivate var id: Int }

    private var instructions: [BPFInstruction] = []
    /// Positions of long jumps, and where labels are.
    private var jumps: [(position: Int, label: Label)] = []
    private var places: [Label: Int] = [:]
    private var labels = 0

    mutating func newLabel() -> Label {
        labels += 1
        return Label(id: labels)
    }

    mutating func place(_ label: Label) { places[label] = instructions.count }

    mutating func load(_ offset: UInt32) { instructions.append(.init(code: BPFInstruction.loadWord, k: offset)) }

    /// Keeps only these bits of the accumulator.
    mutating func mask(_ bits: UInt32) {
        if bits != .max { instructions.append(.init(code: BPFInstruction.and, k: bits)) }
    }

    mutating func answer(_ action: SeccompAction) {
        instructions.append(.init(code: BPFInstruction.returnValue, k: action.number))
    }

    mutating func jump(to label: Label) {
        jumps.append((instructions.count, label))
        instructions.append(.init(code: BPFInstruction.jumpAlways, k: 0))
    }

    /// Goes to `label` when the comparison of the accumulator with `k` comes out as `outcome`, else on.
    mutating func jump(_ comparison: UInt16, _ k: UInt32, is outcome: Bool, to label: Label) {
        instructions.append(.init(code: comparison, jumpTrue: outcome ? 0 : 1, jumpFalse: outcome ? 1 : 0, k: k))
        jump(to: label)
    }

    /// The finished instructions. Every label jumped to has its place.
    func assembled() -> [BPFInstruction] {
        var result = instructions
        for (position, label) in jumps { result[position].k = UInt32((places[label] ?? result.count) - position - 1) }
        return result
    }
}
