"""Another program at the other end of the socket: whatever it sends, every caller is released with a clear error.

The only tests without a real daemon, which never does any of this.
"""

from __future__ import annotations

import asyncio
import json
import socket
import tempfile
import threading
from pathlib import Path
from typing import Callable, Iterator, List, Type

import pytest

import paddock
from paddock import RetryPolicy

Script = Callable[[socket.socket, int], None]


class Impostor:
    """Listens, reads one request of each connection, and does as its script says with the socket and the id."""

    def __init__(self, path: str, script: Script) -> None:
        self.path = path
        self.connections = 0
        self._script = script
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(16)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection, connection.makefile("rb") as lines:
                line = lines.readline()
                try:
                    self._script(connection, json.loads(line)["id"] if line else 0)
                    connection.shutdown(socket.SHUT_WR)
                    lines.read()  # what the client still sends, so that it sees an end and no reset
                except OSError:
                    pass

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


Start = Callable[[Script], Impostor]


@pytest.fixture
def impostor() -> Iterator[Start]:
    started: List[Impostor] = []
    with tempfile.TemporaryDirectory(prefix="paddock-py-") as directory:

        def start(script: Script) -> Impostor:
            started.append(Impostor(str(Path(directory) / f"{len(started)}.sock"), script))
            return started[-1]

        yield start
        for one in started:
            one.close()


def sends(data: bytes) -> Script:
    """Sends it, with the request's id in place of ID."""
    return lambda connection, request: connection.sendall(data.replace(b"ID", str(request).encode()))


def ok(result: bytes) -> bytes:
    return b'{"jsonrpc":"2.0","id":ID,"result":%s}\n' % result


RESULT = (
    b'{"job":"j","outcome":"exited","exit_code":0,"phase":"run","stdout":{"text":"","bytes":0,"truncated":false},'
    b'"stderr":{"text":"","bytes":0,"truncated":false},"usage":{}}')

GARBAGE = [
    ("no JSON", b"hello\n", "no JSON"),
    ("not UTF-8", b'{"jsonrpc":"2.0","id":"\xff"}\n', "no JSON"),
    ("an array", b"[]\n", "no JSON-RPC"),
    ("too deep", b"[" * 100_000 + b"\n", "no JSON"),
    ("another version", b'{"jsonrpc":"1.0","id":ID,"result":{}}\n', "no JSON-RPC"),
    ("an id nobody waits for", b'{"jsonrpc":"2.0","id":99999,"result":{}}\n', "id: found 99999"),
    ("an id that is a string", b'{"jsonrpc":"2.0","id":"ID","result":{}}\n', "id: found"),
    ("an id that cannot be hashed", b'{"jsonrpc":"2.0","id":[ID],"result":{}}\n', "id: found"),
    ("neither result nor error", b'{"jsonrpc":"2.0","id":ID}\n', "either a result or an error"),
    ("both result and error", b'{"jsonrpc":"2.0","id":ID,"result":1,"error":{}}\n', "either a result or an error"),
    ("an error without data", b'{"jsonrpc":"2.0","id":ID,"error":{"code":1,"message":"x"}}\n', "error.data"),
    ("an error of an unknown kind",
     b'{"jsonrpc":"2.0","id":ID,"error":{"code":1,"message":"x","data":{"kind":"k","code":"c"}}}\n', "error.data.kind"),
    ("an unknown notification", b'{"jsonrpc":"2.0","method":"job.exploded"}\n', "method: found 'job.exploded'"),
    ("output of nobody's job",
     b'{"jsonrpc":"2.0","method":"job.output","params":{"job":"j","request":7777,"stream":"stdout","text":""}}\n',
     "job.output.request"),
    ("output of a job nobody submitted",
     b'{"jsonrpc":"2.0","method":"job.output","params":{"job":"j","request":null,"stream":"stdout","text":""}}\n',
     "job.output.job"),
    ("a line the farm could not read",
     b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"bad","data":{"kind":"rejected","code":"parse_error"}}}\n',
     "could not read"),
    ("a huge line", b'"' + b"x" * 2_000_000, "a line of more than 1000000 bytes"),
    ("a huge line with an end", b'"' + b"x" * 2_000_000 + b'"\n', "a line of more than 1000000 bytes"),
    ("a result that is no object", ok(b"7"), "result: found 7"),
    ("a result without an outcome", ok(b"{}"), "result.phase"),
    ("an unknown outcome", ok(RESULT.replace(b'"exited"', b'"evaporated"')), "result.outcome: found 'evaporated'"),
    ("an exit code that is text", ok(RESULT.replace(b'"exit_code":0', b'"exit_code":"0"')), "result.exit_code"),
    ("an exit code that is true", ok(RESULT.replace(b'"exit_code":0', b'"exit_code":true')), "result.exit_code"),
    ("base64 that is none",
     ok(RESULT.replace(b'"stdout":{"text":""', b'"stdout":{"base64":"!"')), "result.stdout.base64"),
    ("usage in words", ok(RESULT.replace(b'"usage":{}', b'"usage":{"cpu_time_ms":"long"}')), "result.usage.cpu_time_ms"),
]


