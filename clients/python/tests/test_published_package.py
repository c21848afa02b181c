"""A published package's own test suite: what the farm reports is what pytest itself says outside it."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from typing import Dict

import pytest

import paddock
from paddock import Limits, Tests

PACKAGE = "more-itertools==10.8.0"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked sdist, from the package index."""
    directory = tmp_path_factory.mktemp("sdist")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", PACKAGE]
    fetched = subprocess.run([*command, "--dest", str(directory)], capture_output=True, text=True)
    archives = list(directory.glob("*.tar.gz"))
    if not archives:
        pytest.skip(f"the sdist of {PACKAGE} cannot be had here: {fetched.stderr.strip()[-300:]}")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(directory)
    return next(path for path in directory.iterdir() if path.is_dir())


def outside(sources: Path, python: str) -> Dict[str, str]:
    """Each test's id and outcome, by pytest's own JUnit report."""
    report = sources.parent / "outside.xml"
    subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", f"--junitxml={report}"],
        cwd=sources, capture_output=True, text=True, timeout=300)
    found: Dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        parts = case.get("classname", "").split(".")
        # tests.test_more.ChunkedTests -> tests/test_more.py::ChunkedTests
        module = next(i for i in range(len(parts), 0, -1) if (sources / ("/".join(parts[:i]) + ".py")).exists())
        name = "::".join(["/".join(parts[:module]) + ".py", *parts[module:], case.get("name", "")])
        children = {child.tag for child in case}
        found[name] = "failed" if "failure" in children else "error" if "error" in children else "skipped" if "skipped" in children else "passed"
    return found


def test_more_itertools_is_reported_as_pytest_reports_it(client: paddock.Client, sources: Path) -> None:
    python = "/usr/bin/python3"
    if subprocess.run([python, "-c", "import pytest"], capture_output=True).returncode != 0:
        pytest.skip(f"{python}, which the host image has, has no pytest: install python3-pytest")
    expected = outside(sources, python)
    files = {
        str(path.relative_to(sources)): path.read_bytes()
        for path in sources.rglob("*") if path.is_file() and path.suffix in {".py", ".pyi", ".toml", ".cfg", ".ini", ".typed"}
    }
    result = client.run(
        tests=Tests("pytest", paths=["tests"]), files=files, limits=Limits(cpu_time_ms=300_000, wall_time_ms=600_000))
    report = result.tests
    assert report is not None and report.complete, report and report.reason
    assert len(expected) > 500
    assert {case.id: case.outcome for case in report.tests} == expected
    assert report.passed == (set(Counter(expected.values())) <= {"passed", "skipped"})
