"""The page and the chart that `make bench-report` writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).resolve().parent), str(ROOT / "Benchmarks")]
import results  # noqa: E402
from runs import row, run  # noqa: E402

PAGE = "".join(f"words before {name}\n<!-- figures: {name} -->\nold\n<!-- end -->\n" for name in ("host", "bars", "peers", "all")) + "the last words\n"
SVG = "{http://www.w3.org/2000/svg}"


def write(tmp_path: Path, figures: Dict[str, Any], page: str = PAGE) -> subprocess.CompletedProcess:
    (tmp_path / "run.json").write_text(json.dumps(figures))
    (tmp_path / "page.md").write_text(page)
    return subprocess.run(
        [sys.executable, str(ROOT / "Benchmarks" / "report"), str(tmp_path / "run.json"), "--page", str(tmp_path / "page.md"),
         "--chart", str(tmp_path / "chart.svg")], capture_output=True, text=True)


def peer(name: str, what: str, ratio: float) -> Dict[str, Any]:
    found = row(f"peer.{name}.{what}", ratio, value=ratio * 100, unit="/s")
    del found["bar"], found["verdict"], found["number"]
    return found


def test_the_blocks_are_replaced_and_the_words_stay(tmp_path: Path) -> None:
    done = write(tmp_path, run(
        row("a", 1.5, value=1.25, limit=1.6, rounds=[1.4, 1.5, 1.7]),
        row("b", value=19_999.0, unit="/s", of="value", at_most=False, limit=20_000, verdict="short", number="9", rounds=[])))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page.md").read_text() == """\
words before host
<!-- figures: host -->
Measured on 2026-01-02 in a full run of 2 minutes: commit abc, Linux 6.1, 2 processors (A & B), 8 GiB, cgroup v2; load average before it 0.25.
<!-- end -->
words before bars
<!-- figures: bars -->
| # | work | value | ratio | asked |  |
| --- | --- | --- | --- | --- | --- |
| 1 | work a | 1.25 ms | 1.50× | ≤ 1.6× | pass |
| 9 | work b | 19,999 /s |  | ≥ 20,000 /s | **short** |
<!-- end -->
words before peers
<!-- figures: peers -->
No other sandbox was measured in this run.
<!-- end -->
words before all
<!-- figures: all -->
| figure | value | baseline | ratio | of the rounds |
| --- | --- | --- | --- | --- |
| work a | 1.25 ms | 1.00 ms | 1.50× | 1.40 – 1.70 |
| work b | 19,999 /s | 1.00 /s |  |  |
<!-- end -->
the last words
"""


def test_a_page_without_a_place_for_figures_is_left_as_it_is(tmp_path: Path) -> None:
    done = write(tmp_path, run(row("a", 1.5)), page="words\n")
    assert done.returncode == 1 and "expected it once" in done.stderr
    assert (tmp_path / "page.md").read_text() == "words\n" and not (tmp_path / "chart.svg").exists()


def test_the_committed_page_has_a_place_for_every_figure(tmp_path: Path) -> None:
    done = write(tmp_path, run(row("a", 1.5)), page=(ROOT / "docs" / "performance.md").read_text())
    assert done.returncode == 0, done.stderr


def test_a_peer_that_could_not_be_measured_says_why(tmp_path: Path) -> None:
    skipped = {"key": "peer.docker", "name": "docker", "unit": "/s", "rounds": [], "note": "no docker daemon answers"}
    whats = ("nothing.rate", "nothing.p50", "python.rate", "pytest.p50")
    write(tmp_path, run(*[peer("paddock", what, 0.5) for what in whats], skipped))
    lines = (tmp_path / "page.md").read_text().splitlines()
    assert "| paddock | 50.0 /s, 0.500× | 50.0 /s, 0.500× | 50.0 /s, 0.500× | 50.0 /s, 0.500× |" in lines
    assert "| docker | not measured: no docker daemon answers |  |  |  |" in lines


def blocks(chart: Path, colour: str) -> list:
    return [(float(one.get("x")), float(one.get("width"))) for one in ElementTree.parse(chart).getroot().iter(f"{SVG}rect") if one.get("fill") == colour]


def test_in_the_chart_what_passes_lies_right_of_the_bar_and_what_is_short_left_of_it(tmp_path: Path) -> None:
    write(tmp_path, run(
        row("twice as good", 0.5), row("half as good", 2.0, verdict="short"), row("at it", 1.0), row("out of sight", 0.001),
        row("absent", value=None, verdict="not measured", rounds=[])))
    passing, short = blocks(tmp_path / "chart.svg", "#2f7d4f"), blocks(tmp_path / "chart.svg", "#b4502a")
    middle, reach = passing[0]
    assert short == [(round(middle - reach, 1), reach)]
    # Three doublings are the edge.
    assert [width for _, width in passing] == [reach, 1.0, round(3 * reach, 1)]
    words = ElementTree.parse(tmp_path / "chart.svg").getroot().itertext()
    assert {"work twice as good", "0.500×  (≤ 1×)", "not measured"} <= set(words)


def test_in_the_chart_peers_are_as_long_as_their_share_of_the_baseline(tmp_path: Path) -> None:
    whats = ("nothing.rate", "nothing.p50", "python.rate", "pytest.p50")
    write(tmp_path, run(*[peer("paddock", what, 0.5) for what in whats], *[peer("other", what, 0.25) for what in whats]))
    (_, own), (_, whole), (_, other) = blocks(tmp_path / "chart.svg", "#2f7d4f")[0], *blocks(tmp_path / "chart.svg", "#7d8794")[:2]
    assert (own * 2, other * 4) == (whole, whole)


def test_how_far_a_figure_is_from_its_bar_is_the_same_for_latencies_and_rates() -> None:
    assert results.margin(row("a", 0.5, limit=1.0)) == results.margin(row("a", 2.0, limit=1.0, at_most=False)) == 2
    assert results.margin(row("a", value=None, of="value")) is None
