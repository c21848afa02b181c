// `paddock run`: one job, its output, its end in one line, its exit code.

import Foundation
import Testing

@Suite("paddock run") struct RunTests {
    let place: Place
    init() throws { place = try Place() }

    @Test("passes a program's output on and says nothing of its own")
    func output() async throws {
        let said = try await place.run("run", "--", "sh", "-c", "echo out; echo err >&2")
        #expect(said.code == 0)
        #expect(said.out == "out\n")
        #expect(said.error == "err\n")
    }

    @Test("gives exit code 1 for whatever the program's own was, and says which")
    func failure() async throws {
        let said = try await place.run("run", "--", "sh", "-c", "exit 42")
        #expect(said.code == 1)
        #expect(said.error == "paddock: exit code 42\n")
    }

    @Test("names the signal that ended a program")
    func signal() async throws {
        let said = try await place.run("run", "--", "sh", "-c", "kill -SEGV $$")
        #expect(said.code == 1)
        #expect(said.error.contains("paddock: ended by SIGSEGV (segmentation fault)"))
    }

    @Test("says which limit ended a program, and what was asked", arguments: [
        ("wall_time=200ms", "sleep 20", "limit exceeded: wall_time (asked 200 ms"),
        ("memory=64m", "tail /dev/zero", "limit exceeded: memory (asked 64 MiB"),
        ("output=1k", "head -c 100000 /dev/zero", "limit exceeded: output (asked 1 KiB"),
    ])
    func limit(_ limit: String, _ script: String, _ expected: String) async throws {
        let said = try await place.run("run", "--limit", limit, "--", "sh", "-c", script)
        #expect(said.code == 1)
        #expect(said.error.contains(expected))
    }

    @Test("names what the policy blocked")
    func denied() async throws {
        let said = try await place.run("run", "--", "mount", "-t", "tmpfs", "none", "/mnt")
        #expect(said.code == 1)
        #expect(said.error.contains("paddock: blocked syscalls: mount"))
    }

    @Test("hands its own standard input to the program, or a file")
    func input() async throws {
        #expect(try await place.run("run", "--", "cat", input: "hello\n").out == "hello\n")
        try place.write("in.txt", "from a file\n")
        #expect(try await place.run("run", "--stdin", "in.txt", "--", "cat").out == "from a file\n")
        #expect(try await place.run("run", "--", "cat").out == "")
    }

