import Foundation
import SandboxCore
import Testing

@testable import Judging

@Suite("pytest, as the farm starts it", .serialized)
struct PytestTests {
    static let mixed = """
        import pytest, unittest
        def test_ok(): pass
        def test_bad(): assert 1 == 2
        @pytest.fixture
        def boom(): raise ValueError("boom")
        @pytest.fixture
        def late():
            yield
            raise ValueError("late")
        def test_setup(boom): pass
        def test_teardown(late): pass
        def test_both(late): assert 0
        @pytest.mark.skip(reason="why")
        def test_skip(): pass
        def test_skips_itself(): pytest.skip("here")
        @pytest.mark.xfail
        def test_xfail(): assert 0
        @pytest.mark.xfail
        def test_xpass(): pass
        @pytest.mark.xfail(strict=True)
        def test_xpass_strict(): pass
        @pytest.mark.parametrize("a,b", [(1, "x/y"), (2, "\\u00e9 [z]"), (3, "a::b")])
        def test_parameters(a, b): pass
        class TestClass:
            class TestInner:
                def test_method(self): pass
        class TestCase(unittest.TestCase):
            def test_subtests(self):
                for i in range(3):
                    with self.subTest(i=i): assert i != 1
            @unittest.expectedFailure
            def test_expected(self): assert 0
            @unittest.skip("no")
            def test_skipped(self): pass
        """

    @Test("every outcome is the one pytest reports, under pytest's own ids")
    func outcomes() throws {
        let report = try judged(.pytest, ["test_m.py": Self.mixed])
        #expect(report.completion == .complete)
        #expect(!report.passed)
        var expected: [String: TestOutcome] = [
            "test_m.py::test_ok": .passed, "test_m.py::test_bad": .failed, "test_m.py::test_setup": .error,
            "test_m.py::test_teardown": .error, "test_m.py::test_both": .failed, "test_m.py::test_skip": .skipped,
            "test_m.py::test_skips_itself": .skipped, "test_m.py::test_xfail": .xfailed, "test_m.py::test_xpass": .xpassed,
            "test_m.py::test_xpass_strict": .failed, "test_m.py::test_parameters[1-x/y]": .passed,
            "test_m.py::test_parameters[2-\\xe9 [z]]": .passed, "test_m.py::test_parameters[3-a::b]": .passed,
            "test_m.py::TestClass::TestInner::test_method": .passed, "test_m.py::TestCase::test_subtests": .failed,
            "test_m.py::TestCase::test_expected": .xfailed, "test_m.py::TestCase::test_skipped": .skipped,
        ]
        if try Self.countsSubtests() { expected["test_m.py::TestCase::test_subtests (i=1)"] = .failed }
        #expect(report.outcomes == expected)
        #expect(report.expected == 17)
        let message = Dictionary(uniqueKeysWithValues: report.tests.map { ($0.id, $0.message) })
        #expect(message["test_m.py::test_ok"] == "")
        #expect(message["test_m.py::test_skip"] == "why")
        #expect(message["test_m.py::test_bad"]?.contains("assert 1 == 2") == true)
        #expect(message["test_m.py::test_teardown"]?.hasPrefix("passed, but its teardown failed: ") == true)
        #expect(message["test_m.py::test_both"]?.contains("late") == true)
        #expect(report.tests.allSatisfy { ($0.durationMs ?? -1) >= 0 })
    }

