"""Runs of the benchmarks, made up for the tests beside this file, in the form that TableTests holds the real ones to."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

HOST = {
    "kernel": "6.1", "processor": "A & B", "processors": 2, "memory_bytes": 8 << 30, "cgroup": "v2", "commit": "abc", "load_before": 0.25}


def row(
    key: str, ratio: Optional[float] = None, *, value: Optional[float] = 1.0, at_most: bool = True, limit: float = 1.0, of: str = "ratio",
    rounds: Optional[List[float]] = None, number: str = "1", unit: str = "ms", verdict: str = "pass",
) -> Dict[str, Any]:
    found = {
        "number": number, "key": key, "name": f"work {key}", "value": value, "unit": unit, "baseline": 1.0, "ratio": ratio,
        "rounds": rounds if rounds is not None else [ratio, ratio], "bar": {"of": of, "at_most": at_most, "limit": limit}, "verdict": verdict}
    return {name: one for name, one in found.items() if one is not None}


def run(*rows: Dict[str, Any], **host: Any) -> Dict[str, Any]:
    return {"version": 1, "begun": "2026-01-02T03:04:05Z", "seconds": 120, "quick": False, "host": {**HOST, **host}, "rows": list(rows)}
