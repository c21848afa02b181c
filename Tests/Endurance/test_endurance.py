"""The scripts of Benchmarks that say whether a farm stays honest and clean, shortened; and that they can say no."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

ROOT = Path(__file__).resolve().parents[2]


def script(name: str, *arguments: str) -> Tuple[int, Dict[str, Any]]:
    named = os.environ.get("PADDOCK_BIN")
    if not named and not any((ROOT / ".build" / kind / "paddock").exists() for kind in ("release", "debug")):
        pytest.skip("no paddock binary: build it, or name one with PADDOCK_BIN")
    done = subprocess.run([sys.executable, str(ROOT / "Benchmarks" / name), "--json", *arguments], capture_output=True, text=True, timeout=600)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_an_overloaded_farm_gives_true_verdicts_refuses_at_once_and_recovers() -> None:
    # Others may use the machine: of times only what no such moment explains is asked.
    code, said = script("overload", "--seconds", "8", "--size", "4", "--queue", "100", "--slack", "4")
    assert (code, said["short"]) == (0, []), said
    assert said["wrong_verdicts"] == 0 and said["refused"] > said["admitted"] > 100, said


def test_a_farm_that_is_not_overloaded_is_not_taken_for_one() -> None:
    code, said = script("overload", "--seconds", "2", "--size", "2", "--queue", "1000", "--factor", "0.5", "--slack", "4")
    assert code == 1 and "nothing was refused" in said["short"], said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look into every sandbox")
def test_nothing_is_left_of_a_thousand_jobs() -> None:
    code, said = script("leaks", "--jobs", "1000", "--size", "4", "--shmem-slack", "1024")
    assert (code, said["short"]) == (0, []), said
    assert set(said["gone"].values()) == {0}
    # What is counted is really looked at: a stock of cells has all of it.
    seen: List[str] = ["processes", "mounts_in_cells", "namespaces", "descriptors_of_daemon", "descriptors_of_warden", "descriptors_in_cells"]
    assert all(said["after"][key] > 0 for key in seen), said
