"""How many calls the client can make: per second, and in processor time of its own process per call.

    PYTHONPATH=clients/python/src python3 clients/python/benchmarks/ceiling.py [SOCKET] [--jobs 2000] [--json]

Without the socket of a farm only against stand-ins that run nothing. The second figure is the client's ceiling, since the farm it talks to shares the machine: 1 s divided by it is what the
client could do, were the farm infinitely fast and elsewhere.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import socket
import tempfile
import threading
import time
from typing import Callable, List

import paddock

BLOB = "0" * 64
#: Between answers that come one by one.
PAUSE_S = 0.003
ANSWER = json.dumps({
    "job": "j-1-1", "outcome": "exited", "exit_code": 0, "phase": "run",
    "stdout": {"text": "", "bytes": 0, "truncated": False}, "stderr": {"text": "", "bytes": 0, "truncated": False},
    "usage": {
        "wall_time_ms": 1.234, "cpu_time_ms": 0.987, "peak_memory_bytes": 262144, "peak_processes": 1, "disk_bytes": 0,
        "disk_inodes": 0, "throttled_ms": 0.1, "queued_ms": 0.2, "setup_ms": 1.9, "run_ms": 2.1, "teardown_ms": 0.6},
    "denied": [], "unenforced": [], "files": [], "labels": {}}).encode()


def answer_at_once(listener: socket.socket) -> None:
    """A farm that runs nothing: every line is answered with the same result, as fast as lines can be cut."""
    while True:
        connection, _ = listener.accept()
        rest = b""
        while True:
            data = connection.recv(1 << 18)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            # {"jsonrpc":"2.0","id":17,"method":…
            ids = [line[line.index(b'"id":') + 5:line.index(b',"method"')] for line in lines]
            connection.sendall(b"".join(b'{"jsonrpc":"2.0","id":%s,"result":%s}\n' % (one, ANSWER) for one in ids))


def answer_one_by_one(listener: socket.socket) -> None:
    """The same, but one answer at a time with a pause after each, as a farm's come that is busy with its jobs."""
    while True:
        connection, _ = listener.accept()
        rest, ids = b"", []
        connection.setblocking(False)
        while True:
            try:
                data = connection.recv(1 << 18)
                if not data:
                    break
                *lines, rest = (rest + data).split(b"\n")
                ids += [line[line.index(b'"id":') + 5:line.index(b',"method"')] for line in lines]
            except BlockingIOError:
                pass
            if ids:
                connection.send(b'{"jsonrpc":"2.0","id":%s,"result":%s}\n' % (ids.pop(0), ANSWER))
            time.sleep(PAUSE_S)


#: Of `--json`, which prints them at the end.
FIGURES: List[dict] = []
AS_JSON = False


def measure(name: str, calls: int, work: Callable[[], None]) -> None:
    work()  # once for the connection, imports and caches
    begun, used = time.perf_counter(), time.process_time()
    work()
    took, spent = time.perf_counter() - begun, time.process_time() - used
    each = spent / calls * 1e6
    FIGURES.append({"name": name, "calls_per_second": calls / took, "client_microseconds": each, "ceiling_per_second": 1e6 / each})
    if not AS_JSON:
        print(f"{name:<46}{calls / took:>10.0f} calls/s{each:>8.0f} µs of the client each{1e6 / each:>10.0f}/s ceiling", flush=True)


def threads(client: paddock.Client, count: int, calls: int) -> None:
    failures: List[BaseException] = []

    def work() -> None:
        try:
            for _ in range(calls // count):
                client.missing_blobs([BLOB])
        except paddock.PaddockError as error:
            failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        # Calls that failed cost next to nothing, and would make a splendid figure.
        raise SystemExit(f"ceiling: {failures[0]}")


async def tasks(client: paddock.AsyncClient, count: int, calls: int) -> None:
    async def work() -> None:
        for _ in range(calls // count):
            await client.missing_blobs([BLOB])

    await asyncio.gather(*[work() for _ in range(count)])


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the client.")
    parser.add_argument("socket", nargs="?")
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--calls", type=int, default=12_800)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    global AS_JSON
    AS_JSON = given.json
    against(answer_at_once, 10_000, "job.run answered at once")
    against(answer_one_by_one, 500, "job.run answered one by one")
    if given.socket:
        against_farm(given)
    if AS_JSON:
        print(json.dumps(FIGURES))


def against_farm(given: argparse.Namespace) -> None:
    with paddock.Client(given.socket) as client:
        measure("blob.has, one thread", given.calls // 4, lambda: threads(client, 1, given.calls // 4))
        measure("blob.has, 64 threads", given.calls, lambda: threads(client, 64, given.calls))
    loop = asyncio.new_event_loop()
    other = paddock.AsyncClient(given.socket)
    measure("blob.has, 64 tasks", given.calls, lambda: loop.run_until_complete(tasks(other, 64, given.calls)))
    loop.run_until_complete(other.close())
    loop.close()
    both(given.socket, given.jobs, "job.run of /bin/true")


def against(answers: Callable[[socket.socket], None], count: int, name: str) -> None:
    """The same against a process that runs nothing."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as listener:
        path = f"{directory}/s"
        listener.bind(path)
        listener.listen()
        farm = multiprocessing.Process(target=answers, args=(listener,), daemon=True)
        farm.start()
        both(path, count, name)
        farm.kill()
        farm.join()


def both(path: str, count: int, name: str) -> None:
    """Batches of both clients with 64 jobs in flight."""
    jobs = [paddock.Job(command=["/bin/true"])] * count
    with paddock.Client(path) as client:
        measure(f"{name}, Client.gather", count, lambda: _check(client.gather(jobs)))
    loop = asyncio.new_event_loop()
    other = paddock.AsyncClient(path)
    measure(f"{name}, AsyncClient.gather", count, lambda: _check(loop.run_until_complete(other.gather(jobs))))
    loop.run_until_complete(other.close())
    loop.close()


def _check(results: list[paddock.Result]) -> None:
    if not all(result.ok for result in results):
        raise SystemExit("a job of /bin/true did not exit with 0")


if __name__ == "__main__":
    main()
