// Images that sandboxes see as they are, and those with a writable layer over them.

import Foundation
import LinuxSystem
import SandboxCore
import Testing

@Suite("The image's root", .enabled(if: Harness.isRoot, "without root every image has a writable layer"))
struct ImageRootTests {
    /// An image like the others' that says which it is.
    private func image(_ name: String) throws -> RootFilesystem {
        let layer = "\(Harness.scratch)/image-\(name)"
        try? FileManager.default.removeItem(atPath: layer)
        let root = Harness.makeRoot(at: layer)
        try name.write(toFile: layer + "/etc/name", atomically: true, encoding: .utf8)
        return root
    }

    @Test("its writable places are each sandbox's own, count as its disk, and are all it can write to besides the usual")
    func places() async throws {
        let write = """
            for d in /var/tmp /tmp /dev/shm /workspace; do head -c 1M /dev/zero > $d/f && stat -c '%a' $d; done
            find / -xdev -writable -not -type l 2>/dev/null | grep -v '^/proc\\|^/dev' | sort
            """
        let report = try await Harness.sh(write)
        #expect(report.stdout.text == "1777\n1777\n1777\n755\n/tmp\n/var/tmp\n/workspace\n", "\(report.stdout.text)")
        #expect((4 << 20..<5 << 20).contains(report.usage.diskBytes ?? 0), "\(report.usage)")
        let full = try await Harness.sh("head -c 100M /dev/zero > /var/tmp/f")
        #expect(full.exceeded?.limit == .disk, "\(full.outcome)")
        #expect(try await Harness.sh("ls -A /var/tmp /tmp /workspace").stdout.text == "/tmp:\n\n/var/tmp:\n\n/workspace:\n")
    }

    /// Two images, one after the other at the same place: each new sandbox sees the one that is there.
    /// - Parameter make: makes the one of this name, which is what `file` in it says.
    private func expectNew(in file: String, _ make: (String) throws -> RootFilesystem) async throws {
        let backend = try Harness.backend()
        for name in ["first", "second"] {
            let root = try make(name)
            #expect(try await Harness.sh("cat \(file)", spec: Harness.spec { $0.root = root }, on: backend).stdout.text == name)
        }
        await backend.shutdown()
    }

    @Test("one that is removed and made again at the same path is the new one")
    func replaced() async throws {
        try await expectNew(in: "/etc/name") { name in
            let root = try image("replaced")
            try name.write(toFile: root.layers[0] + "/etc/name", atomically: true, encoding: .utf8)
            return root
        }
    }

    @Test("a directory of the host's in it that is replaced by another of the same name is the new one")
    func replacedBind() async throws {
        var root = try image("bound")
        let source = "\(Harness.scratch)/bound"
        root.binds.append(.init(source: source, target: "/opt"))
        try await expectNew(in: "/opt/name") { name in
            try FileManager.default.createDirectory(atPath: "\(source)-\(name)", withIntermediateDirectories: true)
            try name.write(toFile: "\(source)-\(name)/name", atomically: true, encoding: .utf8)
            try? FileManager.default.moveItem(atPath: source, toPath: source + "-old")
            try FileManager.default.moveItem(atPath: "\(source)-\(name)", toPath: source)
            return root
        }
    }

    @Test("one that is gone, and one that lacks a place to mount on, are said to be what is wrong, each time")
    func unusable() async throws {
        let backend = try Harness.backend()
        var gone = try image("gone")
        gone.layers = ["/nowhere/layer"]
        var bare = try image("bare")
        bare.binds.append(.init(source: "/usr", target: "/nowhere"))
        for (root, word) in [(gone, "/nowhere/layer: ENOENT"), (bare, "bindHost /nowhere: EROFS")] {
            for _ in 0..<10 {
                let error = await #expect(throws: FarmError.self) { try await Harness.sh("true", spec: Harness.spec { $0.root = root }, on: backend) }
                #expect(error?.code == .sandboxSetup && error?.message.contains(word) == true, "\(String(describing: error))")
            }
        }
        // The spawner is where it was.
        #expect(try await Harness.sh("cat /etc/canary", on: backend).stdout.text == "a file of the image\n")
        await backend.shutdown()
    }

    @Test("more of them than are kept, in turn, by cells that stay")
    func many() async throws {
        // Kept cells make their root anew from what was mounted when they were born.
        let backend = try Harness.backend(mostSpare: 1)
        let roots = try (0..<11).map { try image("many-\($0)") }
        for round in 0..<2 {
            for (number, root) in roots.enumerated() {
                for _ in 0..<2 {
                    let report = try await Harness.sh(
                        "cat /etc/name; echo x > /tmp/left; ls /tmp", spec: Harness.spec { $0.root = root }, on: backend) { $0.isLast = true }
                    #expect(report.stdout.text == "many-\(number)left\n", "\(round): \(report.stdout.text) \(report.stderr.text)")
                }
            }
        }
        await backend.shutdown()
    }

    @Test("the mount table has neither its path nor anything to write but the sandbox's own")
    func table() async throws {
        let text = try await Harness.run(["cat", "/proc/self/mountinfo"]).stdout.text
        let lines = text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        let root = try #require(lines.first { $0[4] == "/" })
        #expect(root[3] == "/" && root[5].hasPrefix("ro,nosuid,nodev,noatime") && root.contains("overlay") && !text.contains(Harness.scratch))
        // The one /proc that its own lies over shows nobody.
        let procs = lines.filter { $0[4] == "/proc" }
        #expect(procs.count == 2 && procs[0].last?.contains("hidepid=invisible") == true && procs[1].last?.contains("hidepid=noaccess") == true, "\(procs)")
        // Of the tests' own image nothing else may be writable.
        let writable = Set(lines.filter { $0[5].hasPrefix("rw") }.map { $0[4] })
        #expect(writable == ["/var/tmp", "/tmp", "/workspace", "/dev/shm", "/proc"])
    }
}
