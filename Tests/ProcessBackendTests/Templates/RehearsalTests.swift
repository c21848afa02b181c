// What a template does before its first job so that no fork has to: it rehearses one, so that those that wait have for
// themselves what it wrote, and compiles what many of them will run.

import LinuxSystem
import SandboxCore
import TemplateRuntime
import Testing

@Suite("Rehearsals of templates", .enabled(if: Harness.isRoot, "needs root"), .timeLimit(.minutes(2)))
struct RehearsalTests {
    /// Has so many pages and writes to each, when it is loaded and when it rehearses.
    private static func writing(pages: Int) -> String {
        "import sys\nsys.kept = getattr(sys, 'kept', None) or bytearray(\(pages) * 4096)\nfor i in range(0, len(sys.kept), 4096): sys.kept[i] ^= 1"
    }

    /// Writes to all of them, and says how many the kernel had to copy meanwhile.
    private static let counting = """
        import resource, sys
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for i in range(0, len(sys.kept), 4096): sys.kept[i] ^= 1
        print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
        """

    /// Runs a program in one fork after the other until one says what is wanted: one that had no time to wait has nothing beforehand.
    private func forks(_ warmUp: String, _ program: String, until wanted: (StepReport) -> Bool) async throws -> StepReport {
        try await Templates.with(Templates.python(preload: ["resource"], warmUp: warmUp)) { backend, spec in
            var report = try await Templates.run(["python3", "-c", program], on: backend, spec)
            for _ in 0..<100 where !wanted(report) {
                try await Task.sleep(for: .milliseconds(20))
                report = try await Templates.run(["python3", "-c", program], on: backend, spec)
            }
            #expect(report.forked)
            return report
        }
    }

    @Test("what the rehearsal wrote, a fork that waited need not copy any more")
    func ahead() async throws {
        let report = try await forks(Self.writing(pages: 1024), Self.counting) { (Int($0.stdout.text.dropLast()) ?? .max) < 100 }
        #expect((Int(report.stdout.text.dropLast()) ?? .max) < 100, "\(report.stdout.text) pages of 1024 were copied")
    }

    @Test("the program that jobs look at comes with a fork in huge pages, which nobody can write", .enabled(if: Self.hasHugePages, "needs huge pages"))
    func program() async throws {
        let program = """
            import re
            areas = re.findall("^[0-9a-f]+-[0-9a-f]+ (....).*?^AnonHugePages: +([0-9]+) kB", open("/proc/self/smaps").read(), re.M | re.S)
            print(sum(int(huge) for rights, huge in areas if rights == "r-xp"))
            """
        // Python's own program is several megabytes.
        #expect(try await forks("import re", program) { $0.forked }.stdout.text.dropLast() != "0")
    }

    private static var hasHugePages: Bool {
        guard let setting = try? Files.readFile("/sys/kernel/mm/transparent_hugepage/enabled") else { return false }
        return !setting.contains("[never]")
    }

    @Test("a fork that waits takes 16 MiB for itself at most")
    func bounded() async throws {
        let report = try await forks(Self.writing(pages: 16 << 10), "print(1)") { _ in false }
        #expect(report.stdout.text == "1\n")
        #expect((report.usage.peakMemoryBytes ?? .max) < 24 << 20)
    }

    @Test("a rehearsal that ends early or badly does not keep the template from serving", arguments: [
        "os._exit(3)", "raise SystemExit('no')", "os.kill(os.getpid(), 9)", "sys.stdout.write('x' * 1_000_000)", "os.execv('/bin/true', ['true'])",
    ])
    func spoilt(_ end: String) async throws {
        let warmUp = "import os, sys\nif hasattr(sys, 'rehearses'): \(end)\nsys.rehearses = True"
        #expect(try await forks(warmUp, "print(1)") { $0.forked }.stdout.text == "1\n")
    }

    @Test("neither rehearsals nor forks keep the view of their template's own /proc")
    func descriptors() async throws {
        let report = try await forks("import sys", "import os; print(sorted(os.listdir('/proc/self/fd')))") { $0.forked }
        #expect(report.stdout.text == "['0', '1', '2', '3']\n")
    }

    @Test("a job with less memory than forks have beforehand starts by itself, and is held to its limit")
    func little() async throws {
        try await Templates.with(Templates.python(preload: ["resource"], warmUp: Self.writing(pages: 4096))) { backend, spec in
            for program in ["print(1)", "x = bytearray(64 << 20)"] {
                let report = try await Templates.run(["python3", "-c", program], on: backend, spec) { $0.limits.memoryBytes = 32 << 20 }
                #expect(!report.forked)
                if program == "print(1)" { #expect(report.stdout.text == "1\n") } else { #expect(report.exceeded?.limit == .memory) }
            }
        }
    }

    @Test("a program that the template knows by its bytes runs as it was compiled there, and only it finds the modules that go with it")
    func known() async throws {
        let program = "import helper, sys\ndef main(): print(helper.word, __file__, __name__, sys.argv)\nmain()\n"
        let known = KnownSources(programs: [("known.py", Array(program.utf8))], modules: [("helper.py", Array("word = 'ahead'".utf8))])
        try await Templates.with(Templates.python(known: known)) { backend, spec in
            func run(_ text: String) async throws -> StepReport {
                try await Templates.run(["python3", "job.py", "x"], on: backend, spec) {
                    $0.files = [PlacedFile(path: "/workspace/job.py", bytes: Array(text.utf8))]
                }
            }
            let (same, other) = (try await run(program), try await run(program + "\n"))
            #expect(same.stdout.text == "ahead /workspace/job.py __main__ ['job.py', 'x']\n", "\(same.stderr.text)")
            #expect(other.stderr.text.hasSuffix("ModuleNotFoundError: No module named 'helper'\n"))
        }
    }
}
