"""Runs unittest on a suite and reports each test as it ends.

    python3 DIRECTORY/paddock_unittest.py [UNITTEST'S ARGUMENTS]

The same as `python3 -m unittest ARGUMENTS` in the same directory, with one addition: an argument that is a directory
is discovered (as `unittest discover -s` does). What comes on top is the report in DIRECTORY (see paddock_report.py).
Standard library only; Python 3.7 and later.
"""
import sys


def main():
    loaded = set(sys.modules)
    import os

    directory = os.path.dirname(os.path.abspath(__file__))
    if directory not in sys.path:
        sys.path.insert(0, directory)
    sys.dont_write_bytecode, writes = True, sys.dont_write_bytecode
    import paddock_framework
    import paddock_report
    sys.dont_write_bytecode = writes

    emit = paddock_report.open_report(directory)
    entries = paddock_report.tested_path()
    sys.path.remove(directory)
    import importlib.util
    import traceback
    import unittest

    spec = importlib.util.find_spec("unittest.__main__")
    version = sys.version.split()[0]
    emit("begin", framework="unittest", version=version, python=version)
    ending = {"reason": "", "finished": False}
    program = make_program(unittest, os, traceback, emit, ending, paddock_framework.watch)
    paddock_report.leave_no_trace(directory, entries, loaded, {"unittest"}, spec)
    sys.argv[0] = "python3 -m unittest"

    code = 0
    try:
        program(module=None)
    except SystemExit as error:
        if not ending["finished"]:
            # Tested code, as it was imported, or the command line: not the end of a suite.
            raise
        code = error.code
    code = code if type(code) is int else int(bool(code))
    emit("end", code=code, reason=ending["reason"])
    sys.exit(code)


