"""The ways in which a call has no answer. What a program does is never one of them: that is a `Result`.

`Rejected`: nothing happened. `FarmError`: the farm failed, never to be scored. `ConnectionLost` and `TimedOut`: what
became of the call is not known here. `ProtocolError`: the other end does not speak the protocol.
"""

from __future__ import annotations

import errno
from typing import Optional


class PaddockError(Exception):
    """Base of everything this package raises on purpose, except for wrong types in the caller's own code."""


class Rejected(PaddockError):
    """A job or a request that was turned away; nothing happened.

    `code` is the protocol's word (`invalid_request`, `queue_full`, `unknown_pool`…), `field` the path of the parameter
    at fault (`files[2].path`), `retry_after_ms` when the farm says when to come back.
    """

    def __init__(
        self, code: str, message: str, field: Optional[str] = None, retry_after_ms: Optional[int] = None
    ) -> None:
        super().__init__(code, message, field, retry_after_ms)
        self.code = code
        self.message = message
        self.field = field
        self.retry_after_ms = retry_after_ms

    def __str__(self) -> str:
        where = f" in {self.field}" if self.field else ""
        later = "" if self.retry_after_ms is None else f" (try again in {self.retry_after_ms / 1000:g} s)"
        return f"rejected, {self.code}{where}: {self.message}{later}"


class FarmError(PaddockError):
    """The farm could not do its work. `retryable` says whether the same job may succeed when tried again."""

    def __init__(self, code: str, message: str, retryable: bool = False) -> None:
        super().__init__(code, message, retryable)
        self.code = code
        self.message = message
        self.retryable = retryable

    def __str__(self) -> str:
        later = " (the same job may succeed when tried again)" if self.retryable else ""
        return f"the farm failed, {self.code}: {self.message}{later}"


class ConnectionLost(PaddockError):
    """There is no connection: it could not be made, it ended, or the client was closed."""


def cannot_connect(path: str, error: BaseException) -> ConnectionLost:
    """Why there is no farm at `path`, and what to do about it."""
    number = getattr(error, "errno", None)
    start = f"start one with 'paddock serve --socket {path}', or name the socket of one with Client(PATH) or PADDOCK_SOCKET"
    known = {
        errno.ENOENT: f"no farm has its socket there; {start}",
        errno.ECONNREFUSED: f"the farm that had its socket there is gone; {start}",
        errno.EACCES: "not permitted; ask the farm's user for access to the socket ('socket_mode' in the farm's file)",
        errno.EAGAIN: "the farm accepts no connections right now; look at its log",
    }
    reason = known.get(number) if isinstance(number, int) else None
    return ConnectionLost(f"cannot connect to {path}: {reason or getattr(error, 'strerror', None) or str(error) or 'it took too long'}")


class ProtocolError(PaddockError):
    """The other end sent what the protocol does not allow. The connection it came on is closed."""


class TimedOut(PaddockError):
    """The time the caller gave has passed. Says nothing about the job, except where the method says so."""
