"""What the asyncio client asks of a farm in one call: the methods of `Questions`, awaited."""

from __future__ import annotations

from typing import List, Optional, Sequence, TypeVar, Union

from . import methods
from .errors import TimedOut
from .job import Blob
from .methods import Call
from .result import Result
from .sharing import sha256
from .status import FarmInfo, FarmStats, JobList, JobState, JobStatus, PoolStatus, Reuse

T = TypeVar("T")


class AsyncQuestions:
    async def _do(self, call: Call[T]) -> T:
        """Makes a call and waits for its answer."""
        raise NotImplementedError

    # MARK: jobs

    async def wait(self, job: str, timeout_s: Optional[float] = None) -> Result:
        """Waits for a submitted job's result. Raises `TimedOut` when there is none in time; the job goes on."""
        result = await self._do(methods.wait(job, timeout_s))
        if result is None:
            raise TimedOut(f"job {job} did not end within {timeout_s} s")
        return result

    async def get(self, job: str) -> JobStatus:
        """Where a job is, with its result when it is done."""
        return await self._do(methods.get(job))

    async def cancel(self, job: str) -> JobState:
        """Ends a job; returns the state it was in."""
        return await self._do(methods.cancel(job))

    async def jobs(
        self, *, state: Optional[JobState] = None, pool: Optional[str] = None, limit: Optional[int] = None
    ) -> JobList:
        """The farm's jobs, without their results. For operators."""
        return await self._do(methods.jobs(state, pool, limit))

    # MARK: blobs

    async def put_blob(self, content: Union[str, bytes]) -> Blob:
        """Uploads bytes that jobs then name, unless the farm has them already."""
        blob = Blob(sha256(content))
        return blob if await self.has_blobs([blob]) else await self._do(methods.put_blob(content, blob.sha256))

    async def missing_blobs(self, blobs: Sequence[Union[Blob, str]]) -> List[Blob]:
        """Those of the blobs that the farm does not have."""
        return await self._do(methods.missing_blobs(blobs))

    async def has_blobs(self, blobs: Sequence[Union[Blob, str]]) -> bool:
        """Whether the farm has all of them."""
        return not await self.missing_blobs(blobs)

    # MARK: the farm

    async def info(self) -> FarmInfo:
        return await self._do(methods.info())

    async def stats(self) -> FarmStats:
        """Counts and figures since the daemon started. For operators, as everything about pools."""
        return await self._do(methods.stats())

    async def pools(self) -> List[PoolStatus]:
        return await self._do(methods.pools())

    async def set_pool(
        self, pool: str, *, size: Optional[int] = None, queue: Optional[int] = None, image: Optional[str] = None,
        policy: Optional[str] = None, reuse: Optional[Reuse] = None,
    ) -> PoolStatus:
        """Changes a pool, or makes it."""
        return await self._do(methods.set_pool(pool, size, queue, image, policy, reuse))

    async def drain_pool(self, pool: str) -> PoolStatus:
        """The pool takes no new jobs and finishes those it has."""
        return await self._do(methods.drain_pool(pool))

    async def resume_pool(self, pool: str) -> PoolStatus:
        return await self._do(methods.resume_pool(pool))