def make_program(unittest, os, traceback, emit, ending, watch):
    """unittest's own main program, with a result that reports."""
    import time

    now, strclass = time.perf_counter, unittest.util.strclass
    Exception_, set_, list_, isinstance_ = Exception, set, list, isinstance

    def text_of(error):
        try:
            return "".join(traceback.format_exception(*error))
        except Exception_ as failure:
            return "the error of this test cannot be shown: %r" % (failure,)

    def leaves(suite):
        stack = [suite]
        while stack:
            item = stack.pop()
            if item is None:
                continue
            try:
                stack.extend(reversed(list_(item)))
            except TypeError:
                yield item

    def expects_failure(test):
        method = getattr(test, getattr(test, "_testMethodName", ""), None)
        return any(getattr(place, "__unittest_expecting_failure__", False) for place in (test, method))

    class Result(unittest.TextTestResult):
        """Reports a test when it stops: only then is it known whether its clean-up went well."""

        def begin(self, suite):
            tests = list_(leaves(suite))
            ids = [test.id() for test in tests]
            look()
            for test, name in zip(tests, ids):
                add(name, test.__class__, getattr(test, "_testMethodName", ""))
            # Known before any of them runs: code under test can set the attribute, too.
            self.paddock_expecting = {name for test, name in zip(tests, ids) if expects_failure(test)}
            # Which tests never run when the set-up of their class or module does not succeed.
            self.paddock_groups = {}
            for test, name in zip(tests, ids):
                for group in (strclass(test.__class__), test.__class__.__module__):
                    self.paddock_groups.setdefault(group, []).append(name)
            self.paddock_current = None
            self.paddock_ended = {}
            for start in range(0, len(ids), 500):
                emit("collected", ids=ids[start:start + 500])
            emit("run", count=len(ids))

        def end(self, name, outcome, duration, message):
            self.paddock_ended[name] = self.paddock_ended.get(name, 0) + 1
            expected = {}
            if outcome == "xfailed":
                if name in self.paddock_expecting:
                    expected = {"declared": 1}
                else:
                    message = "not declared before the tests ran: " + message
            emit("test", id=name, outcome=outcome, duration_ms=duration * 1000.0, message=message, **expected)

        def startTest(self, test):
            super().startTest(test)
            emit("start", id=test.id())
            look(test.id())
            self.paddock_current = {"id": test.id(), "outcome": None, "message": [], "subtests": 0, "start": now()}

        def stopTest(self, test):
            state, self.paddock_current = self.paddock_current, None
            if state is not None:
                look(state["id"])
                look()
                outcome = state["outcome"]
                if state["subtests"] and outcome in (None, "passed", "xfailed"):
                    outcome = "failed"
                    state["message"].append("%d of its subtests failed" % state["subtests"])
                if outcome is not None:
                    self.end(state["id"], outcome, now() - state["start"], "\n".join(state["message"]))
            super().stopTest(test)

        def saw(self, test, outcome, message=""):
            state = self.paddock_current
            if state is None or isinstance_(test, unittest.suite._ErrorHolder):
                self.saw_group(test, outcome, message)
                return
            if message:
                state["message"].append(message)
            # The worst wins: a clean-up that fails after a test passed, a skip after a failure.
            order = ("failed", "error", "skipped", "xfailed", "passed")
            if state["outcome"] is None or order.index(outcome) < order.index(state["outcome"]):
                state["outcome"] = outcome

        def saw_group(self, holder, outcome, message):
            """A class's or module's own set-up or tear-down: it stands for the tests it kept from running."""
            name = holder.id()
            group = name.partition("(")[2].rpartition(")")[0]
            if name.startswith("setUp"):
                collected = self.paddock_groups.get(group, [])
                kept = [test for test in dict.fromkeys(collected) if test not in self.paddock_ended]
                for test in kept:
                    for _ in range(collected.count(test)):
                        self.end(test, outcome, 0.0, "not run: %s: %s" % (name, message))
                if kept:
                    return
            emit("collect", id=name, outcome=outcome, message=message)

        def addSuccess(self, test):
            super().addSuccess(test)
            self.saw(test, "passed")

        def addFailure(self, test, err):
            super().addFailure(test, err)
            self.saw(test, "failed", text_of(err))

        def addError(self, test, err):
            super().addError(test, err)
            self.saw(test, "error", text_of(err))

        def addSkip(self, test, reason):
            super().addSkip(test, reason)
            self.saw(test, "skipped", str(reason))

        def addExpectedFailure(self, test, err):
            super().addExpectedFailure(test, err)
            self.saw(test, "xfailed", text_of(err))

        def addUnexpectedSuccess(self, test):
            super().addUnexpectedSuccess(test)
            # unittest's own verdict on such a run is FAILED.
            self.saw(test, "failed", "unexpected success")

        def addSubTest(self, test, subtest, err):
            super().addSubTest(test, subtest, err)
            if err is not None:
                outcome = "failed" if issubclass(err[0], test.failureException) else "error"
                if self.paddock_current is not None:
                    self.paddock_current["subtests"] += 1
                emit("subtest", id=subtest.id(), outcome=outcome, message=text_of(err))

    class Runner(unittest.TextTestRunner):
        resultclass = Result

        def _makeResult(self):
            self.paddock_result = super()._makeResult()
            return self.paddock_result

        def run(self, test):
            make = self._makeResult

            def begun():
                result = make()
                result.begin(test)
                return result

            self._makeResult = begun
            result = super().run(test)
            if result.shouldStop:
                ending["reason"] = "unittest was told to stop (--failfast, or an interrupt)"
            look()
            ending["finished"] = True
            return result

    class Program(unittest.TestProgram):
        def createTests(self, from_discovery=False, Loader=None):
            names = getattr(self, "testNames", None)
            if from_discovery or not names or not any(os.path.isdir(name) for name in names):
                if Loader is None:
                    return super().createTests(from_discovery)
                return super().createTests(from_discovery, Loader)
            self.test = self.testLoader.suiteClass()
            for name in names:
                loader = unittest.TestLoader()
                loader.testNamePatterns = getattr(self.testLoader, "testNamePatterns", None)
                if os.path.isdir(name):
                    self.test.addTest(loader.discover(name, top_level_dir=top_of(name)))
                else:
                    self.test.addTest(loader.loadTestsFromName(name))

        def parseArgs(self, argv):
            # A path as pytest would take it, for what unittest wants to be a module's or a directory's name.
            super().parseArgs([os.path.normpath(item) if "/" in item and os.path.exists(item) else item for item in argv])

    def top_of(name):
        """The directory that a test directory's modules are imported from: above the packages it is in."""
        top = os.path.abspath(name)
        while os.path.isfile(os.path.join(top, "__init__.py")) and os.path.dirname(top) != top:
            top = os.path.dirname(top)
        return top

    add, _, look = watch({"unittest"}, ending, (Result, Runner, Program))
    return lambda **options: Program(testRunner=Runner, **options)


main()
