"""One call of the blocking client followed to its end: tried again while it may, its shared contents uploaded first.

Runs by callbacks on the channel's reading thread, so that thousands need no thread of their own.
"""

from __future__ import annotations

import threading
from typing import Callable, Dict, List, Mapping, Optional, TypeVar

from . import methods
from .calls import OnChunk, OnEnd, Waiting
from .channel import Channel
from .connection import Ticket
from .errors import ConnectionLost, PaddockError, Rejected
from .methods import Call
from .retry import Retries, RetryPolicy
from .sharing import Content, SharedContents

T = TypeVar("T")
OnDone = Callable[[Optional[PaddockError]], None]


class Pursuit:
    """A call on its way. `on_end` is called once, on the reading thread or on the one that calls `start`."""

    def __init__(
        self, channel: Channel, policy: RetryPolicy, call: Call[T], on_end: OnEnd, *,
        on_chunk: Optional[OnChunk] = None, shared: Optional[SharedContents] = None,
        uploads: Optional[Uploads] = None, renew: Optional[Callable[[], Call[T]]] = None,
    ) -> None:
        self._channel = channel
        self._retries = Retries(policy)
        self._call = call
        self._on_end = on_end
        self._on_chunk = on_chunk
        self._shared = shared
        self._uploads = uploads
        #: The same call under another key, for a job that was cancelled because the connection was lost.
        self._renew = renew
        self._lost = False
        self._ticket: Optional[Ticket] = None
        self._given_up = False

    def start(self, *, flush: bool = True) -> None:
        if self._shared is not None and self._uploads is not None:
            self._uploads.ensure(self._shared.by_digest, self._uploaded)
        else:
            self._send(flush)

    def give_up(self) -> bool:
        """Nobody wants the answer any more; `on_end` may still be called. Returns whether the farm was asked."""
        self._given_up = True
        ticket = self._ticket
        if ticket is not None:
            ticket.abandon()
        return ticket is not None

    def _uploaded(self, error: Optional[PaddockError]) -> None:
        if error is not None:
            self._on_end(None, error)
        else:
            self._send(True)

    def _send(self, flush: bool = True) -> None:
        if self._given_up:
            return
        call = self._call
        try:
            self._ticket = self._channel.call(
                call.method, call.params, Waiting(self._answered, self._on_chunk, call.method == "job.submit"),
                flush=flush)
        except PaddockError as error:
            self._answered(None, error)

    def _answered(self, result: object, error: Optional[PaddockError]) -> None:
        self._ticket = None
        if error is None and self._lost and self._renew and methods.was_disconnected(result):
            error, self._call = ConnectionLost("the connection was lost, which cancelled the job"), self._renew()
        if error is None:
            return self._on_end(result, None)
        self._lost = self._lost or isinstance(error, ConnectionLost)
        if self._shared and self._uploads and isinstance(error, Rejected) and error.code == "unknown_blob":
            # The farm has dropped it, or is another one by now.
            self._uploads.forget(self._shared.by_digest)
        delay = self._retries.delay(error, shares=self._shared is not None)
        if delay is None or self._channel.closed or not self._channel.ever_connected:
            return self._on_end(None, error)
        self._channel.after(delay, self.start)


class Uploads:
    """Contents that are on the farm or on their way there: each is uploaded once, whoever needs it waits for that."""

    def __init__(self, channel: Channel, policy: RetryPolicy) -> None:
        self._channel = channel
        self._policy = policy
        self.forget_after_fork()

    def forget_after_fork(self) -> None:
        self._lock = threading.Lock()
        #: None for what is there.
        self._waiting: Dict[str, Optional[List[OnDone]]] = {}

    def forget(self, digests: Mapping[str, Content]) -> None:
        with self._lock:
            for digest in digests:
                if self._waiting.get(digest, ()) is None:
                    del self._waiting[digest]

    def ensure(self, contents: Mapping[str, Content], on_done: OnDone) -> None:
        """Calls `on_done` when all of them are on the farm, or the first could not be put there."""
        left = _Countdown(on_done)
        missing = []
        with self._lock:
            for digest in contents:
                if digest not in self._waiting:
                    self._waiting[digest] = []
                    missing.append(digest)
                waiters = self._waiting[digest]
                if waiters is not None:
                    left.count += 1
                    waiters.append(left.one_done)
        for digest in missing:
            self._upload(digest, contents[digest])
        left.one_done(None)

    def _upload(self, digest: str, content: Content) -> None:
        def asked(result: object, error: Optional[PaddockError]) -> None:
            try:
                if error is None and has.read(result):
                    put = methods.put_blob(content, digest)
                    return Pursuit(self._channel, self._policy, put, lambda _, error: self._done(digest, error)).start()
            except PaddockError as wrong:
                error = wrong
            self._done(digest, error)

        has = methods.missing_blobs([digest])
        Pursuit(self._channel, self._policy, has, asked).start()

    def _done(self, digest: str, error: Optional[PaddockError]) -> None:
        with self._lock:
            waiters = self._waiting.pop(digest, None)
            if error is None:
                self._waiting[digest] = None
        for waiter in waiters or ():
            waiter(error)


class _Countdown:
    """Calls `on_done` once: after `count` have called, or with the first error."""

    def __init__(self, on_done: OnDone) -> None:
        self.count = 1
        self._on_done: Optional[OnDone] = on_done
        self._lock = threading.Lock()

    def one_done(self, error: Optional[PaddockError]) -> None:
        with self._lock:
            self.count -= 1
            if self._on_done is None or (error is None and self.count > 0):
                return
            on_done, self._on_done = self._on_done, None
        on_done(error)
