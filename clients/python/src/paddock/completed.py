"""One job of a batch that has ended, and how a batch's failures are handed on. Shared by both clients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, List, Optional, Sequence, Union

from .calls import OutputChunk
from .errors import PaddockError
from .job import Job
from .result import Result

#: Called with the job's place in the batch and what it wrote.
OnBatchOutput = Callable[[int, OutputChunk], None]
AnyJob = Union[Job, Sequence[str]]


@dataclass(frozen=True)
class Completed:
    """A job of a batch: its place there, and how it went."""

    index: int
    job: AnyJob
    #: None when there is no result: then `error` says why.
    outcome: Optional[Result]
    error: Optional[PaddockError] = None

    @property
    def result(self) -> Result:
        """The result. Raises the error in its place."""
        if self.outcome is None:
            raise self.error if self.error is not None else PaddockError("neither a result nor an error")
        return self.outcome


def in_order(completed: List[Completed]) -> List[Union[Result, PaddockError]]:
    """Results and errors in the order of the jobs."""
    ends: List[Union[Result, PaddockError]] = []
    for one in sorted(completed, key=lambda one: one.index):
        ends.append(one.error if one.error is not None else one.result)
    return ends


def check_concurrency(concurrency: int) -> None:
    if concurrency < 1:
        raise ValueError(f"concurrency: found {concurrency}, expected at least 1")