@pytest.mark.parametrize("data, says", [case[1:] for case in GARBAGE], ids=[case[0] for case in GARBAGE])
def test_garbage_is_a_protocol_error_that_says_what_came(impostor: Start, data: bytes, says: str) -> None:
    farm = impostor(sends(data))
    with paddock.Client(farm.path, max_line_bytes=1_000_000) as client:
        with pytest.raises(paddock.ProtocolError) as wrong:
            client.run(["true"])
        assert says in str(wrong.value)

    async def main() -> None:
        async with paddock.AsyncClient(farm.path, max_line_bytes=1_000_000) as client:
            with pytest.raises(paddock.ProtocolError) as wrong:
                await asyncio.wait_for(client.run(["true"]), 20)
            assert says in str(wrong.value)

    asyncio.run(main())
    assert farm.connections == 2  # what cannot be read is not asked for again


def test_garbage_releases_every_thread_that_waits(impostor: Start) -> None:
    arrived = threading.Event()

    def script(connection: socket.socket, request: int) -> None:
        arrived.wait(20)
        connection.sendall(b"garbage\n")

    farm = impostor(script)
    errors: List[Type[BaseException]] = []

    def work() -> None:
        try:
            client.run(["true"])
        except paddock.PaddockError as error:
            errors.append(type(error))

    with paddock.Client(farm.path) as client:
        threads = [threading.Thread(target=work) for _ in range(20)]
        for thread in threads:
            thread.start()
        while client._channel._connection is None or len(client._channel._connection.calls) < 20:
            arrived.wait(0.005)
        arrived.set()
        for thread in threads:
            thread.join(20)
    assert errors == [paddock.ProtocolError] * 20


@pytest.mark.parametrize("data", [b"", b'{"jsonrpc":"2.0","id":ID,"res'], ids=["at once", "in the middle of a line"])
def test_a_connection_that_ends_is_lost_and_tried_again(impostor: Start, data: bytes) -> None:
    farm = impostor(sends(data))
    retry = RetryPolicy(attempts=3, first_s=0.001)
    with paddock.Client(farm.path, retry=retry) as client:
        with pytest.raises(paddock.ConnectionLost) as lost:
            client.run(["true"])
        assert ("in the middle of a line" in str(lost.value)) == bool(data)
    assert farm.connections == 3

    async def main() -> None:
        async with paddock.AsyncClient(farm.path, retry=retry) as client:
            with pytest.raises(paddock.ConnectionLost):
                await asyncio.wait_for(client.run(["true"]), 20)

    asyncio.run(main())
    assert farm.connections == 6


def test_every_try_of_a_job_has_the_same_key(impostor: Start) -> None:
    keys: List[str] = []
    with tempfile.TemporaryDirectory(prefix="paddock-py-") as directory:
        path = str(Path(directory) / "farm.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()

        def serve() -> None:
            for turn in range(3):
                connection, _ = listener.accept()
                with connection, connection.makefile("rb") as lines:
                    request = json.loads(lines.readline())
                    keys.append(request["params"]["idempotency_key"])
                    if turn == 2:
                        connection.sendall(ok(RESULT).replace(b"ID", str(request["id"]).encode()))
                        lines.read()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with paddock.Client(path, retry=RetryPolicy(attempts=5, first_s=0.001)) as client:
            assert client.run(["true"]).ok
        thread.join(10)
        listener.close()
    assert len(keys) == 3 and len(set(keys)) == 1


def test_a_farm_error_that_is_retryable_is_tried_again_and_one_that_is_not_is_raised(impostor: Start) -> None:
    error = (
        b'{"jsonrpc":"2.0","id":ID,"error":{"code":-32002,"message":"m","data":{"kind":"farm_error","code":"storage",'
        b'"retryable":%s}}}\n')
    for retryable, tries in ((b"true", 4), (b"false", 1)):
        asked = 0

        def script(connection: socket.socket, request: int) -> None:
            nonlocal asked
            with connection.makefile("rb") as more:
                while request:
                    asked += 1
                    connection.sendall((error % retryable).replace(b"ID", str(request).encode()))
                    line = more.readline()
                    request = json.loads(line)["id"] if line else 0

        farm = impostor(script)
        with paddock.Client(farm.path, retry=RetryPolicy(attempts=4, first_s=0.001)) as client:
            with pytest.raises(paddock.FarmError) as failed:
                client.run(["true"])
            assert (failed.value.code, failed.value.retryable) == ("storage", retryable == b"true")
        assert asked == tries


def test_a_reader_that_is_slow_keeps_a_bounded_backlog(impostor: Start) -> None:
    piece = b"x" * (1 << 20)
    output = b'{"jsonrpc":"2.0","method":"job.output","params":{"job":"j","request":ID,"stream":"stdout","text":"%s"}}\n'

    def script(connection: socket.socket, request: int) -> None:
        for _ in range(40):
            sends(output % piece)(connection, request)
        sends(ok(RESULT))(connection, request)

    farm = impostor(script)
    with paddock.Client(farm.path) as client:
        begun = threading.Event()
        kept = dropped = 0
        channel = client._channel

        def slow(chunk: paddock.OutputChunk) -> None:
            nonlocal kept, dropped
            if not begun.is_set():
                begun.set()
                connection = channel._connection
                while connection is not None and len(connection.calls):  # until everything has come
                    threading.Event().wait(0.005)
            kept += len(chunk.bytes)
            dropped += chunk.dropped_bytes

        assert client.run(["true"], on_output=slow).ok
    assert kept + dropped == 40 << 20
    assert kept <= 20 << 20
