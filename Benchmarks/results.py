"""A run of the benchmarks as `paddock-bench --json` writes it, for the scripts beside this file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Optional

#: Of the form that Benchmarks/Measuring/Run.swift writes.
VERSION = 1

Row = Dict[str, Any]


def load(path: Path) -> Dict[str, Any]:
    """The whole run. What is no such run ends the script with the reason."""
    try:
        run = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path}: {error}")
    if not isinstance(run, dict) or run.get("version") != VERSION or not isinstance(run.get("rows"), list):
        raise SystemExit(f"{path}: found something else than a run of paddock-bench --json, version {VERSION}")
    return run


def figure(value: float) -> str:
    """Three digits, and of a small one no fewer than its thousandths."""
    size = abs(value)
    return f"{value:,.{0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3}f}"


def measured(row: Row) -> str:
    return f"{figure(row['value'])} {row['unit']}".strip() if row.get("value") is not None else ""


def asked(row: Row) -> str:
    bar = row.get("bar")
    if not bar:
        return ""
    limit = format(bar["limit"], ",.0f" if bar["limit"] >= 1000 else ".4g")
    return f"{'≤' if bar['at_most'] else '≥'} {limit}{'×' if bar['of'] == 'ratio' else ' ' + row['unit']}".strip()


def subject(row: Row) -> Optional[float]:
    """What is held to the bar."""
    return row.get("ratio" if row["bar"]["of"] == "ratio" else "value")


def margin(row: Row) -> Optional[float]:
    """How many times better than its bar a figure is: 1 just reaches it, and 2 is twice as good, whatever is counted."""
    value = subject(row)
    if value is None or value <= 0:
        return None
    return row["bar"]["limit"] / value if row["bar"]["at_most"] else value / row["bar"]["limit"]


def bars(run: Dict[str, Any]) -> List[Row]:
    """The rows that are held to something."""
    return [row for row in run["rows"] if row.get("bar")]


def peers(run: Dict[str, Any]) -> Dict[str, Dict[str, Row]]:
    """Of each sandbox that was measured beside the farm, its rows by what they measure."""
    found: Dict[str, Dict[str, Row]] = {}
    for row in run["rows"]:
        if row["key"].startswith("peer."):
            _, name, *what = row["key"].split(".")
            found.setdefault(name, {})[".".join(what)] = row
    return found
