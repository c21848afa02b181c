"""The asyncio client: the methods of `Client`, awaited. Belongs to the event loop on which it is first used."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from types import TracebackType
from typing import (
    TYPE_CHECKING, AsyncIterator, Callable, Coroutine, Iterable, List, Literal, Optional, Sequence, Set, Tuple, Type, TypeVar,
    Union, overload
)

from . import methods
from .aio_channel import AsyncChannel
from .aio_connection import AsyncConnection, AsyncStream
from .aio_gathering import as_completed
from .aio_handle import AsyncJobHandle
from .aio_questions import AsyncQuestions
from .aio_uploads import AsyncUploads
from .calls import OnChunk, OutputChunk
from .completed import AnyJob, Completed, OnBatchOutput, check_concurrency, in_order
from .errors import ConnectionLost, PaddockError, Rejected, TimedOut
from .fields import Json
from .job import Job, JobFields
from .methods import Call, JobCall
from .result import Result
from .retry import Retries, RetryPolicy
from .sharing import SharedContents, Sharing

if TYPE_CHECKING:
    from typing_extensions import Unpack

T = TypeVar("T")
OnOutput = Callable[[OutputChunk], None]
#: How long `close` waits for cancellations that are on their way.
CLOSE_TIMEOUT_S = 5.0


class AsyncClient(AsyncQuestions):
    """A farm's client over one connection, for any number of tasks. The parameters are those of `Client`."""

    def __init__(
        self, socket: Optional[str] = None, *, retry: Optional[RetryPolicy] = None, connect_timeout_s: float = 0.0,
        max_in_flight: int = 10_000, max_outbound_bytes: int = 128 << 20, max_line_bytes: int = 256 << 20,
        share_over_bytes: Optional[int] = 16 << 10,
    ) -> None:
        self._retry = retry if retry is not None else RetryPolicy()
        self._channel = AsyncChannel(
            socket if socket is not None else methods.default_socket(), connect_timeout_s=connect_timeout_s,
            max_in_flight=max_in_flight, max_outbound_bytes=max_outbound_bytes, max_line_bytes=max_line_bytes)
        self._sharing = Sharing(share_over_bytes)
        self._uploads = AsyncUploads(self)
        self._prefix = uuid.uuid4().hex
        self._numbers = itertools.count(1)
        #: Cancellations on their way.
        self._background: Set[asyncio.Future[None]] = set()

    # MARK: the connection

    async def connect(self) -> None:
        """Connects if there is no connection. Raises `ConnectionLost` when there is none by `connect_timeout_s`."""
        await self._channel.connect()

    async def close(self) -> None:
        """Closes the connection and releases every waiting call with `ConnectionLost`. May be called again."""
        self._channel.closed = True
        if self._background:
            # Cancellations on their way: two short calls each.
            await asyncio.wait(list(self._background), timeout=CLOSE_TIMEOUT_S)
        await self._channel.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        await self.close()

    # MARK: jobs

    async def run(
        self, job: Union[Job, Sequence[str], None] = None, *, on_output: Optional[OnOutput] = None,
        timeout_s: Optional[float] = None, **fields: Unpack[JobFields],
    ) -> Result:
        """Runs a job to its end. Cancelling the task cancels the job, and so does `timeout_s`, which raises `TimedOut`.

        `on_output` is called in this task with what the program writes, while it runs.
        """
        running = self._run(Job.of(job, fields), on_output)
        if timeout_s is None:
            return await running
        try:
            return await asyncio.wait_for(running, timeout_s)
        except asyncio.TimeoutError:
            raise TimedOut(f"the job did not end within {timeout_s} s") from None

    async def submit(
        self, job: Union[Job, Sequence[str], None] = None, *, stream: bool = False, **fields: Unpack[JobFields]
    ) -> AsyncJobHandle:
        """Submits a job and returns when it is admitted. With `stream`, its output can be read from the handle."""
        prepared, shared = self._prepare(methods.submit, Job.of(job, fields), stream)
        output = AsyncStream()
        name = await self._follow(prepared, shared, output.chunk if stream else None)
        if not stream:
            return AsyncJobHandle(self, name, None, None)
        ended = asyncio.ensure_future(self._end_of(name, output))
        ended.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        return AsyncJobHandle(self, name, output, ended)

    @overload
    async def gather(
        self, jobs: Iterable[AnyJob], *, concurrency: int = 64, return_exceptions: Literal[False] = False,
        on_output: Optional[OnBatchOutput] = None,
    ) -> List[Result]: ...

    @overload
    async def gather(
        self, jobs: Iterable[AnyJob], *, concurrency: int = 64, return_exceptions: Literal[True],
        on_output: Optional[OnBatchOutput] = None,
    ) -> List[Union[Result, PaddockError]]: ...

    async def gather(
        self, jobs: Iterable[AnyJob], *, concurrency: int = 64, return_exceptions: bool = False,
        on_output: Optional[OnBatchOutput] = None,
    ) -> Union[List[Result], List[Union[Result, PaddockError]]]:
        """Runs jobs, at most `concurrency` at once; returns their results in order. As `Client.gather`."""
        check_concurrency(concurrency)
        completed: List[Completed] = []
        ends = as_completed(self.run, jobs, concurrency, on_output)
        try:
            async for one in ends:
                if one.error is not None and not return_exceptions:
                    raise one.error
                completed.append(one)
        finally:
            await ends.aclose()
        return in_order(completed)

    def as_completed(
        self, jobs: Iterable[AnyJob], *, concurrency: int = 64, on_output: Optional[OnBatchOutput] = None
    ) -> AsyncIterator[Completed]:
        """Runs jobs, at most `concurrency` at once, and yields each as it ends.

        An asynchronous generator: `aclose()` cancels what is in flight.
        """
        check_concurrency(concurrency)
        return as_completed(self.run, jobs, concurrency, on_output)

    # MARK: how a call is made

    async def _do(self, call: Call[T]) -> T:
        retries = Retries(self._retry)
        await self._channel.be_connected()
        while True:
            try:
                return call.read(await (await self._channel.connected()).call(call.method, call.params))
            except PaddockError as error:
                await self._before_next(retries, error)

    async def _run(self, job: Job, on_output: Optional[OnOutput]) -> Result:
        prepared, shared = self._prepare(methods.run, job, on_output is not None)
        if on_output is None:
            return await self._follow(prepared, shared, None)
        output = AsyncStream()
        following = asyncio.ensure_future(self._follow(prepared, shared, output.chunk))
        following.add_done_callback(lambda _: output.end())
        try:
            async for chunk in output:
                on_output(chunk)
            return await following
        finally:
            if not following.done():
                following.cancel()

    async def _follow(
        self, prepared: JobCall[T], shared: Optional[SharedContents], on_chunk: Optional[OnChunk]
    ) -> T:
        """One job's call to its end, tried again while it may."""
        call, retries, lost = prepared.call(), Retries(self._retry), False
        submits = call.method == "job.submit"
        await self._channel.be_connected()
        while True:
            try:
                if shared is not None:
                    await self._uploads.ensure(shared.by_digest)
                connection = await self._channel.connected()
                try:
                    result = await connection.call(call.method, call.params, on_chunk, submits and on_chunk is not None)
                except asyncio.CancelledError:
                    if not submits:
                        self._in_background(self._cancel_run(connection, prepared))
                    raise
                if not lost or prepared.has_own_key or not methods.was_disconnected(result):
                    return call.read(result)
                call = prepared.renewed()
                error: PaddockError = ConnectionLost("the connection was lost, which cancelled the job")
            except PaddockError as raised:
                error = raised
            lost = lost or isinstance(error, ConnectionLost)
            if shared is not None and isinstance(error, Rejected) and error.code == "unknown_blob":
                # The farm has dropped it, or is another one by now.
                self._uploads.forget(shared.by_digest)
            await self._before_next(retries, error, shared is not None)

    async def _before_next(self, retries: Retries, error: PaddockError, shares: bool = False) -> None:
        """Waits for the next try, or raises the error that is the answer."""
        delay = retries.delay(error, shares)
        if delay is None or self._channel.closed or not self._channel.ever_connected:
            raise error
        await asyncio.sleep(delay)

    async def _end_of(self, name: str, output: AsyncStream) -> Result:
        try:
            return await self.wait(name)
        finally:
            self._channel.end_stream(name)
            output.end()

    def _prepare(
        self, kind: Callable[[Json], Call[T]], job: Job, stream: bool
    ) -> Tuple[JobCall[T], Optional[SharedContents]]:
        shared = self._sharing.of(job)
        key = f"{self._prefix}-{next(self._numbers)}"
        return JobCall.of(kind, job, key, stream, shared.by_path if shared else None), shared

    async def _cancel_run(self, connection: AsyncConnection, prepared: JobCall[T]) -> None:
        """Ends a job nobody waits for any more."""
        try:
            named = prepared.to_cancel()
            cancel = methods.cancel(named.read(await connection.call(named.method, named.params)))
            await connection.call(cancel.method, cancel.params)
        except PaddockError:
            pass  # with the connection the job ends too

    def _in_background(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
