"""Unit tests as structured results."""

from __future__ import annotations

import paddock
from paddock import Tests

SUITE = """
import os, unittest
class Suite(unittest.TestCase):
    def test_passes(self): self.assertEqual(1 + 1, 2)
    def test_fails(self): self.assertEqual(1 + 1, 3, "arithmetic")
    @unittest.skip("not today")
    def test_skipped(self): pass
"""


def test_unittest_is_read_test_by_test(client: paddock.Client) -> None:
    result = client.run(tests=Tests("unittest"), files={"test_suite.py": SUITE})
    report = result.tests
    assert report is not None
    assert report.complete and not report.passed and not result.passed
    outcomes = {case.id.rsplit(".", 1)[1]: case.outcome for case in report.tests}
    assert outcomes == {"test_passes": "passed", "test_fails": "failed", "test_skipped": "skipped"}
    assert report.count("failed") == 1
    failed = next(case for case in report.tests if case.outcome == "failed")
    assert "arithmetic" in failed.message and failed.duration_ms is not None


def test_pytest_is_read_test_by_test_and_expected_lists_give_resolved(client: paddock.Client) -> None:
    if not client.run(["python3", "-c", "import pytest"]).ok:
        # The image of these tests has no pytest: then the farm says that the suite did not run, and never that it passed.
        result = client.run(tests=Tests("pytest"), files={"test_a.py": "def test_a(): pass\n"})
        assert result.tests is not None and not result.tests.complete and not result.passed
        return
    files = {"test_a.py": "def test_a(): pass\ndef test_b(): assert False, 'why'\n"}
    one = client.run(
        tests=Tests("pytest", paths=["test_a.py"], fail_to_pass=["test_a.py::test_a"], pass_to_pass=[]), files=files)
    assert one.tests is not None
    assert [(case.id, case.outcome) for case in one.tests.tests] == [
        ("test_a.py::test_a", "passed"), ("test_a.py::test_b", "failed")]
    assert one.tests.resolved is True and not one.passed
    both = client.run(tests=Tests("pytest", fail_to_pass=["test_a.py::test_b"]), files=files)
    assert both.tests is not None and both.tests.resolved is False


def test_a_report_of_the_jobs_own_command_is_read(client: paddock.Client) -> None:
    tap = "TAP version 13\n1..2\nok 1 - one\nnot ok 2 - two\n"
    result = client.run(["printf", "%s", tap], tests=Tests("tap"))
    assert result.tests is not None
    assert [case.outcome for case in result.tests.tests] == ["passed", "failed"]
    assert not result.passed


def test_a_suite_that_exits_early_is_never_a_pass(client: paddock.Client) -> None:
    suite = SUITE.replace("self.assertEqual(1 + 1, 3, \"arithmetic\")", "os._exit(0)")
    result = client.run(tests=Tests("unittest"), files={"test_suite.py": suite})
    assert result.tests is not None
    assert result.ok and not result.tests.complete and not result.passed
    assert result.tests.reason
