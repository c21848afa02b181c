// Which job's deadline is next. A binary heap that knows where each job lies in it, so that a job which ends before
// its deadline leaves at once, in O(log n), and nothing of it stays behind.

struct DeadlineHeap: Sendable {
    private struct Node {
        var deadline: Int
        var slot: Slot
    }

    private var nodes: [Node] = []
    /// Where a job's node lies in `nodes`, by the job's slot; -1: it has none.
    private var positions: [Int32] = []

    var next: (deadline: Int, slot: Slot)? { nodes.first.map { ($0.deadline, $0.slot) } }
    var count: Int { nodes.count }

    mutating func insert(_ slot: Slot, deadline: Int) {
        while positions.count <= Int(slot) { positions.append(-1) }
        nodes.append(Node(deadline: deadline, slot: slot))
        rise(from: nodes.count - 1)
    }

    /// Does nothing for a job without a deadline.
    mutating func remove(_ slot: Slot) {
        guard Int(slot) < positions.count, positions[Int(slot)] >= 0 else { return }
        let hole = Int(positions[Int(slot)])
        positions[Int(slot)] = -1
        let last = nodes.removeLast()
        if hole < nodes.count {
            nodes[hole] = last
            positions[Int(last.slot)] = Int32(hole)
            sink(from: hole)
            rise(from: Int(positions[Int(last.slot)]))
        }
        if nodes.isEmpty, positions.count > keptWhenEmpty { self = DeadlineHeap() }
    }

    private mutating func rise(from start: Int) {
        let node = nodes[start]
        var index = start
        while index > 0, nodes[(index - 1) / 2].deadline > node.deadline {
            move(from: (index - 1) / 2, to: index)
            index = (index - 1) / 2
        }
        put(node, at: index)
    }

    private mutating func sink(from start: Int) {
        let node = nodes[start]
        var index = start
        while true {
            var child = 2 * index + 1
            guard child < nodes.count else { break }
            if child + 1 < nodes.count, nodes[child + 1].deadline < nodes[child].deadline { child += 1 }
            guard nodes[child].deadline < node.deadline else { break }
            move(from: child, to: index)
            index = child
        }
        put(node, at: index)
    }

    private mutating func move(from: Int, to: Int) { put(nodes[from], at: to) }

    private mutating func put(_ node: Node, at index: Int) {
        nodes[index] = node
        positions[Int(node.slot)] = Int32(index)
    }
}
