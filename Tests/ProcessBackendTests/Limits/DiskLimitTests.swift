// One bounded file system holds all that a sandbox can write: the writable layer, /tmp, /workspace and /dev/shm.

import SandboxCore
import Testing

@Suite("Disk and file limits")
struct DiskLimitTests {
    private let small: (inout LaunchPlan) -> Void = { $0.limits.diskBytes = 8 << 20; $0.limits.diskInodes = 200 }

    @Test("bytes, wherever they are written", arguments: ["/tmp", "/workspace", "/dev/shm"])
    func bytes(place: String) async throws {
        let report = try await Harness.sh("head -c 20m /dev/zero > \(place)/big", change: small)
        #expect(report.exceeded?.limit == .disk, "\(report.outcome)")
        #expect(report.exceeded?.asked == 8 << 20)
        #expect((7 << 20...8 << 20).contains(report.exceeded?.used ?? 0), "\(report.outcome)")
        #expect((7 << 20...8 << 20).contains(report.usage.diskBytes ?? 0))
    }

    @Test("bytes in several places together")
    func together() async throws {
        let report = try await Harness.sh("for d in /tmp /workspace /dev/shm; do head -c 3m /dev/zero > $d/some || exit 1; done", change: small)
        #expect(report.exceeded?.limit == .disk, "\(report.outcome)")
    }

    @Test("a program that catches the error and waits is ended while the disk is full")
    func waiting() async throws {
        let report = try await Harness.sh("head -c 20m /dev/zero > big 2>&1; sleep 100", change: small)
        #expect(report.exceeded?.limit == .disk)
        #expect(report.usage.wallTimeMs < 8_000)
    }

    @Test("files and directories are counted too")
    func inodes() async throws {
        let report = try await Harness.python("""
            import os
            for i in range(1000): os.mkdir(f'd{i}') if i % 2 else open(f'f{i}', 'w').close()
            """, change: small)
        #expect(report.exceeded?.limit == .diskInodes, "\(report.outcome)")
        #expect(report.exceeded?.asked == 200)
        #expect((190...200).contains(report.exceeded?.used ?? 0), "\(report.outcome)")
    }

    @Test("files the request brings along count, and are the request's doing when they do not fit")
    func placed() async throws {
        let report = try await Harness.run(["true"], change: { small(&$0); $0.files = [PlacedFile(path: "big", bytes: [UInt8](repeating: 1, count: 9 << 20))] })
        #expect(report.exceeded?.limit == .disk)
        let many = try await Harness.run(["true"], change: { small(&$0); $0.files = (0..<201).map { PlacedFile(path: "f\($0)", bytes: []) } })
        #expect(many.outcome == .limitExceeded(limit: .diskInodes, asked: 200, used: 200))
    }

    @Test("an earlier step that left more than the next one may have: the verdict says of what")
    func earlierStep() async throws {
        for (leave, expected) in [("head -c 3m /dev/zero > a", LimitName.disk), ("mkdir d; for i in $(seq 150); do : > d/$i; done", .diskInodes)] {
            let second = try await Harness.with(Harness.spec()) { sandbox in
                _ = try await sandbox.run(Harness.plan(["sh", "-c", leave], small), onOutput: nil)
                return try await sandbox.run(Harness.plan(["true"]) { $0.limits.diskBytes = 1 << 20; $0.limits.diskInodes = 100 }, onOutput: nil)
            }
            #expect(second.exceeded?.limit == expected, "\(second.outcome)")
        }
    }

    @Test("use below the limit is reported and is no verdict")
    func below() async throws {
        let report = try await Harness.sh("head -c 3m /dev/zero > a; mkdir d; : > d/e", change: small)
        #expect(report.outcome == .exited(code: 0))
        #expect((3 << 20...4 << 20).contains(report.usage.diskBytes ?? 0), "\(report.usage)")
        #expect(report.usage.diskInodes == 3, "\(report.usage)")
    }

    @Test("a file that reaches the largest size allowed: killed by SIGXFSZ, in a child, or with the signal ignored")
    func fileSize() async throws {
        let programs = [
            ["dd", "if=/dev/zero", "of=big", "bs=1M", "count=20"],
            ["sh", "-c", "dd if=/dev/zero of=/tmp/big bs=1M count=20; exit 4"],
            // Python ignores SIGXFSZ from its start and sees EFBIG.
            ["python3", "-c", "open('big', 'wb', 0).write(bytes(6 << 20))\nopen('big', 'ab', 0).write(b'x')"],
        ]
        for program in programs {
            let report = try await Harness.run(program) { $0.limits.fileSizeBytes = 6 << 20 }
            #expect(report.exceeded?.limit == .fileSize, "\(program): \(report.outcome)")
            #expect(report.exceeded?.asked == 6 << 20)
        }
        let fits = try await Harness.run(["dd", "if=/dev/zero", "of=big", "bs=1M", "count=6"]) { $0.limits.fileSizeBytes = 6 << 20 }
        #expect(fits.outcome == .exited(code: 0))
        // A file that happens to be as large is no reason where the program did well.
        let failed = try await Harness.sh("head -c 1000 /dev/zero > small; exit 3") { $0.limits.fileSizeBytes = 6 << 20 }
        #expect(failed.outcome == .exited(code: 3))
    }

    @Test("what a job's user owns of the image changes for this sandbox alone", .enabled(if: !Harness.isRoot, "for a user without root; another test starts it as one"))
    func ownImage() async throws {
        #expect(try await Harness.sh("echo changed > /etc/canary; rm -f /etc/passwd; cat /etc/canary; echo x > /usr/bin/sh").stdout.text == "changed\n")
        #expect(try await Harness.sh("cat /etc/canary; head -c 5 /etc/passwd").stdout.text == "a file of the image\nroot:")
    }

    @Test("writing to the image is refused and changes nothing", .enabled(if: Harness.isRoot, "this takes root"))
    func image() async throws {
        let script = "for f in /usr/bin/sh /usr/new /etc/canary /bin/new /new; do (echo x > $f) 2>&1 | sed 's/.*: //'; done; cat /etc/canary"
        let seenAsItIs = try await Harness.sh(script)
        #expect(seenAsItIs.stdout.text == String(repeating: "Read-only file system\n", count: 5) + "a file of the image\n")
        let layered = try await Harness.sh(script, spec: Harness.spec { $0.root = Harness.layeredRoot })
        #expect(layered.stdout.text == "Read-only file system\nRead-only file system\nPermission denied\nRead-only file system\nPermission denied\na file of the image\n")
    }
}
