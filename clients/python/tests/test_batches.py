"""Many jobs at once, and many threads on one client."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Iterator, List

import pytest

import paddock
from conftest import Daemon
from paddock import Job, Tests
from test_jobs import eventually_idle


def test_two_thousand_jobs_come_back_in_order(client: paddock.Client) -> None:
    results = client.gather((["echo", str(number)] for number in range(2000)), concurrency=256)
    assert [result.stdout.text for result in results] == [f"{number}\n" for number in range(2000)]
    assert all(result.ok for result in results)


def test_each_job_is_told_as_it_ends(client: paddock.Client) -> None:
    jobs = [["sh", "-c", "sleep 3; echo slow"]] + [["echo", "fast"]] * 4
    ends = list(client.as_completed(jobs, concurrency=2))
    assert sorted(end.index for end in ends) == [0, 1, 2, 3, 4]
    assert ends[0].result.stdout.text == "fast\n"
    assert ends[-1].index == 0


def test_no_more_jobs_are_taken_than_may_be_in_flight(client: paddock.Client) -> None:
    taken = 0

    def jobs() -> Iterator[List[str]]:
        nonlocal taken
        for _ in range(40):
            taken += 1
            yield ["true"]

    ended = 0
    for end in client.as_completed(jobs(), concurrency=3):
        assert end.result.ok
        ended += 1
        assert taken <= ended + 2 * 3
    assert ended == 40


def test_a_job_without_a_result_raises_or_stands_in_its_place(client: paddock.Client) -> None:
    jobs = [Job(command=["true"]), Job(command=["true"], pool="absent"), Job(command=["echo", "\udc80"])]
    ends = client.gather(jobs, return_exceptions=True)
    assert isinstance(ends[0], paddock.Result) and ends[0].ok
    assert isinstance(ends[1], paddock.Rejected) and ends[1].code == "unknown_pool"
    assert isinstance(ends[2], paddock.Rejected) and ends[2].field == "command[1]"
    with pytest.raises(paddock.Rejected):
        client.gather(jobs)


def test_an_iteration_that_is_given_up_cancels_what_is_in_flight(client: paddock.Client) -> None:
    for end in client.as_completed([["true"]] + [["sleep", "50"]] * 5, concurrency=6):
        assert end.result.ok
        break
    assert eventually_idle(client)


def test_a_batch_streams_with_each_jobs_place(client: paddock.Client) -> None:
    seen: dict[int, str] = {}

    def wrote(index: int, chunk: paddock.OutputChunk) -> None:
        seen[index] = seen.get(index, "") + chunk.text

    client.gather([["echo", str(number)] for number in range(20)], concurrency=8, on_output=wrote)
    assert seen == {number: f"{number}\n" for number in range(20)}


def test_contents_that_jobs_share_are_uploaded_once(own_farm: Daemon) -> None:
    shared, small = "s" * 300_000, "x" * 100
    with paddock.Client(own_farm.socket) as client:
        jobs = [Job(command=["wc", "-c", "shared", "own"], files={"shared": shared, "own": small + str(n)}) for n in range(30)]
        results = client.gather(jobs, concurrency=8)
        assert all(result.stdout.text.split()[0] == "300000" for result in results)
        stats = client.stats()
        assert (stats.blobs, stats.blob_bytes) == (1, 300_000)
        # Another object with the same bytes is the same content.
        assert client.run(["wc", "-c", "f"], files={"f": b"s" * 300_000}).ok
        assert client.stats().blobs == 1


def test_what_is_used_once_is_not_uploaded(own_farm: Daemon) -> None:
    with paddock.Client(own_farm.socket) as client:
        jobs = [Job(command=["true"], files={"f": f"{number}" * 40_000}) for number in range(5)]
        assert all(result.ok for result in client.gather(jobs))
        assert client.stats().blobs == 0


def test_fifty_threads_share_a_client(client: paddock.Client) -> None:
    problems: List[str] = []

    def work(number: int) -> None:
        for turn in range(8):
            text = client.run(["echo", f"{number} {turn}"]).stdout.text
            if text != f"{number} {turn}\n":
                problems.append(text)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_calls_beyond_the_bound_wait_for_their_turn(farm: Daemon) -> None:
    with paddock.Client(farm.socket, max_in_flight=2, max_outbound_bytes=1000) as client:
        ends: List[paddock.Result] = []
        threads = [
            threading.Thread(target=lambda: ends.append(client.run(["wc", "-c"], stdin="x" * 500_000))) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [end.stdout.text for end in ends] == ["500000\n"] * 12


def test_large_requests_and_answers_pass(client: paddock.Client) -> None:
    content = os.urandom(8 << 20)
    result = client.run(
        ["cp", "in", "out"], files={"in": content}, collect=[paddock.Collect("out", max_bytes=16 << 20)])
    copy = result.file("out")
    assert copy is not None and copy.bytes == content


def test_a_forked_child_has_a_connection_of_its_own(client: paddock.Client) -> None:
    assert client.run(["true"]).ok
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if client.run(["echo", "child"]).stdout.text == "child\n" else 1)
        finally:
            os._exit(2)
    parents = client.gather([["echo", "parent"]] * 20)
    assert {result.stdout.text for result in parents} == {"parent\n"}
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_interpreter_exits_with_a_client_open_and_calls_in_flight(farm: Daemon) -> None:
    program = (
        "import paddock, sys, threading, time\n"
        "client = paddock.Client(sys.argv[1])\n"
        "client.run(['true'])\n"
        "threading.Thread(target=lambda: client.run(['sleep', '50']), daemon=True).start()\n"
        "client.submit(['true'])\n"
        "print('done')\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, "-c", program, farm.socket], env=environment, timeout=30, capture_output=True, text=True)
    # Nor does the thread that still waits tell of a connection that was lost: that is how a program ends.
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")


def test_ctrl_c_cancels_the_job_and_is_raised(client: paddock.Client) -> None:
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        client.run(["sleep", "50"])
    assert eventually_idle(client)


def test_closing_releases_everyone_and_may_be_done_twice(farm: Daemon) -> None:
    client = paddock.Client(farm.socket)
    client.connect()
    errors: List[paddock.PaddockError] = []

    def work() -> None:
        try:
            client.run(["sleep", "50"])
        except paddock.PaddockError as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    with paddock.Client(farm.socket) as other:
        give_up = time.monotonic() + 20
        while other.stats().queued + other.stats().running < 5 and time.monotonic() < give_up:
            pass
    client.close()
    client.close()
    for thread in threads:
        thread.join(10)
    assert len(errors) == 5 and all(isinstance(error, paddock.ConnectionLost) for error in errors)
    with pytest.raises(paddock.ConnectionLost, match="closed"):
        client.run(["true"])


def test_a_client_that_is_forgotten_ends_its_thread(farm: Daemon) -> None:
    client = paddock.Client(farm.socket)
    client.info()
    thread = client._channel._thread
    assert thread is not None
    del client
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()


def test_clients_that_were_closed_leave_no_descriptor(farm: Daemon) -> None:
    def descriptors() -> int:
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    before = descriptors()
    for _ in range(20):
        with paddock.Client(farm.socket) as client:
            client.info()
    assert descriptors() == before


def test_suites_of_a_batch_are_judged_one_by_one(client: paddock.Client) -> None:
    suite = "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(%d, 1)\n"
    results = client.gather([Job(tests=Tests("unittest"), files={"test_t.py": suite % number}) for number in (1, 2)])
    assert [result.passed for result in results] == [True, False]
