"""The blocking client. Any number of threads may share one.

A call goes: the job as JSON -> `Pursuit` (uploads, retries) -> `Channel` (the socket) -> back to the waiting thread,
which reads the answer, so that the thread that reads the socket does little else.
"""

from __future__ import annotations

import itertools
import os
import time
import uuid
import weakref
from types import TracebackType
from typing import (
    TYPE_CHECKING, Callable, Iterable, Iterator, List, Literal, Optional, Sequence, Tuple, Type, TypeVar, Union, overload
)

from . import methods
from .calls import OnChunk, OnEnd, OutputChunk
from .channel import Channel
from .completed import AnyJob, Completed, OnBatchOutput, in_order
from .errors import ConnectionLost, PaddockError
from .fields import Json
from .gathering import Gathering
from .handle import JobHandle
from .job import Job, JobFields
from .methods import Call, JobCall
from .pursuit import Pursuit, Uploads
from .questions import Questions
from .result import Result
from .retry import RetryPolicy
from .sharing import SharedContents, Sharing
from .waiting import Slot, Stream

if TYPE_CHECKING:
    from typing_extensions import Unpack

T = TypeVar("T")
OnOutput = Callable[[OutputChunk], None]
_clients: "weakref.WeakSet[Client]" = weakref.WeakSet()


