"""What the blocking client asks of a farm in one call: of jobs that were submitted, blobs, pools and the farm itself."""

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


class Questions:
    def _do(self, call: Call[T]) -> T:
        """Makes a call and waits for its answer."""
        raise NotImplementedError

    # MARK: jobs

    def wait(self, job: str, timeout_s: Optional[float] = None) -> Result:
        """Waits for a submitted job's result. Raises `TimedOut` when there is none in time; the job goes on."""
        result = self._do(methods.wait(job, timeout_s))
        if result is None:
            raise TimedOut(f"job {job} did not end within {timeout_s} s")
        return result

    def get(self, job: str) -> JobStatus:
        """Where a job is, with its result when it is done."""
        return self._do(methods.get(job))

    def cancel(self, job: str) -> JobState:
        """Ends a job; returns the state it was in."""
        return self._do(methods.cancel(job))

    def jobs(
        self, *, state: Optional[JobState] = None, pool: Optional[str] = None, limit: Optional[int] = None
    ) -> JobList:
        """The farm's jobs, without their results. For operators."""
        return self._do(methods.jobs(state, pool, limit))

    # MARK: blobs

    def put_blob(self, content: Union[str, bytes]) -> Blob:
        """Uploads bytes that jobs then name, unless the farm has them already."""
        blob = Blob(sha256(content))
        return blob if self.has_blobs([blob]) else self._do(methods.put_blob(content, blob.sha256))

    def missing_blobs(self, blobs: Sequence[Union[Blob, str]]) -> List[Blob]:
        """Those of the blobs that the farm does not have."""
        return self._do(methods.missing_blobs(blobs))

    def has_blobs(self, blobs: Sequence[Union[Blob, str]]) -> bool:
        """Whether the farm has all of them."""
        return not self.missing_blobs(blobs)

    # MARK: the farm

    def info(self) -> FarmInfo:
        return self._do(methods.info())

    def stats(self) -> FarmStats:
        """Counts and figures since the daemon started. For operators, as everything about pools."""
        return self._do(methods.stats())

    def pools(self) -> List[PoolStatus]:
        return self._do(methods.pools())

    def set_pool(
        self, pool: str, *, size: Optional[int] = None, queue: Optional[int] = None, image: Optional[str] = None,
        policy: Optional[str] = None, reuse: Optional[Reuse] = None,
    ) -> PoolStatus:
        """Changes a pool, or makes it."""
        return self._do(methods.set_pool(pool, size, queue, image, policy, reuse))

    def drain_pool(self, pool: str) -> PoolStatus:
        """The pool takes no new jobs and finishes those it has."""
        return self._do(methods.drain_pool(pool))

    def resume_pool(self, pool: str) -> PoolStatus:
        return self._do(methods.resume_pool(pool))
