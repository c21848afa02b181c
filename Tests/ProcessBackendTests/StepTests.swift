// What a step gives back when nothing is wrong with it.

import LinuxSystem
import SandboxCore
import Synchronization
import Testing

@Suite("A step in a sandbox")
struct StepTests {
    @Test("returns what the program wrote and how it ended")
    func hello() async throws {
        let report = try await Harness.sh("echo out; echo err >&2; exit 3")
        #expect(report.outcome == .exited(code: 3))
        #expect(report.stdout.text == "out\n")
        #expect(report.stderr.text == "err\n")
        #expect(report.usage.wallTimeMs > 0 && report.usage.wallTimeMs < 10_000)
        #expect(report.denied.isEmpty, "\(report.denied)")
    }

    @Test("gets its input, environment, arguments and working directory and nothing else")
    func environment() async throws {
        let report = try await Harness.run(["sh", "-c", "cat; echo \"$0 $1\"; pwd; env | sort", "zero", "one two"]) {
            $0.stdin = .bytes(Array("in\n".utf8))
            $0.environment = ["PATH=/usr/bin", "NAME=value with = and spaces"]
            $0.workingDirectory = "/tmp"
        }
        #expect(report.stdout.text == "in\nzero one two\n/tmp\nNAME=value with = and spaces\nPATH=/usr/bin\nPWD=/tmp\n")
    }

    @Test("starts with the signals a program expects: none ignored, none blocked")
    func signals() async throws {
        let report = try await Harness.run(["sed", "-n", "/^Sig[BIC]/p", "/proc/self/status"])
        #expect(report.stdout.text == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nSigCgt:\t0000000000000000\n")
    }

    @Test("a command that is not there ends as in a shell with 127, one that cannot be run with 126")
    func cannotStart() async throws {
        let missing = try await Harness.run(["no-such-program"])
        #expect(missing.outcome == .exited(code: 127))
        #expect(missing.stderr.text == "paddock: no-such-program: No such file or directory\n")
        #expect(try await Harness.run(["/etc/passwd"]).outcome == .exited(code: 126))
        #expect(try await Harness.run(["/"]).outcome == .exited(code: 126))
        let nowhere = try await Harness.run(["true"]) { $0.workingDirectory = "/nowhere" }
        #expect(nowhere.outcome == .exited(code: 126))
        #expect(nowhere.stderr.text == "paddock: working directory /nowhere: No such file or directory\n")
        #expect(try await Harness.run([String(repeating: "x", count: 5000)]).outcome == .exited(code: 126))
    }

    @Test("a signal is reported as the signal it was")
    func signaled() async throws {
        #expect(try await Harness.sh("kill -SEGV $$").outcome == .signaled(signal: 11))
        #expect(try await Harness.sh("kill -KILL $$").outcome == .signaled(signal: 9))
        #expect(try await Harness.sh("kill -TERM $$").outcome == .signaled(signal: 15))
    }

    @Test("files go in with their modes and come back by name and pattern")
    func files() async throws {
        let report = try await Harness.sh("./run.sh; mkdir -p d/e; echo deep > d/e/f.txt; echo t > /tmp/t.out; ln -s /etc/passwd link.txt") {
            $0.files = [
                PlacedFile(path: "run.sh", bytes: Array("#!/bin/sh\ncat in/data > out.txt\n".utf8), mode: 0o755),
                PlacedFile(path: "in/data", bytes: Array("data".utf8), mode: 0o400),
            ]
            $0.collect = [FileOut(pattern: "**/*.txt"), FileOut(pattern: "/tmp/t.out"), FileOut(pattern: "out.txt", maxBytes: 2), FileOut(pattern: "none")]
        }
        #expect(report.outcome == .exited(code: 0), "\(report.stderr.text)")
        #expect(report.files.map(\.path) == ["d/e/f.txt", "out.txt", "/tmp/t.out", "out.txt"])
        #expect(report.files.map { String(decoding: $0.bytes, as: UTF8.self) } == ["deep\n", "data", "t\n", "da"])
        #expect(report.files.map(\.size) == [5, 4, 2, 4])
    }

    @Test("a stream is told of while the program still runs, whole and in order")
    func streaming() async throws {
        let seen = Mutex<[UInt8]>([])
        let gate = try Files.pipe()
        defer { Files.close(gate.read) }
        let report = try await Harness.with { sandbox in
            try await sandbox.run(Harness.plan(["sh", "-c", "echo first; read line; seq 1 200000"]) {
                $0.stdin = .descriptor(gate.read)
                $0.stream = true
            }) { stream, bytes in
                // The program goes on only when its first line has arrived.
                if seen.withLock({ s in defer { s += bytes }; return s.isEmpty }) {
                    try? Files.writeAll(gate.write, "go\n")
                    Files.close(gate.write)
                }
            }
        }
        #expect(report.outcome == .exited(code: 0))
        let text = "first\n" + (1...200_000).map { "\($0)\n" }.joined()
        #expect(seen.withLock { $0 } == Array(text.utf8))
    }

    @Test("cancelling ends it at once and says by whom")
    func cancel() async throws {
        let report = try await Harness.with { sandbox in
            try await sandbox.run(Harness.plan(["sh", "-c", "echo started; sleep 100"]) { $0.stream = true }) { _, _ in
                sandbox.cancel(by: .deadline)
            }
        }
        #expect(report.outcome == .cancelled(by: .deadline))
        #expect(report.stdout.text == "started\n")
        #expect(report.usage.wallTimeMs < 9_000)
    }

    @Test("steps of one sandbox share its files and nothing that runs")
    func steps() async throws {
        try await Harness.with { sandbox in
            _ = try await sandbox.run(Harness.plan(["sh", "-c", "echo kept > file; sleep 100 & sleep 100 &"]), onOutput: nil)
            let second = try await sandbox.run(Harness.plan(["sh", "-c", "cat file; ls -d /proc/[0-9]* | wc -l"]), onOutput: nil)
            // The shell, ls and wc, and the init that can be seen but not looked at.
            #expect(second.stdout.text.hasPrefix("kept\n"))
            #expect(Int(second.stdout.text.dropFirst(5).dropLast()).map { $0 <= 4 } == true)
        }
    }

    @Test("an outbound sandbox is refused where there is no way out, with what is missing, unless the policy tolerates that")
    func outbound() async throws {
        let backend = try Harness.shared.get()
        #expect(backend.unenforced.contains(.outbound))
        let error = await #expect(throws: FarmError.self) {
            _ = try await backend.makeSandbox(Harness.spec("network") { $0.tolerateMissing = [] })
        }
        #expect(error?.code == .hostLacks && error?.retryable == false)
        #expect(error?.message.contains(Harness.isRoot ? "nft is not installed; apt-get install nftables" : "the daemon is not root; run it as root") == true, "\(String(describing: error))")
        let tolerant = try await Harness.sh("grep -c : /proc/net/dev", spec: Harness.spec("network"))
        #expect(tolerant.stdout.text == "1\n", "the loopback alone")
    }
}
