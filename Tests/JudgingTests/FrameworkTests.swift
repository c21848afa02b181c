// Tested code that changes the framework that judges it, or the tests themselves, while they run.

import SandboxCore
import Testing

@testable import Judging

@Suite("A framework that tested code changes", .serialized)
struct FrameworkTests {
    struct Solution: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var framework: TestFramework
        var code: String
        /// What the reason has to name.
        var named: String
    }

    static let hostile = [
        Solution(testDescription: "an assertion", framework: .unittest, code: "import unittest\nunittest.TestCase.assertEqual = lambda *a, **k: None", named: "unittest.case.TestCase.assertEqual"),
        Solution(testDescription: "what runs a test", framework: .unittest, code: """
            import unittest
            def run(self, result=None):
                result.startTest(self); result.addSuccess(self); result.stopTest(self)
            unittest.TestCase.run = unittest.TestCase.__call__ = run
            """, named: "unittest.case.TestCase."),
        Solution(testDescription: "an assertion's code", framework: .unittest, code: "import unittest\nunittest.TestCase.assertEqual.__code__ = (lambda *a, **k: None).__code__", named: "unittest.case.TestCase.assertEqual"),
        Solution(testDescription: "the class of tests", framework: .unittest, code: """
            import unittest
            class Easy(unittest.TestCase):
                def assertEqual(self, *a): pass
            unittest.TestCase = Easy
            """, named: "unittest.TestCase"),
        Solution(testDescription: "an attribute's look-up", framework: .unittest, code: """
            import unittest
            def get(self, name):
                return (lambda *a: None) if name == 'assertEqual' else object.__getattribute__(self, name)
            unittest.TestCase.__getattribute__ = get
            """, named: "unittest.case.TestCase.__getattribute__"),
        Solution(testDescription: "the harness's own result", framework: .unittest, code: """
            import unittest
            own = unittest.TextTestResult.__subclasses__()[-1]
            own.addFailure = lambda self, test, error: self.addSuccess(test)
            """, named: "Result.addFailure"),
        Solution(testDescription: "the tests that are to come", framework: .unittest, code: """
            def add(a, b):
                import sys
                sys.modules['test_sol'].AddTests.test_second = lambda self: None
                return 3
            """, named: "AddTests.test_second"),
        Solution(testDescription: "how pytest runs a test", framework: .pytest, code: "import _pytest.python\n_pytest.python.Function.runtest = lambda self: None", named: "_pytest.python.Function.runtest"),
        Solution(testDescription: "how pytest calls a function", framework: .pytest, code: "import _pytest.python\n_pytest.python.pytest_pyfunc_call.__code__ = (lambda pyfuncitem: True).__code__", named: "_pytest.python.pytest_pyfunc_call"),
        Solution(testDescription: "how pytest reports", framework: .pytest, code: """
            import _pytest.reports
            make = _pytest.reports.TestReport.from_item_and_call.__func__
            def easy(cls, item, call):
                call.excinfo = None
                return make(cls, item, call)
            _pytest.reports.TestReport.from_item_and_call = classmethod(easy)
            """, named: "_pytest.reports.TestReport.from_item_and_call"),
        Solution(testDescription: "unittest's assertion under pytest", framework: .pytest, code: "import unittest\nunittest.TestCase.assertEqual = lambda *a, **k: None", named: "unittest.case.TestCase.assertEqual"),
        Solution(testDescription: "the tests that are to come, under pytest", framework: .pytest, code: """
            def add(a, b):
                import sys
                sys.modules['test_sol'].AddTests.test_second = lambda self: None
                return 3
            """, named: "AddTests.test_second"),
    ]

    static let tests = """
        import unittest
        from sol import add
        class AddTests(unittest.TestCase):
            def test_first(self): self.assertEqual(add(1, 2), 3)
            def test_second(self): self.assertEqual(add(2, 2), 4)
        """

    @Test("is no complete suite, and the reason names what was changed", arguments: hostile)
    func changed(_ solution: Solution) throws {
        let code = solution.code.contains("def add") ? solution.code : solution.code + "\ndef add(a, b): return 0"
        let report = try judged(solution.framework, ["sol.py": code, "test_sol.py": Self.tests], paths: solution.framework == .pytest ? ["test_sol.py"] : ["test_sol"])
        #expect(!report.passed, "\(report)")
        #expect(report.reason.contains(solution.named) && report.reason.contains("was replaced while the suite ran"), "\(report)")
    }

    @Test("may be changed in how it shows, given more, and replaced for a while in a test's own module", arguments: [TestFramework.pytest, .unittest])
    func harmless(_ framework: TestFramework) throws {
        let suite = """
            import sys, unittest
            from unittest import mock
            unittest.TestCase.maxDiff = None
            unittest.TestCase.longMessage = False
            unittest.util._MAX_LENGTH = 2000
            unittest.TestCase.shortDescription = lambda self: None
            unittest.TestCase.assertItemsEqual = unittest.TestCase.assertCountEqual
            def helper(): return 1
            class Tests(unittest.TestCase):
                def setUp(self):
                    patcher = mock.patch.object(sys.modules[__name__], 'helper', lambda: 2)
                    patcher.start()
                    self.addCleanup(patcher.stop)
                def test_a(self): self.assertItemsEqual([helper(), 1], [1, 2])
                def test_b(self):
                    self.calls = []
                    self.addTypeEqualityFunc(list, lambda a, b, msg=None: self.calls.append(a))
                    self.assertEqual([1], [1])
                @mock.patch('os.getcwd', lambda: '/')
                def test_c(self):
                    with self.subTest(n=1): self.assertEqual(__import__('os').getcwd(), '/')
                    with self.assertRaises(ValueError), self.assertWarns(UserWarning):
                        __import__('warnings').warn('w')
                        raise ValueError
            """
        let report = try judged(framework, ["test_h.py": suite], paths: framework == .pytest ? ["test_h.py"] : ["test_h"])
        #expect(report.passed, "\(report)")
        #expect(report.count(.passed) == 3)
    }

    @Test("fixtures, marks, plugins of a conftest and classes of pytest's own kind change nothing")
    func pytestFeatures() throws {
        let files = [
            "conftest.py": """
                import pytest
                class Item(pytest.Item):
                    def runtest(self): assert self.name == 'one'
                    def reportinfo(self): return self.path, 0, self.name
                class File(pytest.File):
                    def collect(self): yield Item.from_parent(self, name='one')
                def pytest_collect_file(parent, file_path):
                    if file_path.suffix == '.one': return File.from_parent(parent, path=file_path)
                @pytest.hookimpl(hookwrapper=True)
                def pytest_runtest_call(item): yield
                """,
            "a.one": "",
            "test_a.py": """
                import pytest, sys, logging
                @pytest.fixture(scope='module', autouse=True)
                def thing(): yield 1
                @pytest.mark.parametrize('n', range(3))
                def test_n(n, monkeypatch, tmp_path, capsys, caplog, request):
                    monkeypatch.setattr('os.getcwd', lambda: 'x')
                    with pytest.raises(ZeroDivisionError, match='zero'): 1 / 0
                    with pytest.warns(UserWarning): __import__('warnings').warn('x')
                    assert n == pytest.approx(n)
                    logging.getLogger().warning('%s', n)
                    assert caplog.records
                class TestX:
                    x = property(lambda self: 1)
                    @staticmethod
                    def test_static(): pass
                    def test_method(self): assert self.x
                """,
        ]
        let report = try judged(.pytest, files)
        #expect(report.passed, "\(report)")
        #expect(report.count(.passed) == 6)
    }
}
