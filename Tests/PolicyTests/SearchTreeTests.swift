// The search tree answers every call as libseccomp's chain does, however many answers there are.

@testable import Policy
import TestKit
import Testing

@Suite("Search tree")
struct SearchTreeTests {
    private let machine = Machine.current

    @Test("it answers as the program it was made from, for every number", arguments: [1, 2, 3, 40, 460])
    func equal(rules: Int) throws {
        var random = SeededRandom(UInt64(rules))
        let actions: [SeccompAction] = [.allow, .notify, .errno(1), .errno(38), .killProcess]
        for _ in 0..<20 {
            var program: [BPFInstruction] = [.init(code: BPFInstruction.loadWord, k: 0)]
            for _ in 0..<rules {
                let number = UInt32.random(in: 0...UInt32(Syscalls.newestNumber), using: &random)
                program.append(.init(code: BPFInstruction.jumpEqual, jumpTrue: 0, jumpFalse: 1, k: number))
                program.append(.init(code: BPFInstruction.returnValue, k: actions.randomElement(using: &random)!.number))
            }
            program.append(.init(code: BPFInstruction.returnValue, k: SeccompAction.allow.number))
            let chain = BPFProgram(program)
            let runs = try #require(SearchTree.runs(of: chain, machine: machine))
            let tree = BPFProgram([.init(code: BPFInstruction.loadWord, k: 0)] + SearchTree.code(runs))
            for number in 0...UInt32(Syscalls.newestNumber) {
                let call = SyscallData(number: number, arch: machine.architecture.auditArch)
                #expect(tree.run(call) == chain.run(call), "number \(number)")
            }
            #expect(tree.instructions.count <= 2 * runs.count + 8)
        }
    }

    @Test("a program that does not answer some number makes no tree")
    func silent() {
        let program = BPFProgram([
            .init(code: BPFInstruction.loadWord, k: 0), .init(code: BPFInstruction.jumpGreater, jumpTrue: 1, jumpFalse: 0, k: 7),
            .init(code: BPFInstruction.returnValue, k: SeccompAction.allow.number),
        ])
        #expect(SearchTree.runs(of: program, machine: machine) == nil)
    }

    @Test("branches reach their labels, near and far")
    func far() {
        for filler in [0, 254, 255, 256, 400, 700] {
            var assembler = BPFAssembler()
            let target = assembler.newLabel(), other = assembler.newLabel()
            assembler.load(SyscallData.offsetOfNumber)
            assembler.jump(BPFInstruction.jumpEqual, 5, is: true, to: target)
            assembler.jump(BPFInstruction.jumpEqual, 6, is: false, to: other)
            for _ in 0..<filler { assembler.load(SyscallData.offsetOfNumber) }
            assembler.answer(.errno(6))
            assembler.place(other)
            assembler.answer(.allow)
            assembler.place(target)
            assembler.answer(.errno(5))
            let program = BPFProgram(assembler.assembled())
            func run(_ number: UInt32) -> UInt32? { program.run(SyscallData(number: number, arch: 0)) }
            #expect(run(5) == SeccompAction.errno(5).number)
            #expect(run(6) == SeccompAction.errno(6).number)
            #expect(run(7) == SeccompAction.allow.number)
        }
    }
}
