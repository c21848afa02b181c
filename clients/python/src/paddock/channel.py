"""One connection that many threads share: the blocking client's transport.

One thread reads, and hands each answer to its call's `on_end`; it also does what is due later. A connection that ended
is made again by the next call.
"""

from __future__ import annotations

import os
import select
import threading
from typing import Callable, Optional, Tuple

from .agenda import Agenda
from .calls import Waiting
from .connection import Connection, Ticket
from .errors import ConnectionLost, PaddockError
from .lines import call_line


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
        self._agenda = Agenda()
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
                    self._agenda.park(lambda: self._call_parked(method, params, waiting, ticket))
                    return ticket
            else:
                self._flush_while_full()
            connection = self._begin(method, params, waiting, ticket)
        if flush:
            connection.write()
        return ticket

    def flush(self) -> None:
        """Writes the calls that were made with `flush=False`."""
        connection = self._connection
        if connection is not None:
            connection.write()

    def after(self, delay: float, action: Callable[[], None]) -> None:
        """Calls `action` on the reading thread in `delay` seconds; at once when the channel closes."""
        with self._lock:
            if not self.closed:
                self._agenda.add(delay, action)
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
                    connection.write()
                finally:
                    self._lock.acquire()
                continue
            self._room.wait()

    def _begin(self, method: str, params: bytes, waiting: Waiting, ticket: Ticket) -> Connection:
        connection = self._open()
        self._last += 1
        line = call_line(self._last, method, params)
        ticket.connection, ticket.request = connection, self._last
        connection.add(self._last, line, waiting)
        return connection

    def _call_parked(self, method: str, params: bytes, waiting: Waiting, ticket: Ticket) -> None:
        try:
            with self._lock:
                connection = self._begin(method, params, waiting, ticket)
            connection.write()
        except PaddockError as error:
            waiting.on_end(None, error)

    def _open(self) -> Connection:
        if self.closed:
            raise ConnectionLost("the client is closed")
        connection = self._connection
        if connection is None or connection.ended:
            connection = self._connection = Connection(self.path, self.max_line_bytes, self._room, self._rouse)
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
        connection = self._connection
        if connection is not None:
            self._end(connection, ConnectionLost("the client was closed"))
        self._run_all()
        with self._lock:
            self._room.notify_all()
            descriptors, self._wake = self._wake, None
        for descriptor in descriptors or ():
            os.close(descriptor)

    def _attend(self, connection: Connection, event: int) -> None:
        if event & select.POLLOUT:
            connection.go_on_writing()
        if event & (select.POLLIN | select.POLLHUP | select.POLLERR):
            error = connection.read()
            if error is not None:
                self._end(connection, error)

    def _end(self, connection: Connection, error: PaddockError) -> None:
        with self._lock:
            if self._connection is connection:
                self._connection = None
        connection.end(error)

    # MARK: what is to be done later

    def _patience(self) -> Optional[float]:
        with self._lock:
            return self._agenda.patience(self._has_room())

    def _run_due(self) -> None:
        while True:
            with self._lock:
                action = self._agenda.next_due(self._has_room())
            if action is None:
                return
            action()

    def _run_all(self) -> None:
        """The channel is closed: what waits for its time or for room is done now, and finds that out."""
        while True:
            with self._lock:
                actions = self._agenda.take_all()
            if not actions:
                return
            for action in actions:
                action()
