"""Runs pytest on a suite and reports each test as it ends.

    python3 DIRECTORY/paddock_pytest.py [PYTEST'S ARGUMENTS]

The same as `python3 -m pytest ARGUMENTS` in the same directory: its configuration, plugins, output and exit code. What
comes on top is the report in DIRECTORY (see paddock_report.py). Standard library and pytest only; Python 3.7 and later.
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
    try:
        # Before tested code can be found, so that no pytest.py of the suite stands in for it.
        import pytest
    except ImportError:
        # It may be installed where only PYTHONPATH says.
        sys.path[:] = entries + sys.path
        try:
            import pytest
        except ImportError as error:
            emit("begin", framework="pytest", version="", python=sys.version.split()[0])
            emit("end", code=1, reason="pytest cannot be imported: %s" % error)
            raise
        sys.path[:] = sys.path[len(entries):]
    import importlib.util

    spec = importlib.util.find_spec("pytest.__main__") or importlib.util.find_spec("pytest")
    emit("begin", framework="pytest", version=pytest.__version__, python=sys.version.split()[0])
    paddock_report.leave_no_trace(directory, entries, loaded, {"pytest", "_pytest", "pluggy"}, spec)
    sys.argv[0] = spec.origin

    ending = {"reason": ""}
    code = pytest.main(sys.argv[1:], plugins=[plugin(pytest, emit, ending, directory, paddock_framework.watch)])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    emit("end", code=int(code), reason=ending["reason"])
    sys.exit(code)


# What decides an outcome. The rest of pytest can change one only as a hook, and hooks are watched one by one.
DECIDING = {"pytest", "pluggy", "unittest"} | {"_pytest." + name for name in (
    "assertion", "assertion.rewrite", "assertion.util", "fixtures", "main", "nodes", "outcomes", "python", "python_api",
    "raises", "recwarn", "reports", "runner", "skipping", "unittest")}
DECIDING_HOOKS = (
    "pytest_collection_modifyitems", "pytest_runtestloop", "pytest_runtest_protocol", "pytest_runtest_setup",
    "pytest_runtest_call", "pytest_runtest_teardown", "pytest_pyfunc_call", "pytest_runtest_makereport",
    "pytest_runtest_logreport", "pytest_fixture_setup", "pytest_assertrepr_compare")


def hooks_of(config):
    """The functions that the hooks call."""
    found = []
    for name in DECIDING_HOOKS:
        found += [call.function for call in getattr(config.hook, name).get_hookimpls()]
    return found


def skipping_code():
    """The functions of pytest that raise for a mark."""
    import types

    try:
        from _pytest import skipping
    except ImportError:
        return ()
    return {value.__code__ for value in vars(skipping).values() if isinstance(value, types.FunctionType)}


def plugin(pytest, emit, ending, directory, watch):
    """The hooks, as functions over state that only they reach."""
    import pathlib
    import types

    hooks = types.ModuleType("paddock")
    running = {}
    # By test: its xfail marks when the collection ended, and whether unittest's decorator says the same.
    marked, decorated = {}, set()
    # Whether the failure of the phase that is being reported was declared then.
    declared = {}
    Exception_, getattr_, str_, list_ = Exception, getattr, str, list
    isinstance_, xfailure = isinstance, pytest.xfail.Exception
    own_code = skipping_code()
    # Nothing is watched before the first hook.
    watching = {"add": lambda *_: None, "also": lambda *_: None, "look": lambda *_: None}

    def hook(**options):
        def add(function):
            setattr(hooks, function.__name__, pytest.hookimpl(**options)(function))
            return function
        return add

    def text_of(report):
        """Why a report is not a plain pass, in pytest's words."""
        try:
            reason = getattr_(report, "wasxfail", None)
            if reason is not None:
                return str_(reason)
            longrepr = report.longrepr
            if report.outcome == "skipped" and type(longrepr) is tuple and len(longrepr) == 3:
                reason = str_(longrepr[2])
                return reason[9:] if reason.startswith("Skipped: ") else reason
            return report.longreprtext
        except Exception_ as error:
            return "the report of this test cannot be shown: %r" % (error,)

    def outcome_of(report):
        """What pytest's terminal report would count this phase as; None for a phase that passed and does not count."""
        if report.outcome == "failed":
            return "error" if report.when in ("setup", "teardown") else "failed"
        expected = hasattr(report, "wasxfail")
        if report.outcome == "skipped":
            return "xfailed" if expected else "skipped"
        if report.when == "call":
            return "xpassed" if expected else "passed"
        return None

    def was_declared(item, call):
        """Whether the suite's files said before any test ran that this one may fail.

        Code under test can call pytest.xfail() itself, or give the test that is running a mark.
        """
        if item.nodeid in decorated:
            return True
        before, now = marked.get(item.nodeid, ()), list_(item.iter_markers("xfail"))
        if not before or len(now) != len(before) or any(one is not other for one, other in zip(now, before)):
            return False
        if not isinstance_(call.excinfo.value, xfailure):
            return True
        # A mark that says not to run the test at all raises the same, from pytest's own code.
        frames, traceback = [], call.excinfo.tb
        while traceback is not None:
            frames.append(traceback.tb_frame)
            traceback = traceback.tb_next
        return len(frames) > 1 and frames[-2].f_code in own_code

    def finish(nodeid):
        state = running.pop(nodeid, None)
        if state is None or state["outcome"] is None:
            return
        if state["subtests"] and state["outcome"] == "passed":
            state["outcome"] = "failed"
            state["message"] = "%d of its subtests failed" % state["subtests"]
        expected = {"declared": 1} if state["outcome"] == "xfailed" and state["declared"] else {}
        emit("test", id=nodeid, outcome=state["outcome"], duration_ms=state["seconds"] * 1000.0,
             message="" if state["outcome"] == "passed" else state["message"], **expected)

    @hook()
    def pytest_load_initial_conftests(early_config):
        # pytest and its plugins change it as they like until here, first in this hook; its last, which is older than
        # this plugin, loads the first of the suite's files.
        watching["add"], watching["also"], watching["look"] = watch(DECIDING, ending)
        watching["also"](hooks_of(early_config))

    @hook(trylast=True)
    def pytest_configure(config):
        # The cache works, but is not left among the suite's files, unless the suite or its arguments ask for it.
        cache = getattr_(config, "cache", None)
        asked = any(config.getoption(name, None) for name in ("lf", "failedfirst", "newfirst", "stepwise"))
        try:
            if cache is not None and not asked and config.getini("cache_dir") == ".pytest_cache":
                cache._cachedir = pathlib.Path(directory, "cache")
        except (AttributeError, KeyError, ValueError):
            pass

    def collected(ids):
        for start in range(0, len(ids), 500):
            emit("collected", ids=ids[start:start + 500])
        emit("run", count=len(ids))

    @hook(trylast=True)
    def pytest_collection_finish(session):
        watching["look"]()
        watching["also"](hooks_of(session.config))
        for item in session.items:
            owner = getattr_(item, "cls", None) or getattr_(item, "module", None)
            if owner is not None:
                watching["add"](item.nodeid, owner, getattr_(item, "originalname", None) or item.name)
            marks = list_(item.iter_markers("xfail"))
            if marks:
                marked[item.nodeid] = marks
            if type(item).__name__ == "TestCaseFunction":
                method = getattr_(item.cls, item.originalname or item.name, None)
                if any(getattr_(place, "__unittest_expecting_failure__", False) for place in (item.cls, method)):
                    decorated.add(item.nodeid)
        collected([item.nodeid for item in session.items])

    @hook(optionalhook=True)
    def pytest_xdist_node_collection_finished(node, ids):
        # pytest-xdist's workers collect, all the same tests.
        if not ending.get("distributed"):
            ending["distributed"] = True
            collected(list_(ids))

    @hook(trylast=True)
    def pytest_collectreport(report):
        if report.outcome in ("failed", "skipped"):
            outcome = "error" if report.outcome == "failed" else "skipped"
            emit("collect", id=report.nodeid or ".", outcome=outcome, message=text_of(report))

    @hook(tryfirst=True)
    def pytest_runtest_logstart(nodeid):
        emit("start", id=nodeid)

    @hook(hookwrapper=True)
    def pytest_runtest_makereport(item, call):
        # Of a unittest.TestCase the failure is known only after the others have been here.
        yield
        if call.when != "call":
            watching["look"](item.nodeid)
        if call.when == "teardown":
            watching["look"]()
        if call.excinfo is not None:
            declared[item.nodeid] = was_declared(item, call)

    @hook(trylast=True)
    def pytest_runtest_logreport(report):
        nodeid, when = report.nodeid, report.when
        fresh = {"outcome": None, "seconds": 0.0, "message": "", "subtests": 0, "declared": False}
        state = running.setdefault(nodeid, fresh)
        if "subtest" in type(report).__name__.lower():
            if report.outcome == "failed":
                state["subtests"] += 1
                describe = getattr_(report, "_sub_test_description", None) or getattr_(report, "sub_test_description")
                emit("subtest", id=nodeid + " " + describe(), outcome="failed",
                     duration_ms=report.duration * 1000.0, message=text_of(report))
            return
        if report.outcome == "rerun" or (when == "setup" and state is not fresh):
            # A plugin runs the test once more: only the last time counts, the time of all does.
            fresh["seconds"] = state["seconds"] + (report.duration if report.outcome == "rerun" else 0.0)
            state = running[nodeid] = fresh
            if report.outcome == "rerun":
                return
        state["seconds"] += report.duration
        outcome = outcome_of(report)
        if outcome is None:
            return
        if when == "teardown" and state["outcome"] in ("failed", "error"):
            state["message"] += "\n\nand its teardown: " + text_of(report)
            return
        if outcome != "passed":
            prefix = "passed, but its teardown failed: " if when == "teardown" and state["outcome"] == "passed" else ""
            if outcome == "xfailed":
                state["declared"] = declared.pop(nodeid, False)
                prefix = "" if state["declared"] else "not declared before the tests ran: "
            state["message"] = prefix + text_of(report)
        state["outcome"] = outcome
        if when not in ("setup", "call", "teardown"):
            # A worker of pytest-xdist crashed: this is all there will be.
            finish(nodeid)

    @hook(trylast=True)
    def pytest_runtest_logfinish(nodeid):
        finish(nodeid)

    @hook()
    def pytest_internalerror(excrepr):
        ending["reason"] = "internal error of pytest: " + str_(excrepr).strip().rpartition("\n")[2][:1000]

    @hook()
    def pytest_keyboard_interrupt(excinfo):
        ending["reason"] = "interrupted: %s" % (str_(excinfo.value)[:1000] or excinfo.typename)

    @hook(trylast=True)
    def pytest_sessionfinish(session):
        watching["look"]()
        stopped = getattr_(session, "shouldfail", None) or getattr_(session, "shouldstop", None)
        if stopped and not ending["reason"]:
            ending["reason"] = str_(stopped)[:1000]

    return hooks


main()
