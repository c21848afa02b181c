// What a job sees of the machine: nothing but its own.

import Foundation
import LinuxSystem
import SandboxCore
import Testing

@Suite("Namespaces and identity")
struct NamespaceTests {
    private static let kinds = ["user", "pid", "mnt", "ipc", "uts", "net", "cgroup"]

    private func namespaces() async throws -> [String] {
        let report = try await Harness.sh("for n in \(Self.kinds.joined(separator: " ")); do readlink /proc/self/ns/$n; done")
        return report.stdout.text.split(separator: "\n").map(String.init)
    }

    @Test("each sandbox has all seven namespaces to itself")
    func ownNamespaces() async throws {
        let host = try Self.kinds.map { try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/\($0)") }
        try await Harness.with { keeper in
            let first = try await keeper.run(Harness.plan(["sh", "-c", "for n in \(Self.kinds.joined(separator: " ")); do readlink /proc/self/ns/$n; done"]), onOutput: nil)
            let one = first.stdout.text.split(separator: "\n").map(String.init)
            let two = try await namespaces()
            #expect(one.count == 7 && two.count == 7)
            for i in 0..<7 {
                #expect(one[i] != host[i] && two[i] != host[i], "\(host[i])")
                // A cgroup namespace goes with its step, so its number can be given out again.
                if Self.kinds[i] != "cgroup" { #expect(one[i] != two[i], "\(one[i])") }
            }
        }
    }

    @Test("ids are the sandbox's own on the host", .enabled(if: Harness.isRoot, "this takes root"))
    func ranges() async throws {
        try await Harness.with { one in
            try await Harness.with { two in
                var bases: [Int] = []
                for sandbox in [one, two] {
                    let report = try await sandbox.run(Harness.plan(["sh", "-c", "cat /proc/self/uid_map /proc/self/gid_map; id -u; id -g"]), onOutput: nil)
                    let numbers = report.stdout.text.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
                    try #require(numbers.count == 8, "\(report.stdout.text)")
                    #expect(numbers[0] == 0 && numbers[2] == 65536 && numbers[3] == 0 && numbers[5] == 65536)
                    #expect(numbers[1] == numbers[4] && numbers[1] >= 0x4000_0000)
                    #expect(numbers[6] == 1000 && numbers[7] == 1000)
                    // Not a multiple of 65,536: the kernel would find all of them in one chain.
                    #expect((numbers[1] - 0x4000_0000) % 65_537 == 0)
                    bases.append(numbers[1])
                }
                #expect(abs(bases[0] - bases[1]) >= 65536)
            }
        }
    }

    @Test("no capability is left, none can come back, and there is no one to become")
    func capabilities() async throws {
        let report = try await Harness.run(["sed", "-n", "/^Cap/p;/^NoNewPrivs/p;/^Seccomp:/p;/^Groups/p", "/proc/self/status"])
        let none = "\t0000000000000000\n"
        let groups = Harness.isRoot ? "Groups:\t \n" : report.stdout.text.split(separator: "\n").first { $0.hasPrefix("Groups") }.map { $0 + "\n" } ?? ""
        #expect(report.stdout.text == groups + ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map { "\($0):\(none)" }.joined() + "NoNewPrivs:\t1\nSeccomp:\t2\n")
    }

    @Test("only the three streams are open, in the job and in what it executes")
    func descriptors() async throws {
        let report = try await Harness.run(["sh", "-c", "ls /proc/self/fd; exec ls /proc/self/fd"])
        // The fourth is ls's own, of the directory.
        #expect(report.stdout.text == "0\n1\n2\n3\n0\n1\n2\n3\n")
    }

    @Test("the host's name is not its name, and its cgroup is the root of all it knows")
    func names() async throws {
        let report = try await Harness.run(["sh", "-c", "uname -n; cut -d: -f3 /proc/self/cgroup | sort -u"], spec: Harness.spec { $0.hostname = "farm-1" })
        if Harness.hasCgroups { #expect(report.stdout.text == "farm-1\n/\n") } else { #expect(report.stdout.text.hasPrefix("farm-1\n")) }
    }

    @Test("no path of the host is told by the mount table but where a bind shows its own")
    func mounts() async throws {
        let report = try await Harness.run(["cat", "/proc/self/mountinfo"])
        let text = report.stdout.text
        #expect(text.contains(" / / ") && text.contains("overlay"))
        for secret in [Harness.scratch, Harness.warden, "lowerdir=/tmp", "warden", NSTemporaryDirectory() + "paddock"] {
            #expect(!text.contains(secret), "\(secret) in\n\(text)")
        }
        #expect(!text.contains("sysfs") && !text.contains("cgroup"))
        for line in text.split(separator: "\n") where line.contains(" /usr ") || line.contains("/dev rw") { #expect(line.contains(" ro,"), "\(line)") }
    }

    @Test("processes of the host and of other sandboxes are not there, and the init cannot be looked into")
    func processes() async throws {
        try await Harness.with { other in
            let gate = try Files.pipe()
            async let busy = other.run(Harness.plan(["cat"]) { $0.stdin = .descriptor(gate.read) }, onOutput: nil)
            let report = try await Harness.sh("ls /proc | grep '^[0-9]' | wc -l; cat /proc/1/status /proc/1/cmdline /proc/1/cgroup 2>&1 | grep -c 'not permitted\\|denied'")
            let numbers = report.stdout.text.split(separator: "\n").compactMap { Int($0) }
            try #require(numbers.count == 2)
            #expect(numbers[0] <= 5)
            #expect(numbers[1] == 3)
            Files.close(gate.write)
            #expect(try await busy.outcome == .exited(code: 0))
            Files.close(gate.read)
        }
    }

    @Test("of proc mode pids nothing but processes is there")
    func pidsOnly() async throws {
        let report = try await Harness.sh("ls /proc | grep -v '^[0-9]' | tr '\\n' ' '", spec: Harness.spec { $0.proc = .pids })
        #expect(report.stdout.text == "self thread-self ")
    }

    @Test("network mode none has an interface that is down, loopback one that works")
    func network() async throws {
        let script = """
            import socket
            s = socket.socket()
            try: s.bind(('127.0.0.1', 0)); s.listen(); c = socket.create_connection(s.getsockname(), 3); print('up')
            except OSError as e: print(e.errno)
            """
        #expect(try await Harness.python(script, spec: Harness.spec { $0.network = .loopback }).stdout.text == "up\n")
        // ENETUNREACH: there is no route, not even to itself.
        #expect(try await Harness.python(script, spec: Harness.spec { $0.network = .none }).stdout.text == "101\n")
    }

    @Test("a root file system whose mount points are links is refused: they would be followed on the host")
    func hostileImage() async throws {
        let fm = FileManager.default
        let layer = Harness.scratch + "/hostile-image"
        for name in ["usr", "proc", "tmp", "workspace"] { try fm.createDirectory(atPath: "\(layer)/\(name)", withIntermediateDirectories: true) }
        try? fm.createSymbolicLink(atPath: layer + "/dev", withDestinationPath: Harness.scratch)
        await #expect(throws: FarmError.self) {
            _ = try await Harness.run(["true"], spec: Harness.spec { $0.root = RootFilesystem(layers: [layer], binds: Harness.root.binds) })
        }
        await #expect(throws: FarmError.self) {
            _ = try await Harness.run(["true"], spec: Harness.spec { $0.root = RootFilesystem(layers: ["/no/such/layer"]) })
        }
    }

    @Test("layers with any path and many of them make one root")
    func layers() async throws {
        let fm = FileManager.default
        let layers = (0..<60).map { "\(Harness.scratch)/layers/odd: name,\\\\ lowerdir=\($0)" }
        for (i, layer) in layers.enumerated() {
            try fm.createDirectory(atPath: layer + "/stack", withIntermediateDirectories: true)
            try "\(i)".write(toFile: "\(layer)/stack/f\(i)", atomically: true, encoding: .utf8)
            try "\(i)".write(toFile: "\(layer)/stack/top", atomically: true, encoding: .utf8)
        }
        let report = try await Harness.sh("ls /stack | wc -l; cat /stack/top", spec: Harness.spec { $0.root.layers = layers + Harness.root.layers })
        #expect(report.stdout.text == "61\n0", "\(report.stderr.text)")
    }
}
