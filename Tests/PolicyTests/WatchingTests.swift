// The variant of a filter that hands some calls over differs from the filter in nothing else.

@testable import Policy
import SandboxCore
import TestKit
import Testing

@Suite("A filter that hands calls over")
struct WatchingTests {
    @Test("says what the filter says, or hands over what that could permit", arguments: ["strict", "default", "build", "network"])
    func variant(name: String) throws {
        let compiled = try PolicyStore.load(directory: policiesDirectory).policy(named: name).compile()
        let watching = try #require(compiled.watching)
        let filter = try #require(BPFProgram(bytes: compiled.bpf)), variant = try #require(BPFProgram(bytes: watching.bpf))
        let makers = Set(watching.network + watching.ipc), machine = Machine.current
        #expect(makers.count == 7 && Set(watching.network).isDisjoint(with: watching.ipc))
        var random = SeededRandom(7)
        var handedOver: Set<UInt32> = []
        for number in 0...UInt32(Syscalls.newestNumber) + 2 {
            for _ in 0..<40 {
                // Small numbers are what families, flags and commands are.
                let arguments = (0..<6).map { _ in Bool.random(using: &random) ? UInt64.random(in: 0...20, using: &random) : UInt64.random(in: 0...(.max), using: &random) }
                let call = SyscallData(number: number, arch: machine.architecture.auditArch, arguments: arguments)
                let (plain, other) = (filter.run(call), variant.run(call))
                if plain == other { continue }
                #expect(makers.contains(number) && other == SeccompAction.notify.number, "\(number) \(arguments): \(plain ?? 0) \(other ?? 0)")
                handedOver.insert(number)
            }
            let foreign = SyscallData(number: number, arch: 0x4000_0003)
            #expect(filter.run(foreign) == variant.run(foreign))
        }
        // What could never be permitted is not handed over: `strict` has no sockets.
        #expect(handedOver.contains(UInt32(try #require(syscallNumber(name: "socket")))) == (name != "strict"))
    }
}
