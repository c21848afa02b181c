// Files in and out: links, `..`, pipes, odd names, things that are not files.

import Foundation
import SandboxCore
import Testing

@Suite("Hostile: files in and out")
struct FileTricks {
    @Test("a path that leaves the workspace is refused and places nothing", arguments: ["../escape", "a/../../escape", "/etc/escape", "/workspace/../escape", "..", ""])
    func placing(path: String) async throws {
        await #expect(throws: FarmError.self) {
            _ = try await Harness.run(["true"]) { $0.files = [PlacedFile(path: path, bytes: [1])] }
        }
    }

    @Test("files placed in a later step do not follow the links an earlier one left")
    func placingThroughLinks() async throws {
        try await Harness.with { sandbox in
            let traps = "ln -s /tmp out; ln -s /etc/canary file; ln -s /proc/self/fd fds; mkfifo pipe; mkdir -p d; ln -s ../.. d/up; ln -s / root"
            #expect(try await sandbox.run(Harness.plan(["sh", "-c", traps]), onOutput: nil).outcome == .exited(code: 0))
            for path in ["out/x", "file", "fds/0", "pipe", "d/up/x", "root/x"] {
                await #expect(throws: FarmError.self, "\(path)") {
                    _ = try await sandbox.run(Harness.plan(["true"]) { $0.files = [PlacedFile(path: path, bytes: [1])] }, onOutput: nil)
                }
            }
            let after = try await sandbox.run(Harness.plan(["sh", "-c", "ls /tmp | wc -l; cat /etc/canary"]), onOutput: nil)
            #expect(after.stdout.text == "0\na file of the image\n")
        }
    }

    @Test("collecting brings back plain files of the workspace and nothing through links, pipes, devices or `..`")
    func collecting() async throws {
        let result = try await Attack.run(["sh", "-c", """
            ln -s /etc/passwd passwd; ln -s /proc/self/environ environ; ln -s /proc/1/mem mem; ln -s /proc/self/fd/0 zero
            mkfifo pipe; ln -s / root; mkdir d; ln -s /etc d/etc; ln -s loop loop; echo fine > fine; ln fine hard; ln -s fine soft
            python3 -c "import socket; socket.socket(socket.AF_UNIX).bind('socket')"
            """]) {
            $0.collect = ["passwd", "environ", "mem", "zero", "pipe", "root/etc/passwd", "d/etc/passwd", "../etc/passwd", "/etc/passwd", "/proc/self/environ",
                          "d/../../etc/passwd", "loop", "socket", "soft", "/dev/zero", "/tmp/../etc/passwd", "fine", "hard", "**", "*/*/*"].map { FileOut(pattern: $0) }
        }
        #expect(Set(result.report.files.map(\.path)) == ["fine", "hard"], "\(result.report.files.map(\.path))")
        #expect(result.report.files.allSatisfy { $0.bytes == Array("fine\n".utf8) })
    }

    @Test("names with newlines, quotes, dashes, controls and half characters harm nobody")
    func oddNames() async throws {
        let result = try await Attack.python("""
            for name in (b'new\\nline', b'-rf', b'\\x01\\x02', b'half\\xc3', b'*', b'a b', b'$(x)', b'x' * 255): open(name, 'w').write('x')
            os.mkdir('sub'); open(b'sub/\\xff\\\\', 'w').write('y')
            os.mkdir(b'\\xfe'); open(b'\\xfe/in', 'w').write('z')
            """) { $0.collect = [FileOut(pattern: "**"), FileOut(pattern: "sub/?\\"), FileOut(pattern: "half*x")] }
        #expect(result.report.outcome == .exited(code: 0))
        #expect(result.report.files.count == 7, "\(result.report.files.map(\.path))")
        // A name that is not UTF-8 cannot be written in an answer, but told.
        #expect(result.report.filesSkipped == ["\\xfe/", "half\\xc3", "sub/\\xff\\\\"] && !result.report.filesTruncated)
    }

    @Test("what cannot be read by the job can be collected by the farm, and what is too large is cut")
    func modes() async throws {
        let result = try await Attack.run(["sh", "-c", "head -c 3000 /dev/zero > big; echo s > s; chmod 0 s big; mkdir closed; echo in > closed/f; chmod 0 closed"]) {
            $0.collect = [FileOut(pattern: "big", maxBytes: 1000), FileOut(pattern: "s"), FileOut(pattern: "closed/f")]
        }
        #expect(result.report.files.map(\.size) == [3000, 2, 3], "\(result.report.files.map(\.path))")
        #expect(result.report.files.first?.bytes.count == 1000)
    }

    @Test("a thousand files are the most that come back, and ten thousand are looked at without delay")
    func many() async throws {
        let result = try await Attack.python("""
            for i in range(3000): open(f'f{i}', 'w').write('x')
            """) { $0.collect = [FileOut(pattern: "*"), FileOut(pattern: "**/f1*")] }
        #expect(result.report.files.count == 1000 && result.report.filesTruncated)
        let all = try await Attack.python("""
            for i in range(1000): open(f'f{i}', 'w').write('x')
            """) { $0.collect = [FileOut(pattern: "*")] }
        #expect(all.report.files.count == 1000 && !all.report.filesTruncated)
    }

    @Test("a hundred thousand entries are the most that all patterns together look through, and a path too long is no file that is not there")
    func entries() async throws {
        let result = try await Attack.python("""
            for i in range(3000): os.mkdir(f'd{i}')
            """) { $0.collect = (0..<33).map { FileOut(pattern: "*\($0)x") } }
        #expect(result.report.files.isEmpty && !result.report.filesTruncated)
        let many = try await Attack.python("""
            for i in range(3000): os.mkdir(f'd{i}')
            """) { $0.collect = (0..<34).map { FileOut(pattern: "*\($0)x") } }
        #expect(many.report.files.isEmpty && many.report.filesTruncated)
        let deep = try await Attack.python("""
            for i in range(20):
                os.mkdir('d' * 250); os.chdir('d' * 250)
            open('f', 'w').write('x')
            """) { $0.collect = [FileOut(pattern: "**/f")] }
        #expect(deep.report.files.isEmpty && deep.report.filesTruncated)
    }

    @Test("128 MiB are the most that come back of all files together; each that was cut says its size")
    func muchTogether() async throws {
        let result = try await Attack.run(["truncate", "-s", "48M", "a", "b", "c", "d"]) {
            $0.limits.fileSizeBytes = 64 << 20
            $0.collect = ["a", "[bc]", "d"].map { FileOut(pattern: $0, maxBytes: 64 << 20) }
        }
        #expect(result.report.files.map(\.path) == ["a", "b", "c", "d"])
        #expect(result.report.files.map { $0.bytes.count >> 20 } == [48, 48, 32, 0])
        #expect(result.report.files.allSatisfy { $0.size == 48 << 20 } && !result.report.filesTruncated)
    }

    @Test("a program that was deleted, a memory file and a script are executed like any other, without more power")
    func execution() async throws {
        let result = try await Attack.python("""
            import shutil
            shutil.copy('/usr/bin/sleep', 'copy'); os.chmod('copy', 0o4755)
            fd = os.open('copy', 0); os.unlink('copy')
            pid = os.fork()
            if pid == 0: os.execve(fd, ['x', '0'], {})
            print('deleted=' + str(os.waitpid(pid, 0)[1]))
            m = os.memfd_create('m'); os.write(m, open('/usr/bin/id', 'rb').read())
            pid = os.fork()
            if pid == 0: os.execve(m, ['id', '-u'], {})
            print('memory=' + str(os.waitpid(pid, 0)[1]), flush=True)
            """)
        #expect(result["deleted"] == "0" && result["memory"] == "0", "\(result.report.stdout.text) \(result.report.stderr.text)")
        #expect(result.report.stdout.text.contains("1000\n"))
    }

    @Test("standard input cannot be grown into a store the disk limit does not know")
    func inputFile() async throws {
        let result = try await Attack.python("""
            attempt('write', os.write, 0, b'x')
            attempt('reopen', lambda: os.write(os.open('/proc/self/fd/0', os.O_RDWR), b'x'))
            attempt('grow', os.ftruncate, 0, 1 << 20)
            """) { $0.stdin = .bytes([1, 2, 3]) }
        for name in ["write", "reopen", "grow"] { #expect(result[name] == "EPERM" || result[name] == "EBADF" || result[name] == "EACCES", "\(name)=\(result[name])") }
    }
}
