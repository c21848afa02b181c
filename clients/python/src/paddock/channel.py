"""One connection that many threads share: the blocking client's transport.

One thread reads, and hands each answer to its call's `on_end`. Calls are written by whoever makes them: the first to
come writes what all the others add meanwhile, so that many calls leave in one `send`, and no thread waits for another
to have written. Nothing blocks on the socket: what the kernel does not take is left to the reading thread, so that a
farm that waits for us to read is never waited for. A connection that ended is made again by the next call.
"""

from __future__ import annotations

import heapq
import os
import select
import socket
import threading
import time
from collections import deque
from typing import Callable, Deque, List, Optional, Tuple, Union

from .calls import Calls, Waiting
from .errors import ConnectionLost, PaddockError, ProtocolError
from .lines import call_line

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
    """A socket, what waits on it and what has to be written to it. Its channel's lock guards all but `calls`."""

    def __init__(self, path: str, max_line_bytes: int) -> None:
        self.calls = Calls(max_line_bytes)
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
            raise ConnectionLost(f"cannot connect to {path}: {error.strerror or error}") from None

    def take_outbound(self) -> Union[bytes, memoryview]:
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


class Channel:
    """Makes calls, now or later, from any thread."""

    def __init__(self, path: str, *, max_in_flight: int, max_outbound_bytes: int, max_line_bytes: int) -> None:
        self.path = path
        self.max_in_flight = max_in_flight
        self.max_outbound_bytes = max_outbound_bytes
        self.max_line_bytes = max_line_bytes
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._connection: Optional[Connection] = None
        self._timers: List[Tuple[float, int, Callable[[], None]]] = []
        self._parked: Deque[Callable[[], None]] = deque()
        self._last = 0
        self._thread: Optional[threading.Thread] = None
        self._wake: Optional[Tuple[int, int]] = None
        self.closed = False
        self.ever_connected = False

    def forget_after_fork(self) -> None:
        """In a forked child: the parent's connection stays the parent's, and this channel starts anew."""
        if self._connection is not None:
            self._connection.socket.close()
        if self._wake is not None:
            for descriptor in self._wake:
                os.close(descriptor)
        closed = self.closed
        self._reset()
        self.closed = closed

    @property
    def is_own_thread(self) -> bool:
        return self._thread is threading.current_thread()

    # MARK: calls

    def connect(self) -> None:
        """Connects if there is no connection. Raises `ConnectionLost`."""
        with self._lock:
            self._open()

    def call(self, method: str, params: bytes, waiting: Waiting, *, flush: bool = True) -> Ticket:
        """Makes a call; `waiting.on_end` is called on the reading thread, unless this raises.

        Waits while too much is outstanding. Raises `ConnectionLost`, or `Rejected` for a request that is too long.
        """
        ticket = Ticket()
        with self._lock:
            if self.is_own_thread:
                if not self._has_room():
                    self._parked.append(lambda: self._call_parked(method, params, waiting, ticket))
                    return ticket
            else:
                self._flush_while_full()
            connection = self._begin(method, params, waiting, ticket)
        if flush:
            self._write(connection)
        return ticket

    def flush(self) -> None:
        """Writes the calls that were made with `flush=False`."""
        connection = self._connection
        if connection is not None:
            self._write(connection)

    def after(self, delay: float, action: Callable[[], None]) -> None:
        """Calls `action` on the reading thread in `delay` seconds; at once when the channel closes."""
        with self._lock:
            if not self.closed:
                self._last += 1
                heapq.heappush(self._timers, (time.monotonic() + delay, self._last, action))
                self._start()
                self._rouse()
                return
        action()

    def end_stream(self, job: str) -> None:
        if self._connection is not None:
            self._connection.calls.end_stream(job)

    def close(self) -> None:
        """Ends the connection and releases everyone; idempotent, and safe from any thread."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
            thread = self._thread
            self._room.notify_all()
            self._rouse()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def release(self) -> None:
        """`close` for a finalizer, which may run on any thread and inside of anything: takes no lock, waits for nothing."""
        if not self.closed:
            self.closed = True
            self._rouse()

    def _has_room(self) -> bool:
        connection = self._connection
        return connection is None or (
            len(connection.calls) < self.max_in_flight and connection.outbound_bytes < self.max_outbound_bytes)

    def _flush_while_full(self) -> None:
        while not self._has_room() and not self.closed:
            connection = self._connection
            if connection is not None and connection.outbox and not connection.writing:
                # What a caller held back to write in one go must not be what this caller waits for.
                self._lock.release()
                try:
                    self._write(connection)
                finally:
                    self._lock.acquire()
                continue
            self._room.wait()

    def _begin(self, method: str, params: bytes, waiting: Waiting, ticket: Ticket) -> Connection:
        connection = self._open()
        self._last += 1
        line = call_line(self._last, method, params)
        ticket.connection, ticket.request = connection, self._last
        connection.calls.begin(self._last, waiting)
        connection.outbox.append(line)
        connection.outbound_bytes += len(line)
        return connection

    def _call_parked(self, method: str, params: bytes, waiting: Waiting, ticket: Ticket) -> None:
        try:
            with self._lock:
                connection = self._begin(method, params, waiting, ticket)
            self._write(connection)
        except PaddockError as error:
            waiting.on_end(None, error)

    def _open(self) -> Connection:
        if self.closed:
            raise ConnectionLost("the client is closed")
        connection = self._connection
        if connection is None or connection.ended:
            connection = self._connection = Connection(self.path, self.max_line_bytes)
            self.ever_connected = True
            self._start()
            self._rouse()
        return connection

    def _start(self) -> None:
        if self._thread is None:
            read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            self._wake = (read, write)
            self._thread = threading.Thread(target=self._serve, args=(read,), name="paddock-client", daemon=True)
            self._thread.start()

    def _rouse(self) -> None:
        if self._wake is not None and not self.is_own_thread:
            try:
                os.write(self._wake[1], b"!")
            except BlockingIOError:
                pass  # it has been roused often enough

    # MARK: writing

    def _write(self, connection: Connection) -> None:
        """Writes what is there, unless someone is at it."""
        with self._lock:
            if connection.writing or connection.blocked or connection.ended or not connection.outbox:
                return
            connection.writing = True
        self._drain(connection)

    def _drain(self, connection: Connection) -> None:
        while True:
            with self._lock:
                if not connection.outbox or connection.ended:
                    connection.writing = False
                    return
                data = connection.take_outbound()
            try:
                sent = connection.socket.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                sent = len(data)  # the other end is gone, which the reading thread finds after what is left to read
            with self._lock:
                connection.outbound_bytes -= sent
                self._room.notify_all()
                if sent < len(data):
                    if not connection.ended:
                        connection.outbox.appendleft(memoryview(data)[sent:])
                    connection.writing, connection.blocked = False, True
                    self._rouse()
                    return

    # MARK: the reading thread

    def _serve(self, wake: int) -> None:
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        while not self.closed:
            connection = self._connection
            descriptor = -1
            if connection is not None:
                descriptor = connection.socket.fileno()
                poll.register(descriptor, select.POLLIN | (select.POLLOUT if connection.blocked else 0))
            for ready, event in poll.poll(self._patience()):
                if ready == wake:
                    os.read(wake, 4096)
                elif connection is not None:
                    self._attend(connection, event)
            if connection is not None:
                poll.unregister(descriptor)
            self._run_due()
        self._end(self._connection, ConnectionLost("the client was closed"))
        self._run_all()
        with self._lock:
            self._room.notify_all()
            descriptors, self._wake = self._wake, None
        for descriptor in descriptors or ():
            os.close(descriptor)

    def _attend(self, connection: Connection, event: int) -> None:
        if event & select.POLLOUT:
            with self._lock:
                connection.blocked = False
                connection.writing = True
            self._drain(connection)
        if event & (select.POLLIN | select.POLLHUP | select.POLLERR):
            self._read(connection)

    def _read(self, connection: Connection) -> None:
        try:
            data = connection.socket.recv(RECEIVE_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            return self._end(connection, ConnectionLost(f"the connection was lost: {error.strerror}"))
        if not data:
            where = ", in the middle of a line" if connection.calls.unfinished else ""
            return self._end(connection, ConnectionLost(f"the farm closed the connection{where}"))
        try:
            connection.calls.receive(data)
        except PaddockError as error:
            return self._end(connection, error)
        except Exception as error:  # an `on_end` that fails must not leave everyone else waiting
            return self._end(connection, ProtocolError(f"the client failed to take an answer: {error!r}"))
        with self._lock:
            self._room.notify_all()

    def _end(self, connection: Optional[Connection], error: PaddockError) -> None:
        if connection is None:
            return
        with self._lock:
            if connection.ended:
                return
            connection.ended = True
            connection.outbox.clear()
            connection.outbound_bytes = 0
            if self._connection is connection:
                self._connection = None
            self._room.notify_all()
        connection.socket.close()
        connection.calls.fail(error)

    # MARK: what is to be done later

    def _patience(self) -> Optional[float]:
        """Milliseconds until the next timer."""
        with self._lock:
            if self._parked and self._has_room():
                return 0
            return max(0.0, (self._timers[0][0] - time.monotonic()) * 1000 + 1) if self._timers else None

    def _run_due(self) -> None:
        while True:
            with self._lock:
                if self._parked and self._has_room():
                    action = self._parked.popleft()
                elif self._timers and self._timers[0][0] <= time.monotonic():
                    action = heapq.heappop(self._timers)[2]
                else:
                    return
            action()

    def _run_all(self) -> None:
        """The channel is closed: what waits for its time or for room is done now, and finds that out."""
        while True:
            with self._lock:
                actions = [timer[2] for timer in self._timers] + list(self._parked)
                self._timers.clear()
                self._parked.clear()
            if not actions:
                return
            for action in actions:
                action()


