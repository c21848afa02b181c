"""How a thread waits for one call: for its end, or for what a job writes until then."""

from __future__ import annotations

import queue
import threading
import time
from typing import Dict, Iterator, Optional, Tuple

from .calls import OutputChunk
from .errors import PaddockError, TimedOut

#: Output that is kept for a reader who is slower than the job, in bytes. What is more is dropped, and counted.
MAX_UNREAD_BYTES = 16 << 20


class Slot:
    """One answer. Ended once, by the thread that reads the socket; waited for by any."""

    __slots__ = ("_lock", "_result", "_error", "ended")

    def __init__(self) -> None:
        # A bare lock, held until the end: a tenth of the cost of an Event.
        self._lock = threading.Lock()
        self._lock.acquire()
        self._result: object = None
        self._error: Optional[PaddockError] = None
        self.ended = False

    def end(self, result: object, error: Optional[PaddockError]) -> None:
        self._result, self._error, self.ended = result, error, True
        self._lock.release()

    def wait(self, timeout_s: Optional[float] = None) -> object:
        """The answer. Raises the call's error, or `TimedOut`."""
        if not self._lock.acquire(True, -1 if timeout_s is None else max(0.0, timeout_s)):
            raise TimedOut(f"there was no answer within {timeout_s} s")
        self._lock.release()
        if self._error is not None:
            raise self._error
        return self._result


class Backlog:
    """Bounds what is kept of output that nobody has read yet. One thread puts, one takes."""

    __slots__ = ("_put", "_taken", "_dropped")

    def __init__(self) -> None:
        self._put = 0
        self._taken = 0
        self._dropped: Dict[Tuple[str, str], int] = {}

    def admit(self, chunk: OutputChunk) -> bool:
        """Whether to keep the chunk, which then says what was dropped before it."""
        size, key = len(chunk.bytes), (chunk.job, chunk.stream)
        if self._put - self._taken + size > MAX_UNREAD_BYTES:
            self._dropped[key] = self._dropped.get(key, 0) + size + chunk.dropped_bytes
            return False
        self._put += size
        if self._dropped:
            chunk.dropped_bytes += self._dropped.pop(key, 0)
        return True

    def took(self, chunk: OutputChunk) -> None:
        self._taken += len(chunk.bytes)

    def rest(self) -> Iterator[OutputChunk]:
        """Empty chunks that tell of what was dropped at the end."""
        for (job, stream), count in self._dropped.items():
            yield OutputChunk(job, "stdout" if stream == "stdout" else "stderr", "", count)
        self._dropped.clear()


class Stream(Slot):
    """One answer, and the output that comes before it."""

    __slots__ = ("_chunks", "_backlog")

    def __init__(self) -> None:
        super().__init__()
        self._chunks: queue.SimpleQueue[Optional[OutputChunk]] = queue.SimpleQueue()
        self._backlog = Backlog()

    def chunk(self, chunk: OutputChunk) -> None:
        if self._backlog.admit(chunk):
            self._chunks.put(chunk)

    def end(self, result: object, error: Optional[PaddockError]) -> None:
        super().end(result, error)
        for chunk in self._backlog.rest():
            self._chunks.put(chunk)
        self._chunks.put(None)

    def chunks(self, timeout_s: Optional[float] = None) -> Iterator[OutputChunk]:
        """The output as it comes, until the end. Each chunk is told once. Raises `TimedOut`."""
        give_up = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            try:
                chunk = self._chunks.get(timeout=None if give_up is None else max(0.0, give_up - time.monotonic()))
            except queue.Empty:
                raise TimedOut(f"the job did not end within {timeout_s} s") from None
            if chunk is None:
                self._chunks.put(None)  # for whoever asks again
                return
            self._backlog.took(chunk)
            yield chunk
