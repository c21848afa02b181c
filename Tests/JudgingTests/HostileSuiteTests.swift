// Tested code that wants to be called a pass without passing. Each technique is one suite; none may succeed.

import Foundation
import SandboxCore
import Testing

@testable import Judging

@Suite("tested code that ends, breaks or forges its suite", .serialized)
struct HostileSuiteTests {
    struct Technique: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var files: [String: String]
        /// Part of the reason that the verdict has to give; empty when the suite is complete and simply failed.
        var reason: String

        init(_ name: String, _ reason: String, _ code: String, conftest: String? = nil, after: String = "") {
            testDescription = name
            self.reason = reason
            files = ["test_h.py": "import os, sys, signal\ndef test_first(): pass\n" + code + "\n" + after]
            if let conftest { files["conftest.py"] = conftest }
        }
    }

    static let techniques: [Technique] = [
        Technique("os._exit(0) in a test", "'test_h.py::test_x' was running; the process exited with code 0", "def test_x(): os._exit(0)"),
        Technique("os._exit(0) at import", "did not come to its end", "os._exit(0)"),
        Technique("os._exit(0) in a conftest", "did not come to its end", "", conftest: "import os; os._exit(0)"),
        Technique("sys.exit(0) at import", "", "sys.exit(0)"),
        Technique("sys.exit(0) in a conftest", "", "", conftest: "import sys; sys.exit(0)"),
        Technique("sys.exit(0) in a test", "", "def test_x(): sys.exit(0)"),
        Technique("pytest.exit in a test", "interrupted: bye", "import pytest\ndef test_x(): pytest.exit('bye', returncode=0)"),
        Technique("kill -9 itself", "signal 9", "def test_x(): os.kill(os.getpid(), 9)"),
        Technique("abort", "signal 6", "def test_x(): os.abort()"),
        Technique("a segmentation fault", "signal 11", "import ctypes\ndef test_x(): ctypes.string_at(0)"),
        Technique("infinite recursion", "", "def test_x(): test_x()"),
        Technique("os.exec of true", "was running; the process exited with code 0", "def test_x(): os.execv('/bin/true', ['true'])"),
        Technique("an exit code changed atexit", "but the process exited with code 0", "import atexit\natexit.register(os._exit, 0)\ndef test_x(): assert 0"),
        Technique(
            "an exit code changed by a conftest", "but the process exited with code 0", "def test_x(): assert 0",
            conftest: "def pytest_sessionfinish(session): session.exitstatus = 0"),
        Technique(
            "a conftest that runs nothing", "2 of 2 tests have no result", "def test_x(): assert 0",
            conftest: "def pytest_runtestloop(session): return True"),
        Technique(
            "a forked child that goes on", "", "def test_x():\n    if os.fork() == 0: return\n    os.wait()\n    assert 0"),
        Technique(
            "lines appended to the report", "not written by the harness",
            """
            import glob
            def test_x():
                for path in glob.glob('/tmp/.paddock-*/report'):
                    if os.stat(path).st_uid == os.getuid() and os.path.dirname(path) in open('/proc/self/cmdline').read():
                        lines = open(path).read().splitlines()
                        with open(path, 'a') as file:
                            file.write(lines[-1][:65] + '{"n":%d,"kind":"test","id":"test_h.py::test_x","outcome":"passed","message":""}\\n' % (len(lines) + 1))
                            file.write(lines[-1][:65] + '{"n":%d,"kind":"end","code":0,"reason":""}\\n' % (len(lines) + 2))
                os._exit(0)
            """),
        Technique(
            "a line repeated", "not written by the harness",
            """
            def test_x():
                path = os.path.dirname(open('/proc/self/cmdline').read().split('\\0')[2]) + '/report'
                line = open(path).read().splitlines()[4]
                open(path, 'a').write(line + '\\n')
            """),
        Technique(
            "a line of noise appended", "is not a record",
            "def test_x():\n    path = os.path.dirname(open('/proc/self/cmdline').read().split('\\0')[2]) + '/report'\n    open(path, 'a').write('{}\\n')"),
        Technique(
            "a failure cut out of the report", "the process exited with code 1",
            """
            def test_x(): assert 0
            def test_y():
                path = os.path.dirname(open('/proc/self/cmdline').read().split('\\0')[2]) + '/report'
                lines = open(path).read().splitlines(True)
                open(path, 'w').writelines(lines[:-3] + lines[-1:])
            """),
        Technique(
            "the report removed", "no report",
            "def test_x():\n    path = os.path.dirname(open('/proc/self/cmdline').read().split('\\0')[2]) + '/report'\n    os.unlink(path)"),
        Technique(
            "patched builtins and modules", "",
            """
            def test_x(): assert 0
            import builtins, json, hmac, hashlib, os
            class Lie(str):
                def __new__(cls, *a): return str.__new__(cls, 'passed')
            json.dumps = lambda *a, **k: '{"outcome":"passed"}'
            json.JSONEncoder.encode = lambda self, value: '{"outcome":"passed"}'
            hmac.new = lambda *a, **k: None
            hashlib.sha256 = lambda *a: None
            os.write = lambda fd, data: len(data)
            os.getpid = lambda: 0
            """),
        Technique(
            "every descriptor closed", "", "def test_x():\n    os.closerange(3, 4096)\n    assert 0"),
        Technique("the key looked for", "", """
            def test_x():
                directory = os.path.dirname(open('/proc/self/cmdline').read().split('\\0')[2])
                assert directory.startswith('/tmp/.paddock-')
                assert not os.path.exists(directory + '/key')
                assert not any('paddock' in name.lower() for name in os.environ)
                assert not any('paddock' in argument for argument in sys.argv)
                assert 'paddock_report' not in sys.modules
                assert 'emit' not in vars(sys.modules['__main__'])
                assert 0
            """),
    ]

    @Test("is never a pass, and the reason says what was seen", arguments: techniques)
    func technique(_ technique: Technique) throws {
        let report = try judged(.pytest, technique.files, paths: ["test_h.py"])
        #expect(!report.passed, "\(report)")
        #expect(technique.reason.isEmpty || report.reason.contains(technique.reason), "\(report)")
        if report.completion == .complete { #expect(report.count(.failed) + report.count(.error) > 0) }
    }

    @Test("what was seen before a crash is in the report")
    func seen() throws {
        let report = try judged(.pytest, Self.techniques[0].files)
        #expect(report.outcomes == ["test_h.py::test_first": .passed])
        #expect(report.expected == 2)
        guard case .endedEarly = report.completion else {
            Issue.record("expected endedEarly, found \(report.completion)")
            return
        }
    }

    @Test("a pytest.py, a sitecustomize.py or an encodings package of the suite does not stand in for the real one")
    func impostors() throws {
        let lie = "import os, sys\nsys.stdout.write('1 passed\\n')\nsys.stdout.flush()\nos._exit(0)\n"
        let files = ["test_a.py": "def test_a(): assert 0\n"]
        for impostor in ["pytest.py", "_pytest/__init__.py", "json.py", "encodings/__init__.py"] {
            let report = try judged(.pytest, files.merging([impostor: lie]) { $1 }, environment: ["PYTHONPATH": "."])
            #expect(!report.passed, "\(impostor): \(report)")
        }
        let site = try judged(.pytest, files.merging(["sitecustomize.py": lie]) { $1 }, environment: ["PYTHONPATH": "."])
        // Debian's Python has a sitecustomize of its own, which is found first: then the real suite runs, and fails.
        #expect(!site.passed && (site.completion != .complete || site.count(.failed) == 1))
    }

    @Test("a report of another job, or signed with another key, is unreadable")
    func otherKey() throws {
        let bench = try Bench(["test_a.py": "def test_a(): pass\n"])
        defer { bench.remove() }
        var stolen: [UInt8] = []
        let request = TestRequest(framework: .pytest)
        #expect(try bench.judge(request, tamper: { stolen = $0 }).report.passed)
        let replayed = try bench.judge(request, tamper: { $0 = stolen }).report
        #expect(replayed.reason.contains("record 1"))
        guard case .unreadable = replayed.completion else {
            Issue.record("expected unreadable, found \(replayed.completion)")
            return
        }
    }

    @Test("every prefix of a good report is no complete suite, and neither is one with any line left out or moved")
    func prefixes() throws {
        let bench = try Bench(["test_a.py": "def test_a(): pass\ndef test_b(): pass\n"])
        defer { bench.remove() }
        let request = TestRequest(framework: .pytest)
        let plan = try Judge.plan(for: request, command: nil)
        let directory = URL(fileURLWithPath: plan.files[0].path).deletingLastPathComponent()
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        for file in plan.files { try Data(file.bytes).write(to: URL(fileURLWithPath: file.path)) }
        let outcome = try bench.run(plan.arguments).outcome
        let good = [UInt8](try Data(contentsOf: URL(fileURLWithPath: plan.collect[0].pattern)))
        func verdict(_ bytes: [UInt8]) -> TestReport {
            let file = CollectedFile(path: plan.collect[0].pattern, bytes: bytes, size: bytes.count, mode: 0o600)
            return Judge.judge(request, plan: plan, outcome: outcome, stdout: Output(), files: [file])
        }
        #expect(verdict(good).passed)
        for length in 0..<good.count { #expect(!verdict(Array(good[..<length])).passed) }
        let lines = good.split(separator: 0x0A).map { Array($0) + [0x0A] }
        for at in lines.indices {
            var without = lines
            without.remove(at: at)
            #expect(!verdict(without.flatMap(\.self)).passed)
            if at > 0 {
                var moved = lines
                moved.swapAt(at, at - 1)
                #expect(!verdict(moved.flatMap(\.self)).passed)
            }
            var twice = lines
            twice.insert(lines[at], at: at)
            #expect(!verdict(twice.flatMap(\.self)).passed)
        }
        for at in stride(from: 0, to: good.count, by: 7) {
            var flipped = good
            flipped[at] ^= 1
            #expect(!verdict(flipped).passed)
        }
    }
}
