"""Runs HumanEval through a farm: each canonical solution, and the same with a body that must never pass.

    python3 examples/humaneval.py --socket /run/paddock/paddock.sock humaneval.jsonl

All jobs are in flight at once. Prints a table, and exits 1 when any verdict is not as expected, 2 when the farm or the
file cannot be used.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import paddock
from paddock import Job, Labels, Limits, Result, Tests
from verdict import mebibytes, seconds, verdict


@dataclass(frozen=True)
class Task:
    id: str
    #: The function's head and docstring, after whatever it needs.
    prompt: str
    solution: str
    test: str
    entry_point: str


@dataclass(frozen=True)
class Variant:
    """A way to fill in the body of each task's function, and the one verdict it may get."""

    name: str
    body: str | None
    expected: str
    limits: Limits


SLOW = Limits(cpu_time_ms=20_000, wall_time_ms=600_000, memory_bytes=256 << 20)
VARIANTS = [
    Variant("canonical solution", None, "passed", SLOW),
    Variant("return None", "return None", "tests failed", SLOW),
    Variant("infinite loop", "while True: pass", "limit exceeded: cpu_time",
            Limits(cpu_time_ms=500, wall_time_ms=600_000, memory_bytes=256 << 20)),
    Variant("memory hog", "hog = []\n    while True: hog.append(b'x' * (1 << 20))", "limit exceeded: memory",
            Limits(cpu_time_ms=20_000, wall_time_ms=600_000, memory_bytes=64 << 20)),
    Variant("os._exit(0)", "import os\n    os._exit(0)", "suite ended early", SLOW),
]

SUITE = """
import unittest
from solution import *

{test}

class Check(unittest.TestCase):
    def test_{entry_point}(self):
        check({entry_point})
"""


def read_tasks(path: Path) -> list[Task]:
    """The tasks of a jsonl file. Raises `ValueError` with the line at fault."""
    tasks = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            found = json.loads(line)
            tasks.append(Task(
                found["task_id"], found["prompt"], found["canonical_solution"], found["test"], found["entry_point"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}:{number}: {error!r}, expected a HumanEval task") from None
    return tasks


def job(task: Task, variant: Variant) -> Job:
    body = task.solution if variant.body is None else f"    {variant.body}\n"
    return Job(
        tests=Tests("unittest"), limits=variant.limits, labels=Labels(rollout=task.id, group=variant.name),
        files={
            "solution.py": task.prompt + body,
            "test_solution.py": SUITE.format(test=task.test, entry_point=task.entry_point),
        })


def run_all(client: paddock.Client, tasks: list[Task]) -> dict[str, list[Result | paddock.PaddockError]]:
    """The ends of all tasks by variant, all in flight at once."""
    jobs = [job(task, variant) for variant in VARIANTS for task in tasks]
    ends = client.gather(jobs, concurrency=max(1, len(jobs)), return_exceptions=True)
    count = len(tasks)
    return {variant.name: ends[at * count:(at + 1) * count] for at, variant in enumerate(VARIANTS)}


def unexpected(tasks: list[Task], ends: dict[str, list[Result | paddock.PaddockError]]) -> list[str]:
    """A line for each verdict that is not the one its variant may get."""
    lines = []
    for variant in VARIANTS:
        for task, end in zip(tasks, ends[variant.name]):
            found = verdict(end)
            if found != variant.expected:
                lines.append(f"{task.id}, {variant.name}: found {found!r}, expected {variant.expected!r}{detail(end)}")
    return lines


def detail(end: Result | paddock.PaddockError) -> str:
    if isinstance(end, paddock.PaddockError):
        return ""
    reason = end.tests.reason if end.tests is not None else None
    return f" ({end.outcome}{'; ' + reason if reason else ''}; {end.stderr.text[-300:]!r})"


def table(ends: dict[str, list[Result | paddock.PaddockError]]) -> str:
    rows = [f"{'variant':<20}{'expected verdict':<28}{'as expected':>14}{'median time':>14}{'peak memory':>14}"]
    for variant in VARIANTS:
        results = [end for end in ends[variant.name] if isinstance(end, Result)]
        right = sum(verdict(end) == variant.expected for end in ends[variant.name])
        times = [result.usage.run_ms for result in results if result.usage.run_ms is not None]
        peaks = [result.usage.peak_memory_bytes for result in results if result.usage.peak_memory_bytes is not None]
        rows.append(
            f"{variant.name:<20}{variant.expected:<28}{f'{right} of {len(ends[variant.name])}':>14}"
            f"{seconds(statistics.median(times) if times else None):>14}{mebibytes(max(peaks, default=None)):>14}")
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description="Run HumanEval through a farm.")
    parser.add_argument("--socket", help="the farm's socket (default: PADDOCK_SOCKET, or the daemon's own default)")
    parser.add_argument("tasks", type=Path, help="humaneval.jsonl")
    arguments = parser.parse_args()
    try:
        tasks = read_tasks(arguments.tasks)
        with paddock.Client(arguments.socket, connect_timeout_s=5) as client:
            begun = time.monotonic()
            ends = run_all(client, tasks)
            took = time.monotonic() - begun
    except (OSError, ValueError, paddock.PaddockError) as error:
        print(f"humaneval: {error}", file=sys.stderr)
        return 2
    print(table(ends))
    wrong = unexpected(tasks, ends)
    jobs = len(tasks) * len(VARIANTS)
    print(f"\n{jobs} jobs in {took:.1f} s, {jobs / took:.0f} jobs/s; {len(wrong)} verdicts are not as expected")
    for line in wrong:
        print(f"  {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
