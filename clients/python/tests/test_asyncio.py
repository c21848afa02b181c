"""The asyncio client, against a real daemon."""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Coroutine, Dict, Iterator, List, TypeVar

import pytest

import paddock
from conftest import Daemon
from paddock import AsyncClient, Exited, Job, Limits, Tests

T = TypeVar("T")


def go(farm: Daemon, work: Callable[[AsyncClient], Coroutine[Any, Any, T]]) -> T:
    async def main() -> T:
        async with AsyncClient(farm.socket) as client:
            return await asyncio.wait_for(work(client), 120)

    return asyncio.run(main())


async def eventually_idle(client: AsyncClient) -> bool:
    loop = asyncio.get_running_loop()
    give_up = loop.time() + 10
    while loop.time() < give_up:
        stats = await client.stats()
        if stats.running == 0 and stats.queued == 0:
            return True
    return False


def test_jobs_run_and_are_submitted_waited_for_and_cancelled(farm: Daemon) -> None:
    async def work(client: AsyncClient) -> None:
        result = await client.run(["cat"], stdin="hello", limits=Limits(cpu_time_ms=5000))
        assert (result.outcome, result.stdout.text) == (Exited(0), "hello")
        handle = await client.submit(["sleep", "60"])
        with pytest.raises(paddock.TimedOut):
            await handle.wait(0.05)
        assert (await handle.status()).state in ("queued", "running")
        await handle.cancel()
        assert (await handle.wait()).outcome == paddock.Cancelled("client")
        assert (await client.info()).protocol == 1
        assert {pool.name for pool in await client.pools()} >= {"default"}
        assert (await client.jobs(limit=1)).total >= 1

    go(farm, work)


def test_two_thousand_jobs_come_back_in_order(farm: Daemon) -> None:
    async def work(client: AsyncClient) -> List[str]:
        results = await client.gather((["echo", str(number)] for number in range(2000)), concurrency=256)
        return [result.stdout.text for result in results]

    assert go(farm, work) == [f"{number}\n" for number in range(2000)]


def test_each_job_is_told_as_it_ends(farm: Daemon) -> None:
    async def work(client: AsyncClient) -> List[int]:
        jobs = [["sh", "-c", "sleep 3"]] + [["true"]] * 4
        return [end.index async for end in client.as_completed(jobs, concurrency=2)]

    ends = go(farm, work)
    assert sorted(ends) == [0, 1, 2, 3, 4] and ends[-1] == 0


def test_a_job_without_a_result_raises_or_stands_in_its_place(farm: Daemon) -> None:
    async def work(client: AsyncClient) -> None:
        jobs = [Job(command=["true"]), Job(command=["true"], pool="absent")]
        ends = await client.gather(jobs, return_exceptions=True)
        assert isinstance(ends[0], paddock.Result) and isinstance(ends[1], paddock.Rejected)
        with pytest.raises(paddock.Rejected):
            await client.gather(jobs)

    go(farm, work)


def test_an_iterator_of_jobs_that_fails_is_heard(farm: Daemon) -> None:
    def jobs() -> Iterator[List[str]]:
        yield ["true"]
        raise KeyError("no more")

    async def work(client: AsyncClient) -> None:
        with pytest.raises(KeyError):
            await client.gather(jobs(), concurrency=3)

    go(farm, work)


def test_cancelling_the_task_cancels_the_job(farm: Daemon) -> None:
    async def work(client: AsyncClient) -> None:
        running = asyncio.ensure_future(client.run(["sleep", "50"]))
        while (await client.stats()).running == 0:
            pass
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await eventually_idle(client)

    go(farm, work)


def test_cancelling_a_batch_cancels_its_jobs(farm: Daemon) -> None:
    async def work(client: AsyncClient) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.gather([["sleep", "50"]] * 6), 0.5)
        assert await eventually_idle(client)

    go(farm, work)


def test_a_run_that_takes_too_long_is_cancelled(farm: Daemon) -> None:
    async def work(client: AsyncClient) -> None:
        with pytest.raises(paddock.TimedOut):
            await client.run(["sleep", "50"], timeout_s=0.2)
        assert await eventually_idle(client)

    go(farm, work)


def test_output_is_streamed_while_the_job_runs(farm: Daemon) -> None:
    async def work(client: AsyncClient) -> None:
        seen: List[str] = []
        await client.run(["sh", "-c", "echo a; sleep 0.1; echo b"], on_output=lambda chunk: seen.append(chunk.text))
        assert "".join(seen) == "a\nb\n" and len(seen) == 2
        handle = await client.submit(["sh", "-c", "echo a; sleep 0.1; echo b"], stream=True)
        assert "".join([chunk.text async for chunk in handle.output()]) == "a\nb\n"
        assert (await handle.wait()).ok
        batch: Dict[int, str] = {}
        await client.gather([["echo", "x"], ["echo", "y"]], on_output=lambda index, chunk: batch.update({index: chunk.text}))
        assert batch == {0: "x\n", 1: "y\n"}

    go(farm, work)


def test_a_callback_that_fails_cancels_its_job(farm: Daemon) -> None:
    def fail(chunk: paddock.OutputChunk) -> None:
        raise KeyError(chunk.text)

    async def work(client: AsyncClient) -> None:
        with pytest.raises(KeyError):
            await client.run(["sh", "-c", "echo x; sleep 50"], on_output=fail)
        assert await eventually_idle(client)

    go(farm, work)


def test_contents_that_jobs_share_are_uploaded_once(own_farm: Daemon) -> None:
    async def work(client: AsyncClient) -> None:
        jobs = [Job(command=["wc", "-c", "f"], files={"f": "s" * 300_000}) for _ in range(30)]
        results = await client.gather(jobs, concurrency=8)
        assert all(result.stdout.text.startswith("300000") for result in results)
        assert (await client.stats()).blobs == 1
        blob = await client.put_blob(b"other")
        assert await client.has_blobs([blob])

    go(own_farm, work)


def test_calls_beyond_the_bound_wait_for_their_turn(farm: Daemon) -> None:
    async def main() -> None:
        async with AsyncClient(farm.socket, max_in_flight=2, max_outbound_bytes=1000) as client:
            ends = await asyncio.gather(*[client.run(["wc", "-c"], stdin="x" * 500_000) for _ in range(12)])
            assert [end.stdout.text for end in ends] == ["500000\n"] * 12

    asyncio.run(asyncio.wait_for(main(), 60))


def test_suites_are_judged(farm: Daemon) -> None:
    async def work(client: AsyncClient) -> bool:
        suite = "import unittest\nclass T(unittest.TestCase):\n    def test(self): pass\n"
        return (await client.run(tests=Tests("unittest"), files={"test_t.py": suite})).passed

    assert go(farm, work)


def test_closing_releases_everyone_and_may_be_done_twice(farm: Daemon) -> None:
    async def main() -> None:
        client = AsyncClient(farm.socket)
        await client.connect()
        running = [asyncio.ensure_future(client.run(["sleep", "50"])) for _ in range(3)]
        while (await client.stats()).submitted == 0:
            pass
        await client.close()
        await client.close()
        ends = await asyncio.gather(*running, return_exceptions=True)
        assert all(isinstance(end, paddock.ConnectionLost) for end in ends)
        with pytest.raises(paddock.ConnectionLost, match="closed"):
            await client.run(["true"])

    asyncio.run(asyncio.wait_for(main(), 30))