class Client(Questions):
    """A farm's client over one connection, made at the first call and made again when it is lost.

    - `socket`: path of the farm's socket; PADDOCK_SOCKET or the daemon's own default without it.
    - `retry`: how persistent calls are; see `RetryPolicy`.
    - `connect_timeout_s`: how long `connect` and the first call wait for the farm to be there.
    - `max_in_flight`, `max_outbound_bytes`: beyond these, a call waits before it is sent.
    - `max_line_bytes`: the longest answer that is taken.
    - `share_over_bytes`: contents of files from this size on that a second job brings are uploaded once as a blob and
      named from then on; None: never.
    """

    def __init__(
        self, socket: Optional[str] = None, *, retry: Optional[RetryPolicy] = None, connect_timeout_s: float = 0.0,
        max_in_flight: int = 10_000, max_outbound_bytes: int = 128 << 20, max_line_bytes: int = 256 << 20,
        share_over_bytes: Optional[int] = 16 << 10,
    ) -> None:
        self._retry = retry if retry is not None else RetryPolicy()
        self._connect_timeout_s = connect_timeout_s
        self._channel = Channel(
            socket if socket is not None else methods.default_socket(), max_in_flight=max_in_flight,
            max_outbound_bytes=max_outbound_bytes, max_line_bytes=max_line_bytes)
        self._uploads = Uploads(self._channel, self._retry)
        self._sharing = Sharing(share_over_bytes)
        self._new_keys()
        # Closes the channel when this client is collected. Not when the interpreter exits: that would wake daemon threads that
        # wait, to write of a lost connection while the interpreter takes its streams apart, which ends it by SIGABRT.
        self._finalizer = weakref.finalize(self, self._channel.release)
        self._finalizer.atexit = False
        _clients.add(self)

    def _new_keys(self) -> None:
        self._prefix = uuid.uuid4().hex
        self._numbers = itertools.count(1)

    def _forget_after_fork(self) -> None:
        self._channel.forget_after_fork()
        self._uploads.forget_after_fork()
        self._sharing.forget_after_fork()
        self._new_keys()

    # MARK: the connection

    def connect(self) -> None:
        """Connects if there is no connection. Raises `ConnectionLost` when there is none by `connect_timeout_s`."""
        give_up = time.monotonic() + self._connect_timeout_s
        while True:
            try:
                return self._channel.connect()
            except ConnectionLost:
                if self._channel.closed or time.monotonic() >= give_up:
                    raise
                time.sleep(0.02)

    def close(self) -> None:
        """Closes the connection and releases every waiting call with `ConnectionLost`. May be called again."""
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    # MARK: jobs

    def run(
        self, job: Union[Job, Sequence[str], None] = None, *, on_output: Optional[OnOutput] = None,
        timeout_s: Optional[float] = None, **fields: Unpack[JobFields],
    ) -> Result:
        """Runs a job to its end: a `Job`, a command, or a job's fields as keyword arguments.

        `on_output` is called on this thread with what the program writes, while it runs. A job that is not done within
        `timeout_s`, or whose waiting is interrupted, is cancelled.
        Raises `Rejected`, `FarmError`, `ConnectionLost`, `ProtocolError` and `TimedOut`.
        """
        prepared, shared = self._prepare(methods.run, Job.of(job, fields), on_output is not None)
        waiting = Slot() if on_output is None else Stream()
        pursuit = self._pursue(prepared, shared, waiting.end, waiting.chunk if isinstance(waiting, Stream) else None)
        self._be_connected()
        try:
            pursuit.start()
            if isinstance(waiting, Stream) and on_output is not None:
                for chunk in waiting.chunks(timeout_s):
                    on_output(chunk)
            return Result.read(waiting.wait(timeout_s))
        except BaseException:
            if not waiting.ended:
                self._cancel_run(pursuit, prepared)
            raise

    def submit(
        self, job: Union[Job, Sequence[str], None] = None, *, stream: bool = False, **fields: Unpack[JobFields]
    ) -> JobHandle:
        """Submits a job and returns when it is admitted. With `stream`, its output can be read from the handle."""
        prepared, shared = self._prepare(methods.submit, Job.of(job, fields), stream)
        waiting, output = Slot(), Stream()
        self._be_connected()
        self._pursue(prepared, shared, waiting.end, output.chunk if stream else None).start()
        name = prepared.call().read(waiting.wait())
        if not stream:
            return JobHandle(self, name, None)

        def ended(result: object, error: Optional[PaddockError]) -> None:
            channel.end_stream(name)
            output.end(result, error)

        channel = self._channel
        Pursuit(channel, self._retry, methods.wait(name, None), ended).start()
        return JobHandle(self, name, output)

    @overload
    def gather(
        self, jobs: Iterable[AnyJob], *, concurrency: int = 64, return_exceptions: Literal[False] = False,
        on_output: Optional[OnBatchOutput] = None,
    ) -> List[Result]: ...

    @overload
    def gather(
        self, jobs: Iterable[AnyJob], *, concurrency: int = 64, return_exceptions: Literal[True],
        on_output: Optional[OnBatchOutput] = None,
    ) -> List[Union[Result, PaddockError]]: ...

    def gather(
        self, jobs: Iterable[AnyJob], *, concurrency: int = 64, return_exceptions: bool = False,
        on_output: Optional[OnBatchOutput] = None,
    ) -> Union[List[Result], List[Union[Result, PaddockError]]]:
        """Runs jobs, at most `concurrency` at once; returns their results in order.

        The first job without a result cancels the others and raises its error, or, with `return_exceptions`, has the
        error in its result's place. `on_output(index, chunk)` is called on this thread.
        """
        completed: List[Completed] = []
        for one in self.as_completed(jobs, concurrency=concurrency, on_output=on_output):
            if one.error is not None and not return_exceptions:
                raise one.error
            completed.append(one)
        return in_order(completed)

    def as_completed(
        self, jobs: Iterable[AnyJob], *, concurrency: int = 64, on_output: Optional[OnBatchOutput] = None
    ) -> Iterator[Completed]:
        """Runs jobs, at most `concurrency` at once, and yields each as it ends.

        `jobs` is iterated as far as there is room, on this thread. Closing the iterator cancels what is in flight.
        """
        gathering = Gathering(self, jobs, concurrency, on_output)
        self._be_connected()
        return gathering.completed()

    # MARK: how a call is made

    def _do(self, call: Call[T]) -> T:
        waiting = Slot()
        self._be_connected()
        pursuit = Pursuit(self._channel, self._retry, call, waiting.end)
        try:
            pursuit.start()
            return call.read(waiting.wait())
        except BaseException:
            if not waiting.ended:
                pursuit.give_up()
            raise

    def _be_connected(self) -> None:
        """A farm that was never there is not waited for beyond `connect_timeout_s`; one that was, is."""
        if not self._channel.ever_connected:
            self.connect()

    def _prepare(
        self, kind: Callable[[Json], Call[T]], job: Job, stream: bool
    ) -> Tuple[JobCall[T], Optional[SharedContents]]:
        shared = self._sharing.of(job)
        key = f"{self._prefix}-{next(self._numbers)}"
        return JobCall.of(kind, job, key, stream, shared.by_path if shared else None), shared

    def _pursue(
        self, prepared: JobCall[T], shared: Optional[SharedContents], on_end: OnEnd, on_chunk: Optional[OnChunk]
    ) -> Pursuit:
        return Pursuit(
            self._channel, self._retry, prepared.call(), on_end, on_chunk=on_chunk, shared=shared,
            uploads=self._uploads, renew=None if prepared.has_own_key else prepared.renewed)

    def _cancel_run(self, pursuit: Pursuit, prepared: JobCall[Result]) -> None:
        """Ends a job nobody waits for any more. Does not wait for that."""
        if pursuit.give_up() and not self._channel.closed:
            channel, retry = self._channel, self._retry

            def named(result: object, error: Optional[PaddockError]) -> None:
                if error is None:
                    cancel = methods.cancel(named_call.read(result))
                    Pursuit(channel, retry, cancel, lambda result, error: None).start()

            named_call = prepared.to_cancel()
            Pursuit(channel, retry, named_call, named).start()


def _after_fork() -> None:
    for client in list(_clients):
        client._forget_after_fork()


os.register_at_fork(after_in_child=_after_fork)
