"""A job that was submitted with the blocking client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, Optional

from .calls import OutputChunk
from .result import Result
from .status import JobState, JobStatus
from .waiting import Stream

if TYPE_CHECKING:
    from .client import Client


class JobHandle:
    """`id` is the farm's name for the job. The farm keeps the result for a while after the job ended."""

    def __init__(self, client: Client, name: str, stream: Optional[Stream]) -> None:
        self.id = name
        self._client = client
        self._stream = stream

    def wait(self, timeout_s: Optional[float] = None) -> Result:
        """The result. Raises `TimedOut` when there is none in time; the job goes on."""
        if self._stream is not None:
            return Result.read(self._stream.wait(timeout_s))
        return self._client.wait(self.id, timeout_s)

    def output(self, timeout_s: Optional[float] = None) -> Iterator[OutputChunk]:
        """What the job writes, as it comes, until it ends. For a job that was submitted with `stream=True`."""
        if self._stream is None:
            raise ValueError("the job was submitted without stream=True")
        return self._stream.chunks(timeout_s)

    def status(self) -> JobStatus:
        return self._client.get(self.id)

    def cancel(self) -> JobState:
        """Ends the job; returns the state it was in."""
        return self._client.cancel(self.id)

    def __repr__(self) -> str:
        return f"JobHandle({self.id!r})"
