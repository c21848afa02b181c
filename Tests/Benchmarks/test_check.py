"""The guard against regressions: what it calls one, and what it takes for noise."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from runs import row, run  # noqa: E402

SCRIPT = Path(__file__).resolve().parents[2] / "Benchmarks" / "check"


def load() -> Any:
    loader = importlib.machinery.SourceFileLoader("check", str(SCRIPT))
    spec = importlib.util.spec_from_loader("check", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


check = load()


def committed(**known: Any) -> Dict[str, Any]:
    return {"name": "work", "ratio": 2.0, "noise": 1.2, "at_most": True, **known}


@pytest.mark.parametrize("ratio, word", [
    (1.6, "better"), (1.7, "as before"), (2.0, "as before"), (2.4, "as before"), (2.41, "look again"), (2.88, "look again"), (2.89, "WORSE"),
])
def test_a_latency_is_worse_only_beyond_noise_times_noise(ratio: float, word: str) -> None:
    assert check.judge(committed(), ratio)[0] == word


@pytest.mark.parametrize("ratio, word", [(2.5, "better"), (2.0, "as before"), (1.67, "as before"), (1.66, "look again"), (1.39, "look again"), (1.38, "WORSE")])
def test_of_a_rate_it_is_the_lower_one_that_is_worse(ratio: float, word: str) -> None:
    assert check.judge(committed(at_most=False), ratio)[0] == word


def test_what_is_recorded_is_the_median_of_the_runs_and_the_farthest_round() -> None:
    runs = [run(row("a", 2.0, rounds=[1.9, 2.0, 2.1])), run(row("a", 2.2, rounds=[2.2, 3.0])), run(row("a", 1.8, rounds=[1.6, 1.8]))]
    assert check.record(runs) == {
        "version": 1, "host": {"kernel": "6.1", "commit": "abc", "processor": "A & B", "processors": 2, "cgroup": "v2"}, "runs": 3,
        "ratios": {"a": {"name": "work a", "ratio": 2.0, "noise": 1.5, "at_most": True}}}


def test_rounds_that_agree_are_not_believed_to_be_without_noise() -> None:
    assert check.record([run(row("a", 2.0))])["ratios"]["a"]["noise"] == check.LEAST_NOISE


def test_a_figure_of_one_round_is_not_compared() -> None:
    assert check.record([run(row("a", 2.0, rounds=[2.0]), row("b", None, rounds=[]))])["ratios"] == {}


def report(tmp_path: Path, now: Dict[str, Any], before: Dict[str, Any]) -> subprocess.CompletedProcess:
    for name, one in (("now", now), ("before", before)):
        (tmp_path / name).write_text(json.dumps(one))
    script, ratios = [sys.executable, str(SCRIPT)], ["--ratios", str(tmp_path / "ratios.json")]
    subprocess.run([*script, str(tmp_path / "before"), "--record", *ratios], check=True, capture_output=True)
    return subprocess.run([*script, str(tmp_path / "now"), *ratios], capture_output=True, text=True)


def test_a_run_like_the_recorded_one_passes(tmp_path: Path) -> None:
    done = report(tmp_path, run(row("a", 2.1)), run(row("a", 2.0)))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "ratios against those of 1 runs at commit abc:\n"
        "  work a     2.10×  committed    2.00×  1.05 times as bad, noise up to 1.15  as before\n"
        "  no regression\n")


def test_a_regression_is_named_and_fails(tmp_path: Path) -> None:
    done = report(tmp_path, run(row("a", 2.0), row("b", 4.0)), run(row("a", 2.0), row("b", 2.0)))
    assert done.returncode == 1
    assert [line.rpartition("  ")[2] for line in done.stdout.splitlines()[1:3]] == ["as before", "WORSE"]


def test_on_another_kind_of_machine_it_reports_and_does_not_fail(tmp_path: Path) -> None:
    done = report(tmp_path, run(row("a", 9.0), processors=64), run(row("a", 2.0)))
    assert done.returncode == 0
    assert "WORSE" in done.stdout and "processors 64, not 2" in done.stdout


def test_what_was_not_measured_is_said_and_is_no_regression(tmp_path: Path) -> None:
    done = report(tmp_path, run(row("b", 1.0)), run(row("a", 2.0)))
    assert done.returncode == 0
    assert "work a  not measured" in done.stdout and "not committed" in done.stdout


def test_something_else_than_a_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text('{"version": 2}')
    done = subprocess.run([sys.executable, str(SCRIPT), str(tmp_path / "x")], capture_output=True, text=True)
    assert done.returncode == 1 and "found something else than a run" in done.stderr
