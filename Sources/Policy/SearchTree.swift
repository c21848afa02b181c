// libseccomp's program decides by a call's number alone, in a chain of some seven hundred comparisons. The kernel
// translates a filter for each job anew, at a cost that grows with its length; so `Compile` asks the program about every
// number there is and writes the answers down as a binary search, a tenth as long. See docs/adr/0003-seccomp-guards.md.

enum SearchTree {
    /// Numbers from `first` up to the next run's get the same answer.
    struct Run: Equatable {
        var first: UInt32
        var answer: UInt32
    }

    /// - Returns: `nil` when the program does not answer some number.
    static func runs(of program: BPFProgram, machine: Machine) -> [Run]? {
        var runs: [Run] = []
        for number in 0...UInt32(Syscalls.newestNumber) {
            let call = SyscallData(number: number, arch: machine.architecture.auditArch)
            guard let answer = program.run(call) else { return nil }
            if runs.last?.answer != answer { runs.append(Run(first: number, answer: answer)) }
        }
        return runs
    }

    /// Code that answers as the runs say. The call's number has to be in the accumulator.
    static func code(_ runs: [Run]) -> [BPFInstruction] {
        var tree = Writer()
        for answer in Set(runs.map(\.answer)).sorted() { tree.addAnswer(answer) }
        let root = tree.add(runs[...])
        // A single run is its answer; the root of any other was written last.
        return root == tree.backwards.count - 1 ? tree.backwards.reversed() : [tree.backwards[root]]
    }

    /// Jumps only lead forward, so what is jumped to is written first, and all of it is turned round in the end.
    private struct Writer {
        var backwards: [BPFInstruction] = []
        private var answers: [UInt32: Int] = [:]

        mutating func addAnswer(_ answer: UInt32) {
            answers[answer] = backwards.count
            backwards.append(BPFInstruction(code: BPFInstruction.returnValue, k: answer))
        }

        /// - Returns: where the code for these runs begins.
        mutating func add(_ runs: ArraySlice<Run>) -> Int {
            if runs.count == 1, let answer = answers[runs[runs.startIndex].answer] { return answer }
            let middle = runs.startIndex + runs.count / 2
            let upper = add(runs[middle...])
            let lower = add(runs[..<middle])
            let (upperNear, lowerNear) = (near(upper), near(lower))
            let here = backwards.count
            backwards.append(BPFInstruction(
                code: BPFInstruction.jumpGreaterOrEqual, jumpTrue: UInt8(here - upperNear - 1), jumpFalse: UInt8(here - lowerNear - 1),
                k: runs[middle].first))
            return here
        }

        /// A conditional jump reaches 255 instructions; what is further away gets a long one to it.
        private mutating func near(_ target: Int) -> Int {
            // Two more instructions can come before the jump.
            if backwards.count - target < 250 { return target }
            backwards.append(BPFInstruction(code: BPFInstruction.jumpAlways, k: UInt32(backwards.count - target - 1)))
            return backwards.count - 1
        }
    }
}
