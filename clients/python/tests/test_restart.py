"""A daemon that is killed and started again, a queue that is full: what may be retried is, under the same key."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import List

import pytest

import paddock
from conftest import Daemon
from paddock import Job, RetryPolicy

PATIENT = RetryPolicy(attempts=200, total_s=60, longest_s=0.5)


def in_flight(farm: Daemon, count: int) -> None:
    """Returns when the farm has that many jobs."""
    with paddock.Client(farm.socket) as other:
        give_up = time.monotonic() + 20
        while time.monotonic() < give_up:
            stats = other.stats()
            if stats.queued + stats.running >= count:
                return
    raise AssertionError(f"there were never {count} jobs")


def test_jobs_in_flight_survive_a_killed_daemon(own_farm: Daemon) -> None:
    shared = "s" * 100_000
    jobs = [Job(command=["sh", "-c", f"sleep 0.2; wc -c < f; echo {n}"], files={"f": shared}) for n in range(12)]
    ends: List[paddock.Result] = []
    with paddock.Client(own_farm.socket, retry=PATIENT) as client:
        batch = threading.Thread(target=lambda: ends.extend(client.gather(jobs, concurrency=12)))
        batch.start()
        in_flight(own_farm, 4)
        own_farm.kill()
        own_farm.start()
        batch.join(60)
    assert [end.stdout.text for end in ends] == [f"100000\n{number}\n" for number in range(12)]


def test_a_batch_goes_on_over_a_daemon_that_is_drained_and_started_again(own_farm: Daemon) -> None:
    jobs = [Job(command=["sh", "-c", f"sleep 0.3; echo {n}"]) for n in range(8)]
    ends: List[paddock.Result] = []
    with paddock.Client(own_farm.socket, retry=PATIENT) as client:
        batch = threading.Thread(target=lambda: ends.extend(client.gather(jobs, concurrency=4)))
        batch.start()
        in_flight(own_farm, 4)
        own_farm.stop()  # what runs ends, what comes is turned away with `draining`
        own_farm.start()
        batch.join(60)
    assert [(end.outcome, end.stdout.text) for end in ends] == [(paddock.Exited(0), f"{number}\n") for number in range(8)]


def test_the_asyncio_client_survives_a_killed_daemon(own_farm: Daemon) -> None:
    async def main() -> None:
        async with paddock.AsyncClient(own_farm.socket, retry=PATIENT) as client:
            jobs = [Job(command=["sh", "-c", f"sleep 0.2; wc -c < f; echo {n}"], files={"f": "s" * 100_000}) for n in range(12)]
            batch = asyncio.ensure_future(client.gather(jobs, concurrency=12))
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, in_flight, own_farm, 4)
            await loop.run_in_executor(None, own_farm.kill)
            await loop.run_in_executor(None, own_farm.start)
            ends = await batch
            assert [end.stdout.text for end in ends] == [f"100000\n{number}\n" for number in range(12)]

    asyncio.run(asyncio.wait_for(main(), 120))


def test_a_lost_connection_is_made_again_while_the_daemon_lives(own_farm: Daemon) -> None:
    with paddock.Client(own_farm.socket, retry=PATIENT) as client:
        ends: List[paddock.Result] = []
        run = threading.Thread(target=lambda: ends.append(client.run(["sh", "-c", "sleep 0.5; echo done"])))
        run.start()
        in_flight(own_farm, 1)
        connection = client._channel._connection
        assert connection is not None
        connection.socket.shutdown(2)  # the farm sees a client that is gone and cancels its job
        run.join(30)
        assert [end.stdout.text for end in ends] == ["done\n"]


def test_a_job_that_may_finish_is_run_once_although_the_connection_is_lost(own_farm: Daemon) -> None:
    with paddock.Client(own_farm.socket, retry=PATIENT) as client:
        ends: List[paddock.Result] = []
        job = Job(command=["sh", "-c", "sleep 0.5; echo done"], on_disconnect="finish")
        run = threading.Thread(target=lambda: ends.append(client.run(job)))
        run.start()
        in_flight(own_farm, 1)
        connection = client._channel._connection
        assert connection is not None
        connection.socket.shutdown(2)
        run.join(30)
        assert [end.stdout.text for end in ends] == ["done\n"]
        assert client.stats().submitted == 1


def test_without_retries_a_killed_daemon_is_a_lost_connection(own_farm: Daemon) -> None:
    errors: List[BaseException] = []

    def work() -> None:
        try:
            client.run(["sleep", "50"])
        except paddock.PaddockError as error:
            errors.append(error)

    with paddock.Client(own_farm.socket, retry=RetryPolicy(attempts=1)) as client:
        run = threading.Thread(target=work)
        run.start()
        in_flight(own_farm, 1)
        own_farm.kill()
        run.join(30)
        assert len(errors) == 1 and isinstance(errors[0], paddock.ConnectionLost)
        with pytest.raises(paddock.ConnectionLost):
            client.run(["true"])
        own_farm.start()
        assert client.run(["true"]).ok


def test_a_full_queue_is_waited_for(own_farm: Daemon) -> None:
    with paddock.Client(own_farm.socket, retry=PATIENT) as client:
        client.set_pool("narrow", size=1, queue=1)
        results = client.gather([Job(command=["sh", "-c", "sleep 0.05"], pool="narrow")] * 10, concurrency=10)
        assert len(results) == 10 and all(result.ok for result in results)
        assert client.stats().rejected > 0

    async def main() -> None:
        async with paddock.AsyncClient(own_farm.socket, retry=PATIENT) as client:
            results = await client.gather([Job(command=["true"], pool="narrow")] * 10, concurrency=10)
            assert all(result.ok for result in results)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_full_queue_is_said_so_when_the_attempts_are_used_up(own_farm: Daemon) -> None:
    with paddock.Client(own_farm.socket, retry=RetryPolicy(attempts=1)) as client:
        client.set_pool("narrow", size=1, queue=1)
        ends = client.gather(
            [Job(command=["sleep", "1"], pool="narrow")] * 6, concurrency=6, return_exceptions=True)
        full = [end for end in ends if isinstance(end, paddock.Rejected)]
        assert full and all(end.code == "queue_full" and end.retry_after_ms is not None for end in full)