    @Test("the ids are those of --collect-only and the counts those of pytest's own last line")
    func sameAsPytest() throws {
        let bench = try Bench(["test_m.py": Self.mixed, "sub/test_n.py": "def f():\n    '''\n    >>> 1 + 1\n    2\n    '''\nclass TestN:\n    def test_n(self): pass\n"])
        defer { bench.remove() }
        let arguments = ["--doctest-modules", "-q"]
        let report = try bench.judge(TestRequest(framework: .pytest, arguments: arguments)).report
        let listed = try bench.run(["python3", "-m", "pytest", "-p", "no:cacheprovider", "--collect-only"] + arguments).stdout
            .split(separator: "\n").filter { $0.contains("::") }.map(String.init)
        #expect(listed.count == 19)
        #expect(report.tests.map(\.id).filter { !$0.hasSuffix("(i=1)") } == listed)
        let bare = try bench.run(["python3", "-m", "pytest", "-p", "no:cacheprovider"] + arguments)
        #expect(bare.outcome == .exited(code: 1))
        // pytest counts phases and subtests, the report tests: one of the three errors is of a test that had failed already.
        let line = try #require(bare.stdout.split(separator: "\n").last { $0.contains(" passed") })
        let subtests = try Self.countsSubtests()
        #expect(line.hasPrefix("4 failed, \(subtests ? 9 : 8) passed, 3 skipped, 2 xfailed, 1 xpassed, 3 errors"))
        let totals = TestOutcome.allCases.map { report.count($0) }
        // passed, failed, error, skipped, xfailed, xpassed: a test whose subtest failed is no pass, nor is one whose teardown failed.
        #expect(totals == [7, subtests ? 5 : 4, 2, 3, 2, 1])
    }

    /// Since pytest 9 a failed subtest is an entry of its own; before, its test alone fails.
    private static func countsSubtests() throws -> Bool {
        let bench = try Bench(["a.txt": ""])
        defer { bench.remove() }
        let version = try bench.run(["python3", "-c", "import pytest; print(pytest.__version__)"]).stdout
        return (version.split(separator: ".").first.flatMap { Int($0) } ?? 0) >= 9
    }

    @Test("a suite that passes is complete and passed, and leaves nothing but its own in the directory")
    func passes() throws {
        let bench = try Bench(["test_a.py": "def test_a(): pass\n", "pkg/__init__.py": "", "pkg/test_b.py": "def test_b(): pass\n"])
        defer { bench.remove() }
        let (report, ran) = try bench.judge(TestRequest(framework: .pytest, failToPass: ["pkg/test_b.py::test_b"], passToPass: []))
        #expect(report.passed)
        #expect(report.completion == .complete)
        #expect(report.resolved == true)
        #expect(report.expected == 2)
        #expect(ran.stdout.contains("2 passed"))
        #expect(!FileManager.default.fileExists(atPath: bench.root.appendingPathComponent(".pytest_cache").path))
    }

    @Test("the suite's own configuration, conftest, working directory, argv and __main__ are as under python3 -m pytest")
    func sameWorld() throws {
        let probe = """
            import os, sys, json, pytest, multiprocessing
            def work(): return 7
            def test_world(request, cache, marked):
                cache.set("a/b", 1)
                assert cache.get("a/b", 0) == 1 and marked == 3
                main = sys.modules["__main__"]
                world = [sys.path[1:], os.environ.get("PYTHONPATH"), sys.argv[0].endswith("pytest/__main__.py"),
                         str(request.config.rootpath), str(request.config.inipath), main.__file__, main.__spec__.name,
                         "PADDOCK_PYTHONPATH" in os.environ, sys.dont_write_bytecode]
                open("world-" + os.environ["WHO"], "w").write(json.dumps(world))
            def test_spawn():
                with multiprocessing.get_context("spawn").Pool(1) as pool: assert pool.apply(work) == 7
            """
        var bench = try Bench([
            "pyproject.toml": "[tool.pytest.ini_options]\npython_files = ['check_*.py']\nxfail_strict = true\naddopts = '--strict-config --strict-markers'\n",
            "conftest.py": "import pytest\n@pytest.fixture\ndef marked(): return 3\n", "tests/check_world.py": probe,
            "tests/test_not.py": "def test_not(): assert 0\n", "lib/helper.py": "", "lib/sitecustomize.py": "import os\nos.environ['SITE'] = '1'\n",
        ])
        defer { bench.remove() }
        bench.environment["PYTHONPATH"] = "lib"
        bench.environment["WHO"] = "bare"
        #expect(try bench.run(["python3", "-m", "pytest", "tests"]).outcome == .exited(code: 0))
        bench.environment["WHO"] = "farm"
        let (report, ran) = try bench.judge(TestRequest(framework: .pytest, paths: ["tests"]))
        #expect(report.passed, "\(report.reason) \(ran.stdout)")
        let bare = try String(contentsOf: bench.root.appendingPathComponent("world-bare"), encoding: .utf8)
        let farm = try String(contentsOf: bench.root.appendingPathComponent("world-farm"), encoding: .utf8)
        #expect(bare == farm)
    }

