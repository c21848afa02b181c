"""A batch of the asyncio client: as many workers as jobs may be in flight, each taking the next job when it is done."""

from __future__ import annotations

import asyncio
from typing import AsyncGenerator, Awaitable, Iterable, List, Optional, Protocol, Sequence, Union

from .calls import OnChunk, OutputChunk
from .completed import AnyJob, Completed, OnBatchOutput
from .errors import PaddockError
from .job import Job
from .result import Result


class Run(Protocol):
    def __call__(
        self, job: Union[Job, Sequence[str], None], *, on_output: Optional[OnChunk] = None
    ) -> Awaitable[Result]: ...


async def as_completed(
    run: Run, jobs: Iterable[AnyJob], concurrency: int, on_output: Optional[OnBatchOutput]
) -> AsyncGenerator[Completed, None]:
    """Each job as it ends. Ends that nobody takes hold their workers up, so that they stay few."""
    source = enumerate(jobs)
    ends: asyncio.Queue[Union[Completed, BaseException, None]] = asyncio.Queue(concurrency)

    async def work() -> None:
        try:
            for index, job in source:
                try:
                    result = await run(job, on_output=None if on_output is None else _at(index, on_output))
                    await ends.put(Completed(index, job, result))
                except PaddockError as error:
                    await ends.put(Completed(index, job, None, error))
            await ends.put(None)
        except Exception as error:  # of the caller's own iterator or callback
            await ends.put(error)

    workers: List[asyncio.Future[None]] = [asyncio.ensure_future(work()) for _ in range(concurrency)]
    try:
        left = len(workers)
        while left:
            end = await ends.get()
            if end is None:
                left -= 1
            elif isinstance(end, Completed):
                yield end
            else:
                raise end
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


def _at(index: int, on_output: OnBatchOutput) -> OnChunk:
    def wrote(chunk: OutputChunk) -> None:
        on_output(index, chunk)

    return wrote
