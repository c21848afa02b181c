// What is merged and written decides as the runs and conditions it was made from, however many they are and however far apart.

@testable import Policy
import SandboxCore
import TestKit
import Testing

@Suite("Decision diagram")
struct DecisionDiagramTests {
    private typealias Run = DecisionDiagram.Run

    @Test("every number gets the answer of its run", arguments: [1, 2, 3, 40, 460, 1500])
    func runs(count: Int) throws {
        var random = SeededRandom(UInt64(count))
        for round in 0..<20 {
            var diagram = DecisionDiagram()
            // Many answers lie far apart; few make runs of one value with the same around them.
            let answers = round % 2 == 0 ? 0...1 : 0...(UInt32(count) / 4 + 2)
            let firsts = Set((0..<count).map { _ in UInt32.random(in: 0...2000, using: &random) }).union([0]).sorted()
            var runs: [Run] = []
            for first in firsts { runs.append(Run(first: first, next: try diagram.answer(UInt32.random(in: answers, using: &random)))) }
            let root = try diagram.choice(.number, runs)
            let program = BPFProgram(DiagramWriter.instructions(diagram, from: root))
            for number in 0...UInt32(2001) {
                let expected = diagram[runs.last { $0.first <= number }!.next]
                let found = program.run(SyscallData(number: number, arch: 0)).map(DecisionDiagram.Node.answer)
                #expect(found == expected, "number \(number)")
            }
        }
    }

    @Test("a value by itself takes one comparison, and what decides alike is written once")
    func short() throws {
        var diagram = DecisionDiagram()
        let (a, b) = (try diagram.answer(1), try diagram.answer(2))
        let holes: [UInt32: DecisionDiagram.ID] = [7: b, 9: b, 20: b]
        let inner = try diagram.table(.argument(0, upperHalf: false), holes, otherwise: a)
        let root = try diagram.table(.number, [3: inner, 5: inner], otherwise: a)
        // Two answers, two loads, three and two comparisons.
        #expect(DiagramWriter.instructions(diagram, from: root).count == 9)
    }

    @Test("rules that would make it grow without end are refused")
    func bounded() throws {
        var diagram = DecisionDiagram()
        var decided = try diagram.answer(0)
        #expect(throws: DecisionDiagram.TooLarge.self) {
            // Each makes nearly all that was there before anew.
            for value in 0..<UInt64(4000) {
                let conditions = (0..<6).map { ArgumentCondition(index: $0, op: .equal, values: [value * UInt64($0 + 3) % 97]) }
                decided = try diagram.merge(try diagram.holds(conditions), then: try diagram.answer(UInt32(value)), otherwise: decided)
            }
        }
    }
}