    @Test("a module of the suite that shares its name with one the harness uses is the one its tests import")
    func shadowed() throws {
        let files = [
            "packaging.py": "mine = 1\n", "fcntl.py": "mine = 2\n",
            // Where fcntl is compiled into the interpreter, as Debian does, no file can take its place, for bare pytest either.
            "test_a.py": """
                import sys
                def test_a():
                    import packaging, fcntl
                    assert packaging.mine == 1
                    assert "fcntl" in sys.builtin_module_names or fcntl.mine == 2
                """,
        ]
        let report = try judged(.pytest, files)
        #expect(report.passed, "\(report.reason) \(report.tests)")
    }

    @Test("collection errors and skipped modules are entries, and an interrupted collection is not a whole suite")
    func collection() throws {
        let files = [
            "test_a.py": "def test_a(): pass\n", "test_b.py": "import nothing_like_this\n", "test_c.py": "def test_c(:\n",
            "test_d.py": "import pytest\npytest.skip('all', allow_module_level=True)\n",
        ]
        let stopped = try judged(.pytest, files)
        #expect(stopped.outcomes == ["test_b.py": .error, "test_c.py": .error, "test_d.py": .skipped])
        #expect(stopped.reason.contains("2 errors during collection"))
        #expect(!stopped.passed)
        let whole = try judged(.pytest, files, arguments: ["--continue-on-collection-errors"])
        #expect(whole.completion == .complete)
        #expect(whole.outcomes["test_a.py::test_a"] == .passed)
        #expect(whole.count(.error) == 2)
        #expect(!whole.passed)
    }

    @Test("deselected tests are not expected; no tests at all is complete and no pass")
    func selection() throws {
        let files = ["test_a.py": "def test_a(): pass\ndef test_b(): assert 0\n"]
        let one = try judged(.pytest, files, arguments: ["-k", "not test_b"])
        #expect(one.passed)
        #expect(one.expected == 1)
        #expect(try judged(.pytest, files, paths: ["test_a.py::test_a"]).outcomes == ["test_a.py::test_a": .passed])
        for none in [try judged(.pytest, files, arguments: ["-k", "nothing"]), try judged(.pytest, ["a.txt": ""])] {
            #expect(none.completion == .complete)
            #expect(none.expected == 0)
            #expect(!none.passed)
        }
    }

    @Test("a suite stopped by -x, only collected, or asked for help is not a whole one")
    func partial() throws {
        let files = ["test_a.py": "def test_a(): assert 0\ndef test_b(): pass\n"]
        let first = try judged(.pytest, files, arguments: ["-x"])
        #expect(first.outcomes == ["test_a.py::test_a": .failed])
        #expect(first.reason.contains("1 of 2 tests have no result") && first.reason.contains("stopping after 1 failures"))
        #expect(try judged(.pytest, files, arguments: ["--collect-only"]).reason.contains("2 of 2 tests have no result"))
        #expect(try judged(.pytest, files, arguments: ["--help"]).reason.contains("not collected"))
        #expect(try judged(.pytest, files, paths: ["missing.py"]).completion != .complete)
        #expect(try judged(.pytest, files, arguments: ["--no-such-option"]).completion != .complete)
    }

    @Test("a missing pytest is said, and is no verdict on the suite")
    func missing() throws {
        var bench = try Bench(["test_a.py": "def test_a(): pass\n", "bin/python3": "#!/bin/sh\nexec /usr/bin/env -i \"$REAL\" -S \"$@\"\n"])
        defer { bench.remove() }
        let real = try bench.run(["python3", "-c", "import sys; print(sys.executable)"]).stdout.trimmed
        bench.environment["REAL"] = real
        bench.environment["PATH"] = bench.root.path + "/bin:/usr/bin:/bin"
        #expect(try bench.run(["chmod", "755", "bin/python3"]).outcome == .exited(code: 0))
        let report = try bench.judge(TestRequest(framework: .pytest)).report
        #expect(report.reason.contains("pytest cannot be imported"))
        #expect(!report.passed)
    }
}
