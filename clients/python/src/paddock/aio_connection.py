"""One connection of the asyncio client. Everything here happens on the event loop.

Calls made in one turn of the loop leave in one write. A caller waits, before it adds to them, for what is outstanding
to become less.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Deque, List, Optional, cast

from .calls import Calls, OnChunk, OutputChunk, Waiting
from .errors import ConnectionLost, PaddockError, ProtocolError, cannot_connect
from .lines import call_line
from .waiting import Backlog

CONNECT_TIMEOUT_S = 10.0
#: Beyond this many bytes that the kernel has not taken, nothing is added.
PAUSE_AT_BYTES = 4 << 20


class AsyncConnection(asyncio.Protocol):
    """A socket and what waits on it."""

    def __init__(self, max_in_flight: int, max_outbound_bytes: int, max_line_bytes: int) -> None:
        self.calls = Calls(max_line_bytes)
        self.ended: Optional[PaddockError] = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        self._max_in_flight = max_in_flight
        self._max_outbound_bytes = max_outbound_bytes
        self._transport: Optional[asyncio.Transport] = None
        self._outbox: List[bytes] = []
        self._outbound_bytes = 0
        self._flushing = False
        self._paused = False
        self._last = 0
        self._room: Deque[asyncio.Future[None]] = deque()

    @staticmethod
    async def open(path: str, max_in_flight: int, max_outbound_bytes: int, max_line_bytes: int) -> AsyncConnection:
        connection = AsyncConnection(max_in_flight, max_outbound_bytes, max_line_bytes)
        opening = asyncio.get_running_loop().create_unix_connection(lambda: connection, path)
        try:
            await asyncio.wait_for(opening, CONNECT_TIMEOUT_S)
        except (OSError, asyncio.TimeoutError) as error:
            raise cannot_connect(path, error) from None
        return connection

    async def call(
        self, method: str, params: bytes, on_chunk: Optional[OnChunk] = None, submits: bool = False
    ) -> object:
        """Makes a call and waits for its answer. Cancelling gives the answer up."""
        while self.ended is None and not self._has_room():
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._room.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                self._give_room()  # it may have been this waiter's
                raise
        if self.ended is not None:
            raise self.ended
        answer: asyncio.Future[object] = self._loop.create_future()

        def end(result: object, error: Optional[PaddockError]) -> None:
            if not answer.done():
                if error is None:
                    answer.set_result(result)
                else:
                    answer.set_exception(error)

        self._last += 1
        request = self._last
        self._send(call_line(request, method, params))
        self.calls.begin(request, Waiting(end, on_chunk, submits))
        try:
            return await answer
        except asyncio.CancelledError:
            self.calls.abandon(request)
            raise

    def end(self, error: PaddockError) -> None:
        """Releases everyone and closes the socket."""
        if self.ended is None:
            self.ended = error
            self._outbox.clear()
            self.calls.fail(error)
            self._give_room(all=True)
            if self._transport is not None:
                self._transport.abort()

    def _has_room(self) -> bool:
        return (
            not self._paused and len(self.calls) < self._max_in_flight and self._outbound_bytes < self._max_outbound_bytes)

    def _give_room(self, all: bool = False) -> None:
        """Wakes those who wait for room, as many as there are places."""
        places = len(self._room) if all else self._max_in_flight - len(self.calls)
        while self._room and places > 0 and (all or self._has_room()):
            waiter = self._room.popleft()
            if not waiter.done():
                waiter.set_result(None)
                places -= 1

    def _send(self, line: bytes) -> None:
        self._outbox.append(line)
        self._outbound_bytes += len(line)
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        lines, self._outbox, self._outbound_bytes = self._outbox, [], 0
        if lines and self._transport is not None and self.ended is None:
            self._transport.write(lines[0] if len(lines) == 1 else b"".join(lines))
            self._give_room()

    # MARK: called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=PAUSE_AT_BYTES)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._give_room()

    def data_received(self, data: bytes) -> None:
        if self.ended is not None:
            return
        try:
            self.calls.receive(data)
        except PaddockError as error:
            self.end(error)
        except Exception as error:  # one caller's failure must not leave everyone else waiting
            self.end(ProtocolError(f"the client failed to take an answer: {error!r}"))
        self._give_room()

    def connection_lost(self, error: Optional[Exception]) -> None:
        where = ", in the middle of a line" if self.calls.unfinished else ""
        self.end(ConnectionLost(f"the farm closed the connection{where}" + (f": {error}" if error else "")))
        if not self.closed.done():
            self.closed.set_result(None)


class AsyncStream:
    """What a job writes until it ends, for one reader."""

    def __init__(self) -> None:
        self._chunks: asyncio.Queue[Optional[OutputChunk]] = asyncio.Queue()
        self._backlog = Backlog()

    def chunk(self, chunk: OutputChunk) -> None:
        if self._backlog.admit(chunk):
            self._chunks.put_nowait(chunk)

    def end(self) -> None:
        for chunk in self._backlog.rest():
            self._chunks.put_nowait(chunk)
        self._chunks.put_nowait(None)

    def __aiter__(self) -> AsyncStream:
        return self

    async def __anext__(self) -> OutputChunk:
        chunk = await self._chunks.get()
        if chunk is None:
            self._chunks.put_nowait(None)  # for whoever asks again
            raise StopAsyncIteration
        self._backlog.took(chunk)
        return chunk
