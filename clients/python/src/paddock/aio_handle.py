"""A job that was submitted with the asyncio client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, AsyncIterator, Optional

from .aio_connection import AsyncStream
from .calls import OutputChunk
from .errors import TimedOut
from .result import Result
from .status import JobState, JobStatus

if TYPE_CHECKING:
    from .aio import AsyncClient


class AsyncJobHandle:
    """`id` is the farm's name for the job. The farm keeps the result for a while after the job ended."""

    def __init__(
        self, client: AsyncClient, name: str, stream: Optional[AsyncStream], ended: Optional[asyncio.Future[Result]]
    ) -> None:
        self.id = name
        self._client = client
        self._stream = stream
        self._ended = ended

    async def wait(self, timeout_s: Optional[float] = None) -> Result:
        """The result. Raises `TimedOut` when there is none in time; the job goes on."""
        if self._ended is None:
            return await self._client.wait(self.id, timeout_s)
        try:
            return await asyncio.wait_for(asyncio.shield(self._ended), timeout_s)
        except asyncio.TimeoutError:
            raise TimedOut(f"job {self.id} did not end within {timeout_s} s") from None

    def output(self) -> AsyncIterator[OutputChunk]:
        """What the job writes, as it comes, until it ends. For a job that was submitted with `stream=True`."""
        if self._stream is None:
            raise ValueError("the job was submitted without stream=True")
        return self._stream

    async def status(self) -> JobStatus:
        return await self._client.get(self.id)

    async def cancel(self) -> JobState:
        """Ends the job; returns the state it was in."""
        return await self._client.cancel(self.id)

    def __repr__(self) -> str:
        return f"AsyncJobHandle({self.id!r})"
