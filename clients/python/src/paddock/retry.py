"""When to try again, and for how long. Decides only; it neither waits nor calls."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Optional

from .errors import ConnectionLost, FarmError, PaddockError, Rejected


@dataclass(frozen=True)
class RetryPolicy:
    """How persistent a client is: at most `attempts` tries, and at most `total_s` seconds of waiting between them.

    Waits double from `first_s` to `longest_s`, or are what the farm asks for where that is longer; each is lengthened
    by up to `jitter` of itself, so that a thousand clients do not come back at once. `RetryPolicy(attempts=1)` never
    tries again.
    """

    attempts: int = 20
    total_s: float = 120.0
    first_s: float = 0.05
    longest_s: float = 5.0
    jitter: float = 0.5


class Retries:
    """The tries of one call."""

    __slots__ = ("_policy", "_attempts", "_waited")

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._attempts = 1
        self._waited = 0.0

    def delay(self, error: PaddockError, shares: bool = False) -> Optional[float]:
        """Seconds to wait before the next try; None when `error` is the answer.

        `shares`: the client put the job's blobs itself, and can put them again.
        """
        policy = self._policy
        if not is_retryable(error) and not (shares and _lacks_blob(error)) or self._attempts >= policy.attempts:
            return None
        wait = min(policy.first_s * 2.0 ** (self._attempts - 1), policy.longest_s)
        if isinstance(error, Rejected) and error.retry_after_ms is not None:
            wait = max(wait, error.retry_after_ms / 1000)
        wait *= 1 + policy.jitter * random.random()
        if self._waited + wait > policy.total_s:
            return None
        self._attempts += 1
        self._waited += wait
        return wait


def is_retryable(error: PaddockError) -> bool:
    """Whether the same call may succeed later, without anything of it having happened that would then happen twice."""
    if isinstance(error, Rejected):
        return error.code in ("queue_full", "draining")
    if isinstance(error, FarmError):
        return error.retryable
    return isinstance(error, ConnectionLost)


def _lacks_blob(error: PaddockError) -> bool:
    return isinstance(error, Rejected) and error.code == "unknown_blob"
