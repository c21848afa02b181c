"""What came of a job. The last step of its journey: decoded JSON -> `Result`.

A program's fate is a value in here, whatever it is; docs/protocol.md says what each field means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Literal, Optional, cast

from . import fields
from .fields import Json
from .job import Labels
from .outcome import Exited, Outcome, read_outcome
from .output import Bytes, Output, decoded, encoded

TestOutcome = Literal["passed", "failed", "error", "skipped", "xfailed", "xpassed"]
Phase = Literal["compile", "run"]
SandboxUse = Literal["fresh", "reused"]


@dataclass(frozen=True)
class Usage:
    """What the job used, and where its time went. What the host cannot measure is None, never zero."""

    wall_time_ms: Optional[float] = None
    cpu_time_ms: Optional[float] = None
    peak_memory_bytes: Optional[int] = None
    peak_processes: Optional[int] = None
    disk_bytes: Optional[int] = None
    disk_inodes: Optional[int] = None
    throttled_ms: Optional[float] = None
    queued_ms: Optional[float] = None
    setup_ms: Optional[float] = None
    run_ms: Optional[float] = None
    teardown_ms: Optional[float] = None

    @classmethod
    def read(cls, value: Json, path: str) -> Usage:
        number, integer = fields.optional_number, fields.optional_integer
        return cls(
            number(value, "wall_time_ms", path), number(value, "cpu_time_ms", path),
            integer(value, "peak_memory_bytes", path), integer(value, "peak_processes", path),
            integer(value, "disk_bytes", path), integer(value, "disk_inodes", path),
            number(value, "throttled_ms", path), number(value, "queued_ms", path), number(value, "setup_ms", path),
            number(value, "run_ms", path), number(value, "teardown_ms", path))


@dataclass(frozen=True)
class DeniedSyscall:
    """A syscall the policy denied, and how often it was tried."""

    syscall: str
    count: int

    @classmethod
    def read(cls, value: Json, path: str) -> DeniedSyscall:
        return cls(fields.text(value, "syscall", path), fields.integer(value, "count", path))


@dataclass(frozen=True)
class CollectedFile:
    """A file brought back. `size` is its size in the sandbox, more than `len(bytes)` where it was cut."""

    path: str
    bytes: Bytes
    size: int
    truncated: bool
    mode: int

    @property
    def text(self) -> str:
        """The bytes as UTF-8, with what is not replaced."""
        return decoded(self.bytes)

    @classmethod
    def read(cls, value: Json, path: str) -> CollectedFile:
        mode = fields.text(value, "mode", path)
        try:
            bits = int(mode, 8)
        except ValueError:
            raise fields.wrong(f"{path}.mode", mode, "octal digits") from None
        return cls(
            fields.text(value, "path", path), encoded(fields.content(value, path)),
            fields.integer(value, "size", path), fields.boolean(value, "truncated", path), bits)


@dataclass(frozen=True)
class CompileReport:
    """The compile step of a source job. `cached`: an equal step was run for an earlier job, and this is its report."""

    outcome: Outcome
    stdout: Output
    stderr: Output
    usage: Usage
    cached: bool = False

    @classmethod
    def read(cls, value: Json, path: str) -> CompileReport:
        return cls(
            read_outcome(value, path), Output.read(fields.obj(value.get("stdout"), f"{path}.stdout"), f"{path}.stdout"),
            Output.read(fields.obj(value.get("stderr"), f"{path}.stderr"), f"{path}.stderr"),
            Usage.read(fields.obj(value.get("usage"), f"{path}.usage"), f"{path}.usage"),
            fields.optional_boolean(value, "cached", path) or False)


@dataclass(frozen=True)
class TestCase:
    """One test, in its framework's own name and pytest's words."""

    __test__ = False

    id: str
    outcome: TestOutcome
    duration_ms: Optional[float] = None
    message: str = ""

    @classmethod
    def read(cls, value: Json, path: str) -> TestCase:
        return cls(
            fields.text(value, "id", path), cast(TestOutcome, fields.text(value, "outcome", path)),
            fields.optional_number(value, "duration_ms", path), fields.optional_text(value, "message", path) or "")


@dataclass(frozen=True)
class TestReport:
    """A suite. `passed` is true only of a suite that ran to its end, in which something passed and nothing failed."""

    __test__ = False

    framework: str
    complete: bool
    #: Why the suite is not complete.
    reason: Optional[str]
    passed: bool
    #: How many tests the suite said it would run.
    expected: Optional[int]
    #: Whether every test of `fail_to_pass` and `pass_to_pass` passed; None without such lists.
    resolved: Optional[bool]
    tests: List[TestCase]

    def count(self, outcome: TestOutcome) -> int:
        return sum(test.outcome == outcome for test in self.tests)

    @classmethod
    def read(cls, value: Json, path: str) -> TestReport:
        return cls(
            fields.text(value, "framework", path), fields.boolean(value, "complete", path),
            fields.optional_text(value, "reason", path), fields.boolean(value, "passed", path),
            fields.optional_integer(value, "expected", path), fields.optional_boolean(value, "resolved", path),
            fields.items(value, "tests", path, TestCase.read))


@dataclass(frozen=True)
class Result:
    """The answer to a job that was started."""

    job: str
    outcome: Outcome
    #: The part of the job `outcome` speaks of: a compile error is `exited` in phase `compile`.
    phase: Phase
    stdout: Output
    stderr: Output
    usage: Usage
    denied: List[DeniedSyscall]
    #: Mechanisms the host could not enforce.
    unenforced: List[str]
    files: List[CollectedFile]
    #: Files that match and whose names are not UTF-8, which were not brought back: such bytes are written as `\\xff`.
    files_skipped: List[str]
    #: Whether there may be files that match and are not among `files`, because there were too many.
    files_truncated: bool
    #: The template it was forked from; `None` for one whose command started by itself.
    template: Optional[str]
    compile: Optional[CompileReport]
    tests: Optional[TestReport]
    labels: Labels
    #: `reused` where an earlier job of its group was in the sandbox and left its files; None for a job that never had one.
    sandbox: Optional[SandboxUse] = None

    @property
    def ok(self) -> bool:
        """The program ran and returned 0."""
        return self.phase == "run" and isinstance(self.outcome, Exited) and self.outcome.exit_code == 0

    @property
    def passed(self) -> bool:
        """The job had tests, and its suite passed. The only thing to score as a pass."""
        return self.tests is not None and self.tests.passed

    def file(self, path: str) -> Optional[CollectedFile]:
        """The collected file of that path."""
        return next((file for file in self.files if file.path == path), None)

    @classmethod
    def read(cls, value: object, path: str = "result") -> Result:
        found = fields.obj(value, path)
        phase = fields.text(found, "phase", path)
        if phase != "run" and phase != "compile":
            raise fields.wrong(f"{path}.phase", phase, "run or compile")
        sandbox = fields.optional_text(found, "sandbox", path)
        if sandbox is not None and sandbox != "fresh" and sandbox != "reused":
            raise fields.wrong(f"{path}.sandbox", sandbox, "fresh or reused")
        compiled, tests = found.get("compile"), found.get("tests")
        labels = fields.obj(found.get("labels", {}), f"{path}.labels")
        return cls(
            fields.text(found, "job", path), read_outcome(found, path), "run" if phase == "run" else "compile",
            Output.read(fields.obj(found.get("stdout"), f"{path}.stdout"), f"{path}.stdout"),
            Output.read(fields.obj(found.get("stderr"), f"{path}.stderr"), f"{path}.stderr"),
            Usage.read(fields.obj(found.get("usage"), f"{path}.usage"), f"{path}.usage"),
            fields.items(found, "denied", path, DeniedSyscall.read), fields.texts(found, "unenforced", path),
            fields.items(found, "files", path, CollectedFile.read),
            fields.texts(found, "files_skipped", path),
            fields.optional_boolean(found, "files_truncated", path) or False, fields.optional_text(found, "template", path),
            None if compiled is None else CompileReport.read(fields.obj(compiled, f"{path}.compile"), f"{path}.compile"),
            None if tests is None else TestReport.read(fields.obj(tests, f"{path}.tests"), f"{path}.tests"),
            Labels(fields.optional_text(labels, "rollout", path), fields.optional_text(labels, "group", path)),
            None if sandbox is None else "reused" if sandbox == "reused" else "fresh")