    @Test("gives a program a pipe and never this machine's own file or directory")
    func inputKind() async throws {
        let said = try await place.run("run", "--", "sh", "-c", "test -p /dev/stdin && echo pipe", input: "x")
        #expect(said.out == "pipe\n")
        let running = try place.start(["run", "--", "true"], input: try #require(FileHandle(forReadingAtPath: "/")))
        let refused = await running.end()
        #expect(refused.code == 2)
        #expect(refused.error.contains("standard input is a directory"))
    }

    @Test("runs a source file by its ending, with its arguments")
    func source() async throws {
        try place.write("hello.sh", "echo \"$1 $2\"")
        let said = try await place.run("run", "hello.sh", "--first", "second")
        #expect(said.code == 0)
        #expect(said.out == "--first second\n")
        try place.write("script", "echo named")
        #expect(try await place.run("run", "--language", "bash", "script").out == "named\n")
    }

    @Test("shows what the compiler said when it failed", .enabled(if: FileManager.default.fileExists(atPath: "/usr/bin/gcc")))
    func compile() async throws {
        try place.write("bad.c", "int main() { return nowhere; }")
        let said = try await place.run("run", "bad.c")
        #expect(said.code == 1)
        #expect(said.error.contains("nowhere"))
        #expect(said.error.contains("paddock: compile failed: exit code 1"))
    }

    @Test("prints the result as on the wire with --json")
    func json() async throws {
        let said = try await place.run("run", "--json", "--", "sh", "-c", "echo out; exit 3")
        #expect(said.code == 1)
        #expect(said.object["outcome"] as? String == "exited")
        #expect(said.object["exit_code"] as? Int == 3)
        #expect((said.object["stdout"] as? [String: Any])?["text"] as? String == "out\n")
        #expect((said.object["usage"] as? [String: Any])?["wall_time_ms"] != nil)
    }

    @Test("says where the time went with --trace")
    func trace() async throws {
        let said = try await place.run("run", "--trace", "--", "true")
        #expect(said.code == 0)
        for stage in ["start", "queued", "setup", "run", "teardown"] { #expect(said.error.contains("\n  \(stage)")) }
    }

    @Test("prints the whole plan with --dry-run and runs nothing")
    func plan() async throws {
        try place.write("a.txt", "12345")
        let said = try await place.run(
            "run", "--dry-run", "--json", "--limit", "memory=100m", "--env", "A=b", "--file", "a.txt:in/b.txt", "--collect", "out/*", "--", "sh", "-c",
            "echo never")
        #expect(said.code == 0)
        let step = try #require((said.object["steps"] as? [[String: Any]])?.first)
        #expect(step["argv"] as? [String] == ["sh", "-c", "echo never"])
        #expect((step["env"] as? [String])?.contains("A=b") == true)
        #expect((step["limits"] as? [String: Int])?["memory_bytes"] == 100 << 20)
        #expect((step["files"] as? [[String: Any]])?.first?["path"] as? String == "in/b.txt")
        #expect(said.object["policy"] as? String == "default")
        #expect((said.object["layers"] as? [String])?.isEmpty == false)
        let text = try await place.run("run", "--dry-run", "--", "sh", "-c", "echo never")
        #expect(text.out.contains("argv       sh -c 'echo never'"))
        #expect(!text.out.contains("\nnever"))
    }

    @Test("places files and directories, and brings files back")
    func files() async throws {
        try place.write("data/one.txt", "1")
        try place.write("data/deep/two.txt", "2")
        let said = try await place.run(
            "run", "--file", "data:in", "--collect", "out/**", "--output-dir", "results", "--", "sh", "-c",
            "mkdir -p out/deep; cat in/one.txt in/deep/two.txt > out/deep/sum; chmod 755 out/deep/sum")
        #expect(said.code == 0)
        #expect(place.read("results/out/deep/sum") == "12")
        #expect(!FileManager.default.isExecutableFile(atPath: "\(place.work)/results/out/deep/sum"))
    }

    @Test("does not write through a link that lies in the output directory")
    func link() async throws {
        let victim = try place.write("victim", "untouched")
        try place.write("results/x", "")
        try FileManager.default.createSymbolicLink(atPath: "\(place.work)/results/file", withDestinationPath: victim)
        try FileManager.default.createSymbolicLink(atPath: "\(place.work)/results/dir", withDestinationPath: place.work)
        #expect(try await place.run("run", "--collect", "file", "--output-dir", "results", "--", "sh", "-c", "echo new > file").code == 0)
        #expect(place.read("victim") == "untouched")
        #expect(place.read("results/file") == "new\n")
        let refused = try await place.run("run", "--collect", "dir/*", "--output-dir", "results", "--", "sh", "-c", "mkdir dir; echo new > dir/victim")
        #expect(refused.code == 3)
        #expect(place.read("victim") == "untouched")
    }

    @Test("^C ends the job and everything in its sandbox", arguments: [SIGINT, SIGTERM])
    func interrupt(_ number: Int32) async throws {
        let marker = "1234.\(UInt32.random(in: .min ... .max))"
        let running = try place.start(["run", "--", "sh", "-c", "sleep \(marker) & echo up; wait"])
        #expect(await running.says("up"))
        #expect(lives(marker))
        running.send(number)
        let said = await running.end()
        #expect(said.code == 1)
        #expect(said.error == "paddock: cancelled by you\n")
        #expect(!lives(marker))
    }

    /// What a shell script says that runs the command as `$P`.
    private func shell(_ script: String) throws -> String {
        let shell = Process()
        shell.executableURL = URL(fileURLWithPath: "/bin/bash")
        shell.arguments = ["-c", script]
        shell.currentDirectoryURL = URL(fileURLWithPath: place.work)
        let out = Pipe()
        (shell.standardOutput, shell.standardError) = (out, FileHandle.nullDevice)
        shell.environment = ["P": Running.executable, "PATH": "/usr/bin:/bin", "PADDOCK_HOME": "\(place.path)/home", "PADDOCK_RUN": "\(place.path)/run"]
            .merging(Running.share) { a, _ in a }
        try shell.run()
        return String(decoding: out.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    }

    /// The exit code of a command that gets a signal while it waits for the reader of its standard output, which never reads.
    /// (A shell's job in the background ignores SIGINT, so that it is told otherwise.)
    private func exitCode(of command: String, interruptedBy signal: String) throws -> String {
        try shell("""
            mkfifo pipe; python3 -c "
            import fcntl, os, struct, termios, time
            pipe = os.open('pipe', os.O_RDONLY)
            while struct.unpack('i', fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0] < 60000: time.sleep(0.05)
            open('full', 'w').close()
            time.sleep(100)" & reader=$!
            \(command) > pipe & c=$!
            until [ -e full ]; do sleep 0.1; done; sleep 0.3; kill -\(signal) $c
            for i in $(seq 100); do kill -0 $c 2>/dev/null || break; sleep 0.1; done
            kill -KILL $c 2>/dev/null; wait $c; echo $?; kill -KILL $reader
            """)
    }

    @Test("^C ends the command while it waits for a reader, when the job is over", .timeLimit(.minutes(2)), arguments: ["TERM", "HUP"])
    func interruptedAfterwards(_ signal: String) throws {
        let command = "$P run --json -- sh -c 'head -c 3000000 /dev/zero | tr \"\\0\" x'"
        #expect(try exitCode(of: command, interruptedBy: signal) == "130\n")
    }

    @Test("^C that cuts the output of a job which ends by itself is a failure", .timeLimit(.minutes(2)))
    func interruptedOutput() throws {
        #expect(try exitCode(of: "$P run -- head -c 200000 /dev/zero", interruptedBy: "TERM") == "1\n")
    }

    @Test("a signal that whoever starts the command has it ignore stays ignored")
    func ignoredSignal() throws {
        #expect(try shell("trap '' HUP; $P run -- sh -c 'echo up; sleep 2; echo done' & c=$!; sleep 1; kill -HUP $c; wait $c; echo $?") == "up\ndone\n0\n")
    }

    @Test("tests of a directory that was removed are an error")
    func removedDirectory() throws {
        #expect(try shell("mkdir gone; cd gone; rmdir ../gone; $P run --tests .; echo $?") == "2\n")
    }

    @Test("output that cannot be written is an error, whatever became of the job, and says why", arguments: [
        "-- echo a", "-- sh -c 'echo a; sleep 20'", "--json -- echo a", "--tests nothing --json -- -q",
    ])
    func fullDisk(words: String) throws {
        let said = try shell("mkdir -p nothing; for i in 1 2 3; do $P run \(words) > /dev/full; echo $?; done 2>&1")
        let lines = said.split(separator: "\n")
        #expect(lines.filter { $0 == "1" }.count == 3 && lines.filter { $0.contains("No space left on device") || $0.contains("no space left on device") }.count == 3, "\(said)")
        // What it had on the host is gone, too.
        #expect(try shell("$P run \(words) > /dev/full 2>/dev/null & p=$!; wait $p; find /sys/fs/cgroup -name \"paddock-*-$p-*\" | wc -l") == "0\n")
    }

    @Test("a program's thousands of arguments cost no more with an option before them than without")
    func manyArguments() throws {
        // The parser would take half a minute for so many.
        #expect(try shell("$P run --policy strict -- /bin/echo $(seq 30000) | wc -w") == "30000\n")
    }

    @Test("ends the job when nobody reads its output any more")
    func readerGone() async throws {
        let pipeline = Process()
        pipeline.executableURL = URL(fileURLWithPath: "/bin/sh")
        pipeline.arguments = ["-c", "\"\(Running.executable)\" run --limit output=200m -- yes | head -n 1"]
        let out = Pipe()
        pipeline.standardOutput = out
        pipeline.standardError = FileHandle.nullDevice
        pipeline.environment = ["PATH": "/usr/bin:/bin", "PADDOCK_HOME": "\(place.path)/home", "PADDOCK_RUN": "\(place.path)/run"]
            .merging(Running.share) { a, _ in a }
        try pipeline.run()
        #expect(String(decoding: out.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self) == "y\n")
        pipeline.waitUntilExit()
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(place.path)/run").filter { $0.hasPrefix("local-") }.isEmpty)
    }

    @Test("names the option at fault, what was found and what was expected", arguments: [
        (["--limit", "memry=1m", "--", "true"], "--limit: found 'memry'", "did you mean 'memory'?"),
        (["--limit", "memory=much", "--", "true"], "--limit memory: found 'much', expected a size", "--limit memory=256m"),
        (["--limit", "memory=1", "--", "true"], "--limit memory: found 1 B, expected 1 MiB to", ""),
        (["--limit", "memory=64t", "--", "true"], "--limit memory: found 64 TiB, expected 1 MiB to 16 TiB", ""),
        (["--limit", "memory=1t", "--", "true"], "--limit memory: asked for 1 TiB, policy 'default' allows 16 GiB", ""),
        (["--limit", "cpu_time=2000h", "--", "true"], "--limit cpu_time: found 83 d 8 h, expected 1 ms to 1 d", ""),
        (["."], ".: found a directory, expected a source file", "paddock run --tests ."),
        (["--polcy", "x", "--", "true"], "unknown option '--polcy'", "did you mean '--policy'?"),
        (["--policy", "defualt", "--", "true"], "--policy: found", "policy"),
        (["--image", "nosuch", "--", "true"], "--image: unknown image 'nosuch'", "paddock image"),
        (["--image"], "Missing value for '--image", "paddock run --help"),
        (["--env", "=x", "--", "true"], "--env: found '=x'", ""),
        (["--env", "NOT_SET_ANYWHERE", "--", "true"], "--env: NOT_SET_ANYWHERE has no value here", ""),
        (["--file", "nosuch", "--", "true"], "--file: nosuch: No such file", ""),
        (["--file", "/etc/hostname:../x", "--", "true"], "--file: found the place '../x'", ""),
        (["--stdin", "nosuch", "--", "true"], "--stdin: nosuch: No such file", ""),
        (["--collect", "x", "--", "true"], "--collect: expected --output-dir", ""),
        (["--framework", "pytest", "--", "true"], "--framework: expected --tests", ""),
        (["--tests", "nosuch"], "--tests: nosuch: no such file", ""),
        (["--tests", ".", "--framework", "pytst"], "--framework: found 'pytst', expected one of pytest", "did you mean 'pytest'?"),
        (["--language", "pyton", "x"], "--language: found 'pyton'", "did you mean 'python'?"),
        (["nosuch.py"], "nosuch.py: no such file", "put -- before it"),
        ([], "nothing to run", "paddock run -- echo hello"),
    ] as [([String], String, String)])
    func wrong(_ arguments: [String], _ message: String, _ hint: String) async throws {
        let said = try await place.start(["run"] + arguments).end()
        #expect(said.code == 2)
        #expect(said.out.isEmpty)
        #expect(said.error.hasPrefix("error: "))
        #expect(said.error.contains(message), "\(said.error)")
        if !hint.isEmpty { #expect(said.error.contains("Hint: ") && said.error.contains(hint), "\(said.error)") }
    }

    @Test("fails as Paddock, not as the program, when there is no warden")
    func noWarden() async throws {
        let said = try await place.run("run", "--", "true", environment: ["PADDOCK_WARDEN": "/nowhere/paddock-warden"])
        #expect(said.code == 3)
        #expect(said.error.contains("/nowhere/paddock-warden"))
    }

    @Test("a place that sandboxes cannot get to is told before a job is, by whoever would use it", .enabled(if: geteuid() == 0), arguments: [
        (["run", "--", "true"], "PADDOCK_HOME", 3), (["run", "--", "true"], "PADDOCK_RUN", 3), (["serve"], "PADDOCK_HOME", 3),
        (["serve"], "PADDOCK_RUN", 3), (["doctor"], "PADDOCK_HOME", 1), (["doctor"], "PADDOCK_RUN", 1),
    ] as [([String], String, Int32)])
    func closedPlace(_ arguments: [String], _ variable: String, _ code: Int32) async throws {
        let closed = "\(place.path)/closed"
        try FileManager.default.createDirectory(atPath: closed, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let said = try await place.start(arguments, environment: [variable: "\(closed)/inner"]).end()
        #expect(said.code == code)
        let told = said.error + said.out.replacing(#/\s+/#, with: " ")
        #expect(told.contains("found \(closed) with mode 0700 (root's), expected"), "\(told)")
        #expect(told.contains("chmod o+x \(closed)") && told.contains(variable), "\(told)")
        chmod(closed, 0o701)
        if arguments[0] == "run" { #expect(try await place.start(arguments, environment: [variable: "\(closed)/inner"]).end().code == 0) }
    }
}
