"""One socket of the blocking client: calls are written by whoever makes them, and read by the channel's one thread.

The first to come writes what all the others add meanwhile, so that many calls leave in one `send`, and no thread waits
for another to have written. Nothing blocks on the socket: what the kernel does not take is left to the reading thread,
so that a farm that waits for us to read is never waited for.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from typing import Callable, Deque, Optional, Union

from .calls import Calls, Waiting
from .errors import ConnectionLost, PaddockError, ProtocolError, cannot_connect

CONNECT_TIMEOUT_S = 10.0
RECEIVE_BYTES = 1 << 18
#: Lines are joined up to this many bytes; what is larger is written by itself, uncopied.
SEND_BYTES = 1 << 18


class Ticket:
    """A call that was made, so that it can be given up."""

    __slots__ = ("connection", "request")

    def __init__(self) -> None:
        self.connection: Optional[Connection] = None
        self.request = 0

    def abandon(self) -> None:
        if self.connection is not None:
            self.connection.calls.abandon(self.request)


class Connection:
    """A socket, what waits on it and what has to be written to it. The lock of `room` guards all but `calls`.

    - `room`: notified when there may be room for another call.
    - `rouse`: makes the reading thread look at what is to be polled for.
    """

    def __init__(self, path: str, max_line_bytes: int, room: threading.Condition, rouse: Callable[[], None]) -> None:
        self.calls = Calls(max_line_bytes)
        self._room = room
        self._rouse = rouse
        self.outbox: Deque[Union[bytes, memoryview]] = deque()
        self.outbound_bytes = 0
        #: A thread is writing, or the kernel takes no more for now.
        self.writing = False
        self.blocked = False
        #: Takes no more calls; the reading thread releases those it has.
        self.ended = False
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self.socket.settimeout(CONNECT_TIMEOUT_S)
            self.socket.connect(path)
            self.socket.setblocking(False)
        except OSError as error:
            self.socket.close()
            raise cannot_connect(path, error) from None

    # MARK: writing

    def add(self, request: int, line: bytes, waiting: Waiting) -> None:
        """A call to be written. Under the lock."""
        self.calls.begin(request, waiting)
        self.outbox.append(line)
        self.outbound_bytes += len(line)

    def write(self) -> None:
        """Writes what is there, unless someone is at it."""
        with self._room:
            if self.writing or self.blocked or self.ended or not self.outbox:
                return
            self.writing = True
        self._drain()

    def go_on_writing(self) -> None:
        """The kernel takes more again."""
        with self._room:
            self.blocked = False
            self.writing = True
        self._drain()

    def _drain(self) -> None:
        while True:
            with self._room:
                if not self.outbox or self.ended:
                    self.writing = False
                    return
                data = self._take_outbound()
            try:
                sent = self.socket.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                sent = len(data)  # the other end is gone, which the reading thread finds after what is left to read
            with self._room:
                self.outbound_bytes -= sent
                self._room.notify_all()
                if sent < len(data):
                    if not self.ended:
                        self.outbox.appendleft(memoryview(data)[sent:])
                    self.writing, self.blocked = False, True
                    self._rouse()
                    return

    def _take_outbound(self) -> Union[bytes, memoryview]:
        """What to write next. There is something."""
        first = self.outbox.popleft()
        size = len(first)
        if size >= SEND_BYTES or not self.outbox:
            return first
        lines = [first]
        while self.outbox and size + len(self.outbox[0]) <= SEND_BYTES:
            size += len(self.outbox[0])
            lines.append(self.outbox.popleft())
        return b"".join(lines)

    # MARK: reading

    def read(self) -> Optional[PaddockError]:
        """Takes what is there to read. Returns why the connection has to end, if it has to."""
        try:
            data = self.socket.recv(RECEIVE_BYTES)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            return ConnectionLost(f"the connection was lost: {error.strerror}")
        if not data:
            where = ", in the middle of a line" if self.calls.unfinished else ""
            return ConnectionLost(f"the farm closed the connection{where}")
        try:
            self.calls.receive(data)
        except PaddockError as error:
            return error
        except Exception as error:  # an `on_end` that fails must not leave everyone else waiting
            return ProtocolError(f"the client failed to take an answer: {error!r}")
        with self._room:
            self._room.notify_all()
        return None

    def end(self, error: PaddockError) -> None:
        """Releases everyone who waits on it, once."""
        with self._room:
            if self.ended:
                return
            self.ended = True
            self.outbox.clear()
            self.outbound_bytes = 0
            self._room.notify_all()
        self.socket.close()
        self.calls.fail(error)
