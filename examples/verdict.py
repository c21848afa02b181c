"""One word for how a job with unit tests went. Shared by the examples."""

from __future__ import annotations

import paddock


def verdict(end: paddock.Result | paddock.PaddockError) -> str:
    """`passed` only where the farm says so; everything else in the order in which it explains the most."""
    if isinstance(end, paddock.PaddockError):
        return f"no verdict: {end}"
    if end.passed:
        return "passed"
    if isinstance(end.outcome, paddock.LimitExceeded):
        return f"limit exceeded: {end.outcome.limit}"
    if end.phase == "compile":
        return "compile error"
    if not isinstance(end.outcome, paddock.Exited):
        return str(end.outcome)
    if end.tests is None:
        return str(end.outcome)
    return "tests failed" if end.tests.complete else "suite ended early"


def seconds(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds / 1000:.2f} s"


def mebibytes(count: int | None) -> str:
    return "-" if count is None else f"{count / (1 << 20):.0f} MiB"
