"""A batch of the blocking client: a bounded number of jobs in flight, their ends in the order in which they come.

The thread that iterates starts the jobs and reads the results. Ends that came together are taken together and their
successors leave in one write, which is what makes one thread enough for a farm's worth of jobs.
"""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Dict, Iterable, Iterator, List, Optional, Tuple, Union

from . import methods
from .calls import OutputChunk
from .completed import AnyJob, Completed, OnBatchOutput, check_concurrency
from .errors import PaddockError
from .job import Job
from .methods import JobCall
from .pursuit import Pursuit
from .result import Result
from .waiting import Backlog

if TYPE_CHECKING:
    from .client import Client

_End = Tuple[int, object, Optional[PaddockError]]


class Gathering:
    """The jobs of one batch that are in flight."""

    def __init__(
        self, client: Client, jobs: Iterable[AnyJob], concurrency: int, on_output: Optional[OnBatchOutput]
    ) -> None:
        check_concurrency(concurrency)
        self._client = client
        self._jobs = enumerate(jobs)
        self._concurrency = concurrency
        self._on_output = on_output
        self._running: Dict[int, Tuple[AnyJob, Pursuit, JobCall[Result]]] = {}
        self._backlog = Backlog()
        self._events: queue.SimpleQueue[Union[_End, Tuple[int, OutputChunk]]] = queue.SimpleQueue()

    def completed(self) -> Iterator[Completed]:
        """Each job as it ends. Giving up the iteration cancels those that are in flight."""
        try:
            more = True
            while True:
                ended: List[Completed] = []
                more = more and self._start_some(ended)
                if not self._running and not ended:
                    return
                if not ended:
                    ended.extend(self._next_ends())
                    more = more and self._start_some(ended)
                yield from ended
        finally:
            for _, pursuit, prepared in self._running.values():
                self._client._cancel_run(pursuit, prepared)

    def _start_some(self, ended: List[Completed]) -> bool:
        """Starts what there is room for. Returns whether there may be more."""
        try:
            while len(self._running) < self._concurrency:
                try:
                    index, job = next(self._jobs)
                except StopIteration:
                    return False
                try:
                    self._start(index, job)
                except PaddockError as error:
                    ended.append(Completed(index, job, None, error))
            return True
        finally:
            self._client._channel.flush()

    def _start(self, index: int, job: AnyJob) -> None:
        events = self._events

        def ended(result: object, error: Optional[PaddockError]) -> None:
            events.put((index, result, error))

        def wrote(chunk: OutputChunk) -> None:
            if self._backlog.admit(chunk):
                events.put((index, chunk))

        client, streams = self._client, self._on_output is not None
        prepared, shared = client._prepare(methods.run, job if isinstance(job, Job) else Job(command=job), streams)
        pursuit = client._pursue(prepared, shared, ended, wrote if streams else None)
        self._running[index] = (job, pursuit, prepared)
        pursuit.start(flush=False)

    def _next_ends(self) -> Iterator[Completed]:
        """Waits for at least one end, and takes what has come besides."""
        event = self._events.get()
        while True:
            if len(event) == 3:
                job = self._running.pop(event[0])[0]
                yield self._completed(event, job)
            elif self._on_output is not None:
                self._backlog.took(event[1])
                self._on_output(event[0], event[1])
            try:
                event = self._events.get_nowait()
            except queue.Empty:
                return

    @staticmethod
    def _completed(end: _End, job: AnyJob) -> Completed:
        index, result, error = end
        if error is not None:
            return Completed(index, job, None, error)
        try:
            return Completed(index, job, Result.read(result))
        except PaddockError as unreadable:
            return Completed(index, job, None, unreadable)
