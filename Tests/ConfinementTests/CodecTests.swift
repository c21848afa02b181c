// The warden's messages: what is written is what is read, and nothing that arrives can do more than be refused.

@testable import Confinement
import SandboxCore
import TestKit
import Testing

enum Samples {
    static let make = SpawnerCommand.make(MakeRequest(
        sandbox: 7, idBase: 0x4001_0000, cgroupVersion: .v2, cgroupFiles: [.processes, .memoryLimit, .memoryStatistics],
        spec: SandboxSpec(
            root: RootFilesystem(layers: ["/a", "/b,\\:ü"], binds: [.init(source: "/usr", target: "/usr")], writable: ["/var/tmp", "/run/lock"]), hostname: "h", network: .outbound,
            proc: .pids, pty: true, seccomp: SeccompProgram(bpf: [1, 2, 3, 4, 5, 6, 7, 8], notifies: true, onDenied: .kill, permitsKeys: false, countedNetlink: 0x8000_0001, permitsSockets: false, permitsIPC: false, watching: SeccompProgram.Watching(bpf: [8, 7], network: [41, .max], ipc: [])),
            user: UserID(uid: 5, gid: 6)), isKept: true,
        outbound: OutboundAddress(
            link: "pdk00000a", address: IPv4Address(0xc612_0002), gateway: IPv4Address(0xc612_0001), mtu: 1400,
            resolvers: [IPv4Address(0x0a00_0001), IPv4Address(.max)])))
    static let plan = LaunchPlan(
        arguments: ["a", "", "ü\n"], environment: ["A=b"], workingDirectory: "/w", files: [PlacedFile(path: "p", bytes: [0, 255], mode: 0o755)],
        collect: [FileOut(pattern: "**", maxBytes: 3)],
        limits: EnforcedLimits(cpuTimeMs: 1, wallTimeMs: 2, memoryBytes: 3, processes: 4, diskBytes: 1 << 40, diskInodes: 9, outputBytes: 5, openFiles: 6, stackBytes: 7, fileSizeBytes: 8),
        keepOutputBytes: 10, stream: true, isLast: true)
    static func report(_ outcome: Outcome) -> StepReport {
        var usage = Usage()
        (usage.wallTimeMs, usage.cpuTimeMs, usage.peakMemoryBytes, usage.throttledMs, usage.diskInodes) = (1.5, 0.25, 1 << 33, nil, 0)
        return StepReport(
            outcome: outcome, stdout: Output(head: [1], tail: [2, 3], totalBytes: 100), stderr: Output(), usage: usage,
            denied: [DeniedSyscall(syscall: "3:4", count: 9)], files: [CollectedFile(path: "f", bytes: [9], size: 10, mode: 0o600)],
            filesSkipped: ["\\xff"], filesTruncated: true, setupMs: 0.25)
    }
    static let outcomes: [Outcome] = [
        .exited(code: 255), .signaled(signal: 11), .limitExceeded(limit: .memory, asked: 1 << 40, used: .max), .syscallDenied(syscall: "1:2"),
        .cancelled(by: .disconnect),
    ]
    static let spawnerCommands = [make, .kill(sandbox: .max)]
    static let spawnerEvents: [SpawnerEvent] = [.made(sandbox: 1, pid: -1), .makeFailed(sandbox: 2, Failure(.mountOverlay, 17, "d")), .ended(sandbox: 3, inOrder: true), .ended(sandbox: 4, inOrder: false)]
    static let initCommands: [InitCommand] = [.run(plan, hasInput: true, cgroupFiles: [.processes, .kill]), .renew] + Canceller.allCases.map { .cancel($0) }
    static let initEvents: [InitEvent] = [.ready, .failed(Failure(.childExec, 2)), .output(.stderr, [1, 2])] + outcomes.map { .report(report($0)) }
}

@Suite("The warden's protocol")
struct CodecTests {
    @Test("every message comes back as it was sent")
    func roundTrips() throws {
        for message in Samples.spawnerCommands { #expect(try SpawnerCommand(decoding: message.encoded()) == message) }
        for message in Samples.spawnerEvents { #expect(try SpawnerEvent(decoding: message.encoded()) == message) }
        for message in Samples.initCommands { #expect(try InitCommand(decoding: message.encoded()) == message) }
        for message in Samples.initEvents { #expect(try InitEvent(decoding: message.encoded()) == message) }
    }

    @Test("a message cut anywhere, or with something after its end, is refused")
    func cut() throws {
        for message in Samples.initCommands.map({ $0.encoded() }) {
            for end in 0..<message.count { #expect(throws: MalformedMessage.self) { try InitCommand(decoding: Array(message[..<end])) } }
            #expect(throws: MalformedMessage.self) { try InitCommand(decoding: message + [0]) }
        }
        for message in Samples.initEvents.map({ $0.encoded() }) {
            for end in 0..<message.count { #expect(throws: MalformedMessage.self) { try InitEvent(decoding: Array(message[..<end])) } }
        }
        let make = Samples.make.encoded()
        for end in 0..<make.count { #expect(throws: MalformedMessage.self) { try SpawnerCommand(decoding: Array(make[..<end])) } }
    }

    @Test("a count larger than the message is refused before anything is made of it")
    func counts() {
        var w = MessageWriter()
        w.put(MessageKind.output.rawValue)
        w.put("stdout")
        w.put(UInt32.max)
        #expect(throws: MalformedMessage.self) { try InitEvent(decoding: w.bytes) }
        var r = MessageReader([0xff, 0xff, 0xff, 0xff])
        #expect(throws: MalformedMessage.self) { try r.list { (r) throws(MalformedMessage) in try r.integer(UInt64.self) } }
    }

    @Test("changed at random, a message is read as some other or refused, and never more")
    func mutations() {
        var random = SeededRandom(41)
        let samples = Samples.spawnerCommands.map { $0.encoded() } + Samples.spawnerEvents.map { $0.encoded() } + Samples.initCommands.map { $0.encoded() }
            + Samples.initEvents.map { $0.encoded() }
        var read = 0, refused = 0
        func attempt(_ body: () throws -> Void) { do { try body(); read += 1 } catch { refused += 1 } }
        for _ in 0..<4_000 {
            var bytes = samples.randomElement(using: &random)!
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
                case 1 where bytes.count > 1: bytes.remove(at: Int.random(in: 0..<bytes.count, using: &random))
                case 2: bytes.insert([0, 1, 0x7f, 0x80, 0xff].randomElement(using: &random)!, at: Int.random(in: 0...bytes.count, using: &random))
                default:
                    let other = samples.randomElement(using: &random)!
                    bytes = Array(bytes.prefix(Int.random(in: 1...bytes.count, using: &random))) + other.suffix(Int.random(in: 0...other.count, using: &random))
                }
            }
            attempt { _ = try SpawnerCommand(decoding: bytes) }
            attempt { _ = try SpawnerEvent(decoding: bytes) }
            attempt { _ = try InitCommand(decoding: bytes) }
            attempt { _ = try InitEvent(decoding: bytes) }
        }
        #expect(read > 100 && refused > 1000)
    }

    @Test("pure chance is refused or read, and never more")
    func chance() {
        var random = SeededRandom(42)
        var refused = 0
        for _ in 0..<4_000 {
            let bytes = (0..<Int.random(in: 0...300, using: &random)).map { _ in UInt8.random(in: 0...12, using: &random) }
            do { _ = try InitEvent(decoding: bytes) } catch { refused += 1 }
            do { _ = try InitCommand(decoding: bytes) } catch { refused += 1 }
        }
        #expect(refused > 4_000)
    }
}
