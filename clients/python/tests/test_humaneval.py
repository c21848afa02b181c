"""HumanEval, whole: each canonical solution passes, and a body that exits, loops, hogs or gives up never does."""

from __future__ import annotations

import pytest

import humaneval
import paddock
from conftest import ROOT

DATA = ROOT.parent / "shared" / "data" / "humaneval.jsonl"


def test_every_task_of_humaneval_gets_the_verdict_it_must(client: paddock.Client) -> None:
    if not DATA.exists():
        pytest.skip(f"HumanEval is not at {DATA}")
    tasks = humaneval.read_tasks(DATA)
    assert len(tasks) == 164
    ends = humaneval.run_all(client, tasks)
    assert humaneval.unexpected(tasks, ends) == []
    assert sum(len(of_variant) for of_variant in ends.values()) == 164 * len(humaneval.VARIANTS)
