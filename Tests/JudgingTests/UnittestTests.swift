import Foundation
import SandboxCore
import Testing

@testable import Judging

@Suite("unittest, as the farm starts it", .serialized)
struct UnittestTests {
    static let mixed = """
        import unittest
        class A(unittest.TestCase):
            def test_ok(self): pass
            def test_bad(self): self.assertEqual(1, 2)
            def test_error(self): raise ValueError("no")
            @unittest.skip("why")
            def test_skip(self): pass
            @unittest.expectedFailure
            def test_expected(self): self.fail()
            @unittest.expectedFailure
            def test_unexpected(self): pass
            def test_subtests(self):
                for i in range(3):
                    with self.subTest(i=i): self.assertNotEqual(i, 1)
            def test_cleanup(self): self.addCleanup(lambda: 1 / 0)
        class B(unittest.TestCase):
            @classmethod
            def setUpClass(cls): 1 / 0
            def test_1(self): pass
            def test_2(self): pass
        class C(unittest.TestCase):
            @classmethod
            def tearDownClass(cls): 1 / 0
            def test_1(self): pass
        @unittest.skip("class")
        class D(unittest.TestCase):
            def test_1(self): pass
        class E(unittest.TestCase):
            @classmethod
            def setUpClass(cls): raise unittest.SkipTest("no")
            def test_1(self): pass
        """

    @Test("every test has the outcome unittest gives it, whether it ran or its class kept it from running")
    func outcomes() throws {
        let report = try judged(.unittest, ["test_m.py": Self.mixed, "test_n.py": "import nothing_like_this\n"])
        #expect(report.completion == .complete, "\(report)")
        #expect(!report.passed)
        #expect(
            report.outcomes == [
                "test_m.A.test_ok": .passed, "test_m.A.test_bad": .failed, "test_m.A.test_error": .error,
                "test_m.A.test_skip": .skipped, "test_m.A.test_expected": .xfailed, "test_m.A.test_unexpected": .failed,
                "test_m.A.test_subtests": .failed, "test_m.A.test_subtests (i=1)": .failed, "test_m.A.test_cleanup": .error,
                "test_m.B.test_1": .error, "test_m.B.test_2": .error, "test_m.C.test_1": .passed,
                "tearDownClass (test_m.C)": .error, "test_m.D.test_1": .skipped, "test_m.E.test_1": .skipped,
                "unittest.loader._FailedTest.test_n": .error,
            ])
        #expect(report.expected == 14)
        #expect(report.tests.first { $0.id == "test_m.B.test_1" }?.message.hasPrefix("not run: setUpClass (test_m.B): ") == true)
    }

    @Test("files, directories, packages and dotted names are found, and run in the working directory")
    func paths() throws {
        let test = "import os, unittest, helper\nclass T(unittest.TestCase):\n    def test(self): self.assertTrue(os.path.exists('helper.py'))\n"
        let files = [
            "helper.py": "", "tests/test_a.py": test, "pkg/__init__.py": "", "pkg/tests/__init__.py": "",
            "pkg/tests/test_b.py": "from . import __name__ as name\n" + test, "test_c.py": test,
        ]
        func ids(_ paths: [String], _ arguments: [String] = []) throws -> [String] {
            let report = try judged(.unittest, files, paths: paths, arguments: arguments)
            #expect(report.passed, "\(report)")
            return report.tests.map(\.id).sorted()
        }
        #expect(try ids([]) == ["pkg.tests.test_b.T.test", "test_c.T.test"])
        #expect(try ids(["tests"]) == ["test_a.T.test"])
        #expect(try ids(["tests/", "pkg/tests", "test_c.py"]) == ["pkg.tests.test_b.T.test", "test_a.T.test", "test_c.T.test"])
        #expect(try ids(["./tests/test_a.py"]) == ["tests.test_a.T.test"])
        #expect(try ids(["test_c.T.test"]) == ["test_c.T.test"])
        #expect(try ids([], ["discover", "-s", "tests", "-v"]) == ["test_a.T.test"])
    }

    @Test("a suite that ends early is never a pass, and the reason says what was seen")
    func endings() throws {
        func report(_ body: String, arguments: [String] = [], top: String = "") throws -> TestReport {
            try judged(
                .unittest,
                ["test_a.py": "import os, sys, unittest\n\(top)\nclass T(unittest.TestCase):\n    def test_1(self): pass\n    def test_2(self): \(body)\n    def test_3(self): pass\n"],
                arguments: arguments)
        }
        let exit = try report("os._exit(0)")
        #expect(exit.outcomes == ["test_a.T.test_1": .passed])
        #expect(exit.reason.contains("'test_a.T.test_2' was running; the process exited with code 0"))
        #expect(try report("os.kill(os.getpid(), 9)").reason.contains("signal 9"))
        #expect(try report("pass", arguments: ["test_a"], top: "sys.exit(0)").reason.contains("did not come to its end"))
        #expect(try report("pass", top: "os._exit(0)").reason.contains("did not come to its end"))
        #expect(try report("self.fail()", arguments: ["-f"]).reason.contains("1 of 3 tests have no result"))
        #expect(try report("self.fail()", top: "import atexit; atexit.register(os._exit, 0)").reason.contains("but the process exited with code 0"))
        let caught = try report("sys.exit(0)")
        #expect(caught.completion == .complete)
        #expect(caught.outcomes["test_a.T.test_2"] == .error)
        let none = try judged(.unittest, ["a.txt": ""])
        #expect(none.completion == .complete && !none.passed)
        #expect(try report("pass").passed)
    }

    @Test("a module of the suite named like one of the standard library is the suite's own", arguments: ["hashlib", "hmac"])
    func shadowed(_ name: String) throws {
        let report = try judged(
            .unittest,
            ["\(name).py": "mine = 1\n", "test_a.py": "import unittest, \(name)\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(\(name).mine, 1)\n"])
        #expect(report.passed, "\(report)")
    }
}
