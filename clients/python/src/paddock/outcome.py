"""A program's fate: how a step ended, by its own doing or by someone's who ended it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Union

from . import fields
from .fields import Json


#: What a limit is measured in.
UNITS = {
    "cpu_time": "ms", "wall_time": "ms", "memory": "bytes", "processes": "processes", "disk": "bytes",
    "disk_inodes": "inodes", "output": "bytes", "open_files": "files", "stack": "bytes", "file_size": "bytes",
}


@dataclass(frozen=True)
class Exited:
    """The program returned by itself."""

    exit_code: int
    kind: ClassVar[Literal["exited"]] = "exited"

    def __str__(self) -> str:
        return f"exited {self.exit_code}"


@dataclass(frozen=True)
class Signaled:
    """A signal ended the program that the farm did not send, such as `SIGSEGV`."""

    signal: str
    kind: ClassVar[Literal["signaled"]] = "signaled"

    def __str__(self) -> str:
        return f"signaled {self.signal}"


@dataclass(frozen=True)
class LimitExceeded:
    """A limit ended it. `asked` and `used` are in the limit's own unit, `unit`."""

    limit: str
    asked: int
    used: int
    kind: ClassVar[Literal["limit_exceeded"]] = "limit_exceeded"

    @property
    def unit(self) -> str:
        """`ms`, `bytes`, or what is counted: `processes`, `inodes`, `files`; empty for a limit this client does not know."""
        return UNITS.get(self.limit, "")

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return f"limit exceeded: {self.limit} (asked {self.asked}{unit})"


@dataclass(frozen=True)
class SyscallDenied:
    """The policy ended it at a syscall."""

    syscall: str
    kind: ClassVar[Literal["syscall_denied"]] = "syscall_denied"

    def __str__(self) -> str:
        return f"syscall denied: {self.syscall}"


@dataclass(frozen=True)
class Cancelled:
    """Someone ended it: `client`, `deadline`, `drain` or `disconnect`."""

    by: str
    kind: ClassVar[Literal["cancelled"]] = "cancelled"

    def __str__(self) -> str:
        return f"cancelled by {self.by}"


Outcome = Union[Exited, Signaled, LimitExceeded, SyscallDenied, Cancelled]


def read_outcome(value: Json, path: str) -> Outcome:
    kind = fields.text(value, "outcome", path)
    if kind == "exited":
        return Exited(fields.integer(value, "exit_code", path))
    if kind == "signaled":
        return Signaled(fields.text(value, "signal", path))
    if kind == "limit_exceeded":
        return LimitExceeded(
            fields.text(value, "limit", path), fields.integer(value, "asked", path), fields.integer(value, "used", path))
    if kind == "syscall_denied":
        return SyscallDenied(fields.text(value, "syscall", path))
    if kind == "cancelled":
        return Cancelled(fields.text(value, "by", path))
    raise fields.wrong(f"{path}.outcome", kind, "exited, signaled, limit_exceeded, syscall_denied or cancelled")
