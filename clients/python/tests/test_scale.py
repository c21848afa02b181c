"""Thousands at once, against a real daemon."""

from __future__ import annotations

import json
import socket
from typing import List

import paddock

from conftest import Daemon


def test_five_thousand_jobs_are_in_flight_over_one_connection(farm: Daemon) -> None:
    with paddock.Client(farm.socket) as client:
        jobs = [paddock.Job(command=["/bin/sh", "-c", f"echo {i}"]) for i in range(5_000)]
        results = client.gather(jobs, concurrency=5_000)
    assert [result.stdout.text for result in results] == [f"{i}\n" for i in range(5_000)]
    assert all(result.ok for result in results)


def test_a_thousand_connections_each_get_their_own_answer(farm: Daemon) -> None:
    connections: List[socket.socket] = []
    try:
        for i in range(1_000):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(120)
            connection.connect(farm.socket)
            request = {"jsonrpc": "2.0", "id": i, "method": "job.run", "params": {"command": ["/bin/sh", "-c", f"echo {i}"]}}
            connection.sendall(json.dumps(request).encode() + b"\n")
            connections.append(connection)
        for i, connection in enumerate(connections):
            with connection.makefile("rb") as lines:
                answer = json.loads(lines.readline())
            assert (answer["id"], answer["result"]["stdout"]["text"]) == (i, f"{i}\n")
    finally:
        for connection in connections:
            connection.close()


def test_what_has_ended_leaves_no_memory_behind(own_farm: Daemon) -> None:
    with paddock.Client(own_farm.socket) as client:
        def memory_after(count: int) -> int:
            client.gather([paddock.Job(command=["/bin/true"]) for _ in range(count)], concurrency=200)
            return client.stats().memory_bytes
        warm = memory_after(1_000)
        later = memory_after(2_000)
    # Twice as many jobs again; what each left would add up to far more than the allocator's own slack.
    assert later - warm < 2_000 * 4_096, (warm, later)
