// The kernel's own opinion: a child process loads the compiled filters and makes the calls.

import Foundation
import SandboxCore
import Testing

@testable import Policy

private let python = ["/usr/bin/python3", "/usr/local/bin/python3"].first { FileManager.default.isExecutableFile(atPath: $0) }

@Suite("The kernel takes the compiled filters and decides as the interpreter does", .enabled(if: python != nil, "needs python3"))
struct KernelTests {
    /// Loads the filter of argv[1], then makes the calls of argv[2...] (`number:argument:…`) and prints each errno.
    /// Without a listener the kernel answers ENOSYS where it would notify.
    private static let script = """
        import ctypes, struct, sys
        libc = ctypes.CDLL(None, use_errno=True)
        code = open(sys.argv[1], 'rb').read()
        memory = ctypes.create_string_buffer(code)
        program = struct.pack('HxxxxxxQ', len(code) // 8, ctypes.addressof(memory))
        assert libc.prctl(38, 1, 0, 0, 0) == 0
        if libc.prctl(22, 2, program, 0, 0) != 0: sys.exit('errno %d' % ctypes.get_errno())
        for call in sys.argv[2:]:
            numbers = [ctypes.c_long(int(n) - (1 << 64) if int(n) >= 1 << 63 else int(n)) for n in call.split(':')]
            ctypes.set_errno(0)
            libc.syscall(*numbers)
            print(ctypes.get_errno(), flush=True)
        """

    /// A call that fails by itself with an errno that no filter here gives, so that it shows who answered.
    private static let calls: [(name: String, arguments: [UInt64], allowed: Int32)] = [
        ("close", [9999], 9), ("clone", [0x1000_0011], 22), ("clone", [0x800], 22), ("clone3", [0, 0], 22), ("socket", [1, 1, 77], 93),
        ("socket", [2, 3, 0], 1), ("socket", [17, 3, 0], 97), ("ioctl", [9999, 0x5401], 9), ("ioctl", [9999, 0x5412], 9),
        ("ioctl", [9999, 0x1_0000_5412], 9), ("prlimit64", [0, 99], 22), ("prlimit64", [1, 99], 22), ("mount", [0, 0, 0, 0, 0], 14),
        ("unshare", [0x8000_0000_0000], 22), ("setns", [9999, 0], 9), ("bpf", [9999, 0, 0], 22), ("ptrace", [9999, 9999], 3),
        ("io_uring_setup", [0, 0], 14), ("keyctl", [9999], 95), ("personality", [8], 0), ("getpid", [], 0), ("fchmodat2", [9999, 0, 0, 1 << 30], 22),
    ]

    @Test("For calls on both sides of the line", arguments: ["strict", "default"])
    func agree(name: String) throws {
        let policy = try PolicyStore.load(directory: policiesDirectory).policy(named: name)
        let filter = try Filter(policy)
        var arguments: [String] = []
        var expected: [String] = []
        for call in Self.calls {
            let number = try #require(syscallNumber(name: call.name))
            arguments.append(([UInt64(number)] + call.arguments).map { "\($0)" }.joined(separator: ":"))
            switch filter.ask(UInt32(number), call.arguments) {
            case "allow": expected.append("\(call.name) \(call.allowed)")
            case "errno EAFNOSUPPORT": expected.append("\(call.name) 97")
            case "notify", "errno ENOSYS": expected.append("\(call.name) 38")
            case let other: Issue.record("\(call.name): \(other)")
            }
        }
        arguments.append("1000")
        expected.append("1000 38")
        let result = try run(policy, arguments)
        #expect(result.status == 0)
        let answers = result.output.split(separator: "\n").map(String.init)
        #expect(zip(Self.calls.map(\.name) + ["1000"], answers).map { "\($0) \($1)" } == expected)
    }

    #if arch(x86_64)
    @Test("An x32 call ends the process with SIGSYS")
    func x32() throws {
        let policy = try PolicyStore.load(directory: policiesDirectory).policy(named: "default")
        let result = try run(policy, ["\(0x4000_0000 + 39)"])
        #expect(result.status == SIGSYS)
        #expect(result.reason == .uncaughtSignal)
    }
    #endif

    private func run(_ policy: Policy, _ arguments: [String]) throws -> (status: Int32, reason: Process.TerminationReason, output: String) {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("filter-\(UUID().uuidString)")
        try Data(try policy.compile().bpf).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try #require(python))
        process.arguments = ["-c", Self.script, file.path] + arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, process.terminationReason, String(decoding: output, as: UTF8.self))
    }
}
