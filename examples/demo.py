"""Sends a batch of coding tasks with their unit tests to a farm, and one job that tries to break out.

    python3 examples/demo.py /run/paddock/paddock.sock

Shows progress, then a table. Exits 1 when any verdict is not the one its task expects, 2 when the farm cannot be used.
"""

from __future__ import annotations

import argparse
import sys
import time

import paddock
from tasks import Task, all_tasks, hostile
from verdict import mebibytes, seconds, verdict

BAR = 32


class Progress:
    """A line that is drawn again and again on a terminal; elsewhere, a line for each task that ended."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._live = sys.stdout.isatty()
        self.draw("")

    def ended(self, name: str, found: str) -> None:
        self._done += 1
        if self._live:
            self.draw(name)
        else:
            print(f"[{self._done:>2}/{self._total}] {name}: {found}", flush=True)

    def draw(self, name: str) -> None:
        if self._live:
            full = BAR * self._done // self._total
            print(f"\r\x1b[K  {'━' * full}{'╌' * (BAR - full)}  {self._done}/{self._total}  {name}", end="", flush=True)

    def clear(self) -> None:
        print("\r\x1b[K" if self._live else "", end="\n" if not self._live else "", flush=True)


def installed(client: paddock.Client, tasks: list[Task]) -> tuple[list[Task], list[str]]:
    """The tasks whose programs the image has, and the programs that it lacks."""
    needed = sorted({task.needs for task in tasks})
    answers = client.gather([["sh", "-c", 'command -v "$0"', program] for program in needed])
    missing = [program for program, answer in zip(needed, answers) if not answer.ok]
    return [task for task in tasks if task.needs not in missing], missing


def hostile_verdict(end: paddock.Result | paddock.PaddockError) -> str:
    """`blocked` when nothing it tried was done and what it tried is named."""
    if isinstance(end, paddock.PaddockError):
        return verdict(end)
    named = {denied.syscall for denied in end.denied}
    return "blocked" if end.ok and named >= hostile.DENIED else f"not blocked: {end.outcome}, denied {sorted(named)}"


def row(name: str, language: str, found: str, expected: str, end: paddock.Result | paddock.PaddockError) -> str:
    usage = end.usage if isinstance(end, paddock.Result) else paddock.Usage()
    note = "" if found == expected else f"   expected: {expected}"
    return (
        f"  {name:<28}{language:<12}{found:<28}{seconds(usage.run_ms):>8}{mebibytes(usage.peak_memory_bytes):>10}{note}")


def show(client: paddock.Client) -> int:
    """Runs everything and prints it. Returns how many verdicts are not as expected."""
    info = client.info()
    tasks, missing = installed(client, all_tasks())
    print(f"paddock {info.version} on Linux {info.host.kernel}, {info.host.cpus} processors, cgroup {info.host.cgroup}")
    print(f"{len(tasks)} coding tasks with their unit tests, and one job that tries to break out\n", flush=True)

    expected = [task.expected for task in tasks] + ["blocked"]
    names = [(task.name, task.language) for task in tasks] + [("break out of the sandbox", "Python")]
    ends: dict[int, paddock.Result | paddock.PaddockError] = {}
    found: dict[int, str] = {}
    progress = Progress(len(names))
    begun = time.monotonic()
    for one in client.as_completed([task.job for task in tasks] + [hostile.JOB]):
        end = ends[one.index] = one.error if one.error is not None else one.result
        found[one.index] = hostile_verdict(end) if one.index == len(tasks) else verdict(end)
        progress.ended(names[one.index][0], found[one.index])
    took = time.monotonic() - begun
    progress.clear()

    print(f"  {'task':<28}{'language':<12}{'verdict':<28}{'time':>8}{'memory':>10}")
    print(f"  {'-' * 86}")
    for at, (name, language) in enumerate(names):
        print(row(name, language, found[at], expected[at], ends[at]))
    last = ends[len(tasks)]
    if isinstance(last, paddock.Result):
        print("\nWhat the hostile job tried, and what came of it:")
        for line in last.stdout.text.splitlines():
            print(f"  {line}")
        print("Blocked syscalls: " + ", ".join(f"{denied.syscall} ×{denied.count}" for denied in last.denied))

    if missing:
        print(f"\nLeft out, for want of {', '.join(missing)} in the image: {len(all_tasks()) - len(tasks)} tasks")
    if info.unenforced:
        print(f"Not enforced on this host: {', '.join(info.unenforced)}")
    wrong = sum(found[at] != expected[at] for at in range(len(names)))
    passed = sum(word == "passed" for word in found.values())
    print(
        f"\n{len(names)} jobs in {took:.1f} s, {len(names) / took:.1f} jobs/s: {passed} passed, "
        f"{len(names) - passed} did not; {wrong or 'no'} verdict{'' if wrong == 1 else 's'} other than expected")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description="Run a batch of coding tasks on a farm.")
    parser.add_argument("socket", nargs="?", help="the farm's socket (default: PADDOCK_SOCKET, or the daemon's own)")
    try:
        with paddock.Client(parser.parse_args().socket, connect_timeout_s=30) as client:
            return 1 if show(client) else 0
    except paddock.PaddockError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
