"""The asyncio client's connection: made at the first call, by one of those who want it, and made again when it is lost."""

from __future__ import annotations

import asyncio
import os
from typing import Optional

from .aio_connection import AsyncConnection
from .errors import ConnectionLost


class AsyncChannel:
    def __init__(
        self, path: str, *, connect_timeout_s: float, max_in_flight: int, max_outbound_bytes: int, max_line_bytes: int
    ) -> None:
        self._path = path
        self._connect_timeout_s = connect_timeout_s
        self._bounds = (max_in_flight, max_outbound_bytes, max_line_bytes)
        self._process = os.getpid()
        self._connection: Optional[AsyncConnection] = None
        self._connecting: Optional[asyncio.Future[AsyncConnection]] = None
        self.ever_connected = False
        #: Makes no more connections.
        self.closed = False

    async def connect(self) -> None:
        give_up = asyncio.get_running_loop().time() + self._connect_timeout_s
        while True:
            try:
                await self.connected()
                return
            except ConnectionLost:
                if self.closed or asyncio.get_running_loop().time() >= give_up:
                    raise
                await asyncio.sleep(0.02)

    async def be_connected(self) -> None:
        """A farm that was never there is not waited for beyond `connect_timeout_s`; one that was, is."""
        if not self.ever_connected:
            await self.connect()

    async def connected(self) -> AsyncConnection:
        """The connection there is, or a new one."""
        if self.closed:
            raise ConnectionLost("the client is closed")
        if os.getpid() != self._process:
            raise ConnectionLost("the client was made before this process was forked: make another one")
        if self._connection is not None and self._connection.ended is None:
            return self._connection
        if self._connecting is None:
            self._connecting = asyncio.ensure_future(AsyncConnection.open(self._path, *self._bounds))
            self._connecting.add_done_callback(self._opened)
        return await asyncio.shield(self._connecting)

    def _opened(self, opening: asyncio.Future[AsyncConnection]) -> None:
        self._connecting = None
        if not opening.cancelled() and opening.exception() is None:
            self._connection, self.ever_connected = opening.result(), True
            if self.closed:
                self._connection.end(ConnectionLost("the client was closed"))

    def end_stream(self, job: str) -> None:
        if self._connection is not None:
            self._connection.calls.end_stream(job)

    async def close(self) -> None:
        self.closed = True
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.end(ConnectionLost("the client was closed"))
            await connection.closed
