// Which compiles are kept: within bytes and a number, those that were used last.

import SandboxCore
import Testing

@testable import Farm

@Suite("Kept compiles")
struct KeptCompilesTests {
    private func key(_ number: Int) -> CompileKey {
        CompileKey(
            LaunchPlan(arguments: ["\(number)"], environment: [], limits: EnforcedLimits(.fallback)), files: [], output: [],
            in: SandboxSpec(root: RootFilesystem(layers: []), seccomp: nil), toolchain: "")
    }

    /// Of 2,048 bytes.
    private let compiled = CompiledStep(
        StepReport(outcome: .exited(code: 0), files: [CollectedFile(path: "/tmp/main", bytes: [UInt8](repeating: 0, count: 951), size: 951, mode: 0o755)]),
        milliseconds: 1, mostBytes: 4_096)!

    private func found(_ kept: inout KeptCompiles, _ range: ClosedRange<Int>) -> [Int] {
        range.filter { kept.find(key($0), now: 0) != nil }
    }

    @Test("The least recently used go first, by bytes as by number", arguments: [(3 * 2_048, 100), (1 << 20, 3)])
    func bounds(capacity: Int, entries: Int) {
        var kept = KeptCompiles(capacity: capacity, mostEntries: entries)
        for number in 1...3 { kept.keep(compiled, as: key(number), now: 0) }
        #expect(kept.count == 3 && kept.bytes == 3 * 2_048 && kept.evicted == 0)
        #expect(kept.find(key(1), now: 0) == compiled)
        kept.keep(compiled, as: key(4), now: 0)
        #expect(found(&kept, 1...4) == [1, 3, 4])
        #expect(kept.count == 3 && kept.bytes == 3 * 2_048 && kept.evicted == 1)
    }

    @Test("The same key again takes the place of the first; what is larger than all of it is not kept")
    func replaced() {
        var kept = KeptCompiles(capacity: 2_048, mostEntries: 10)
        for _ in 1...5 { kept.keep(compiled, as: key(1), now: 0) }
        #expect(kept.count == 1 && kept.bytes == 2_048 && kept.evicted == 0)
        var small = KeptCompiles(capacity: 2_047, mostEntries: 10)
        small.keep(compiled, as: key(1), now: 0)
        #expect(small.count == 0 && small.bytes == 0)
    }

    @Test("However often they are used, the bounds hold and the last used are those that are left")
    func manyUses() {
        var kept = KeptCompiles(capacity: 8 * 2_048, mostEntries: 100)
        for number in 1...3_000 {
            kept.keep(compiled, as: key(number), now: 0)
            for _ in 1...3 { #expect(kept.find(key(number), now: 0) != nil) }
            #expect(kept.bytes <= 8 * 2_048)
        }
        #expect(kept.count == 8 && kept.evicted == 2_992 && found(&kept, 2_980...3_000) == Array(2_993...3_000))
    }
}
