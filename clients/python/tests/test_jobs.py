"""One job at a time, with the blocking client, against a real daemon."""

from __future__ import annotations

import asyncio
import hashlib
import time
from pathlib import Path

import pytest

import paddock
from conftest import Daemon
from paddock import Collect, Exited, File, Job, Labels, LimitExceeded, Limits, Signaled, Source


def eventually_idle(client: paddock.Client, within_s: float = 10) -> bool:
    """Whether the farm runs out of jobs in less time than the jobs of these tests would take by themselves."""
    give_up = time.monotonic() + within_s
    while time.monotonic() < give_up:
        stats = client.stats()
        if stats.running == 0 and stats.queued == 0:
            return True
        client.jobs(limit=1)
    return False


def test_a_command_runs_and_its_result_is_typed(client: paddock.Client) -> None:
    result = client.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert result.outcome == Exited(3)
    assert result.outcome.kind == "exited"
    assert not result.ok
    assert not result.passed
    assert (result.stdout.text, result.stderr.text) == ("out\n", "err\n")
    assert result.stdout.total_bytes == 4
    assert result.usage.wall_time_ms is not None and result.usage.wall_time_ms > 0
    assert result.usage.queued_ms is not None
    assert result.phase == "run"


def test_stdin_environment_directory_and_labels_arrive(client: paddock.Client) -> None:
    result = client.run(
        ["sh", "-c", "cat; echo $GREETING; pwd"], stdin="in\n", env={"GREETING": "hello"}, cwd="/tmp",
        labels=Labels(rollout="r1", group="g1"))
    assert result.stdout.text == "in\nhello\n/tmp\n"
    assert result.labels == Labels(rollout="r1", group="g1")


def test_a_jobs_fields_can_be_replaced_in_the_call(client: paddock.Client) -> None:
    job = Job(command=["cat"], stdin="one")
    assert client.run(job).stdout.text == "one"
    assert client.run(job, stdin="two").stdout.text == "two"


def test_source_text_is_run_in_its_language_with_arguments(client: paddock.Client) -> None:
    result = client.run(source=Source("import sys; print(sys.argv[1:])", "python", ["a", "b c"]))
    assert result.ok
    assert result.stdout.text == "['a', 'b c']\n"


def test_a_compile_error_is_the_programs_fate_in_phase_compile(client: paddock.Client) -> None:
    if client.run(["sh", "-c", "command -v gcc"]).outcome != Exited(0):
        pytest.skip("no gcc in the image")
    result = client.run(source=Source("int main() { return x; }", "c"))
    assert result.phase == "compile"
    assert not result.ok
    assert result.compile is not None
    assert "main.c" in result.compile.stderr.text


def test_a_source_that_was_compiled_before_says_so_and_runs_as_it_did(client: paddock.Client) -> None:
    if client.run(["sh", "-c", "command -v gcc"]).outcome != Exited(0):
        pytest.skip("no gcc in the image")
    source = Source(f"/* {time.time_ns()} */\n#include <stdio.h>\nint main(void) {{ putchar(getchar()); return 0; }}\n", "c")
    before = client.run(source=source, stdin="a")
    again = client.run(source=source, stdin="b")
    anew = client.run(source=source, stdin="c", compile_cache=False)
    assert [result.stdout.text for result in (before, again, anew)] == ["a", "b", "c"]
    assert before.compile is not None and again.compile is not None and anew.compile is not None
    assert (before.compile.cached, again.compile.cached, anew.compile.cached) == (False, True, False)
    assert (again.compile.outcome, again.compile.usage) == (before.compile.outcome, before.compile.usage)
    stats = client.stats().compile_cache
    assert stats.hits >= 1 and stats.misses >= 1 and stats.entries >= 1 and stats.bytes > 0


def test_files_go_in_with_their_modes_and_come_back(client: paddock.Client) -> None:
    result = client.run(
        ["./go.sh"], files={"go.sh": File("#!/bin/sh\nmkdir out; cp data.bin out/copy.bin; printf abcdef > out/long.txt\n", 0o755),
                            "data.bin": b"\x00\xff\xfe"},
        collect=["out/*.bin", Collect("out/long.txt", max_bytes=4)])
    assert result.ok, result.stderr.text
    copy, cut = result.file("out/copy.bin"), result.file("out/long.txt")
    assert copy is not None and cut is not None
    assert (copy.bytes, copy.size, copy.truncated) == (b"\x00\xff\xfe", 3, False)
    assert (cut.text, cut.size, cut.truncated) == ("abcd", 6, True)
    assert result.file("out/absent") is None


def test_output_that_is_not_utf_8_keeps_its_bytes(client: paddock.Client) -> None:
    result = client.run(["printf", r"a\377\376b"])
    assert result.stdout.bytes == b"a\xff\xfeb"
    assert result.stdout.text == "a\ufffd\ufffdb"
    assert not result.stdout.truncated


def test_long_output_says_how_much_is_missing(client: paddock.Client) -> None:
    result = client.run(["sh", "-c", "echo first; head -c 1000000 /dev/zero | tr '\\0' x; echo; echo last"])
    assert result.stdout.truncated
    assert result.stdout.total_bytes == 1_000_000 + len("first\n\nlast\n")
    assert result.stdout.head.startswith(b"first\n")
    assert result.stdout.tail.endswith(b"last\n")
    missing = result.stdout.total_bytes - len(result.stdout.bytes)
    assert f"[… {missing} bytes were not kept …]" in result.stdout.text


def test_limits_and_signals_are_values(client: paddock.Client) -> None:
    slow = client.run(["sh", "-c", "while :; do :; done"], limits=Limits(cpu_time_ms=200))
    assert isinstance(slow.outcome, LimitExceeded)
    assert (slow.outcome.limit, slow.outcome.asked) == ("cpu_time", 200)
    assert slow.outcome.used >= 200
    crowded = client.run(["sh", "-c", "for i in $(seq 500); do : > $i || exit 1; done"], limits=Limits(disk_inodes=200))
    assert crowded.outcome == LimitExceeded("disk_inodes", 200, 200)
    assert str(crowded.outcome) == "limit exceeded: disk_inodes (asked 200 inodes)"
    assert client.run(["sh", "-c", "kill -SEGV $$"]).outcome == Signaled("SIGSEGV")


def test_a_deadline_cancels(client: paddock.Client) -> None:
    assert client.run(["sleep", "60"], deadline_ms=300).outcome == paddock.Cancelled("deadline")


def test_denied_syscalls_are_named_and_counted(client: paddock.Client) -> None:
    result = client.run(["python3", "-c", "import ctypes; ctypes.CDLL(None).mount(0, 0, 0, 0, 0)"])
    assert paddock.DeniedSyscall("mount", 1) in result.denied


def test_what_the_farm_turns_away_is_rejected_with_the_field(client: paddock.Client) -> None:
    with pytest.raises(paddock.Rejected) as absent:
        client.run(["true"], pool="no-such-pool")
    assert (absent.value.code, absent.value.field) == ("unknown_pool", "pool")
    with pytest.raises(paddock.Rejected) as wrong:
        client.run(["true"], files={"../out": "x"})
    assert (wrong.value.code, wrong.value.field) == ("invalid_request", "files[0].path")
    with pytest.raises(paddock.Rejected) as unknown:
        client.get("j-0-0")
    assert unknown.value.code == "unknown_job"


def test_text_that_is_not_unicode_is_rejected_before_it_is_sent(client: paddock.Client) -> None:
    with pytest.raises(paddock.Rejected) as wrong:
        client.run(["echo", "\ud800"])
    assert wrong.value.field == "command[1]"
    assert client.run(["true"]).ok


def test_a_request_that_is_too_long_is_rejected_before_it_is_sent(client: paddock.Client) -> None:
    with pytest.raises(paddock.Rejected, match="put contents as blobs"):
        client.run(["true"], stdin="x" * (65 << 20))
    assert client.run(["true"]).ok


def test_a_command_that_is_a_string_is_a_mistake(client: paddock.Client) -> None:
    with pytest.raises(TypeError, match="expected a sequence of strings"):
        client.run("echo hello")


def test_a_submitted_job_is_followed_by_its_handle(client: paddock.Client) -> None:
    handle = client.submit(["cat"], stdin="x")
    assert handle.wait().stdout.text == "x"
    status = handle.status()
    assert status.state == "done" and status.result is not None and status.result.ok
    assert client.wait(handle.id).stdout.text == "x"


def test_waiting_ends_in_time_and_the_job_goes_on_until_it_is_cancelled(client: paddock.Client) -> None:
    handle = client.submit(["sleep", "60"])
    with pytest.raises(paddock.TimedOut):
        handle.wait(timeout_s=0.05)
    assert handle.status().state in ("queued", "running")
    assert handle.cancel() in ("queued", "running")
    assert handle.wait().outcome == paddock.Cancelled("client")


def test_a_run_that_takes_too_long_is_cancelled(client: paddock.Client) -> None:
    with pytest.raises(paddock.TimedOut):
        client.run(["sleep", "50"], timeout_s=0.2, labels=Labels(group="too-long"))
    assert eventually_idle(client)


def test_the_same_key_is_the_same_job(client: paddock.Client) -> None:
    first = client.run(["sh", "-c", "head -c 8 /dev/urandom | od -An -tx1"], idempotency_key="same")
    again = client.run(["sh", "-c", "head -c 8 /dev/urandom | od -An -tx1"], idempotency_key="same")
    assert again == first
    other = client.run(["sh", "-c", "head -c 8 /dev/urandom | od -An -tx1"])
    assert other.stdout != first.stdout


def test_output_is_streamed_while_the_job_runs(client: paddock.Client) -> None:
    seen: list[bytes] = []
    result = client.run(
        ["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done; printf '\\377' >&2"],
        on_output=lambda chunk: seen.append(chunk.stream.encode() + b":" + chunk.bytes))
    assert b"".join(piece[7:] for piece in seen if piece.startswith(b"stdout:")) == b"1\n2\n3\n"
    assert len([piece for piece in seen if piece.startswith(b"stdout:")]) > 1
    assert seen[-1] == b"stderr:\xff"
    assert result.stdout.text == "1\n2\n3\n"


def test_a_callback_that_fails_cancels_its_job(client: paddock.Client) -> None:
    def fail(chunk: paddock.OutputChunk) -> None:
        raise KeyError(chunk.text)

    with pytest.raises(KeyError):
        client.run(["sh", "-c", "echo x; sleep 50"], on_output=fail)
    assert eventually_idle(client)


def test_the_client_can_be_used_from_its_own_callback(client: paddock.Client) -> None:
    inner: list[bool] = []
    client.run(["echo", "x"], on_output=lambda chunk: inner.append(client.run(["true"]).ok))
    assert inner == [True]


def test_a_submitted_job_streams_to_its_handle(client: paddock.Client) -> None:
    handle = client.submit(["sh", "-c", "echo a; sleep 0.1; echo b"], stream=True)
    assert "".join(chunk.text for chunk in handle.output()) == "a\nb\n"
    assert list(handle.output()) == []
    assert handle.wait().ok


def test_blobs_are_put_once_and_named(client: paddock.Client) -> None:
    content = f"shared {time.time_ns()}".encode()
    name = paddock.Blob(hashlib.sha256(content).hexdigest())
    assert not client.has_blobs([name])
    assert client.missing_blobs([name, name.sha256]) != []
    assert client.put_blob(content) == name
    assert client.put_blob(content) == name
    assert client.has_blobs([name])
    result = client.run(["cat", "a"], files={"a": name}, stdin=name)
    assert result.stdout.bytes == content


def test_a_blob_that_is_not_there_is_rejected(client: paddock.Client) -> None:
    with pytest.raises(paddock.Rejected) as unknown:
        client.run(["cat", "a"], files={"a": paddock.Blob("0" * 64)})
    assert unknown.value.code == "unknown_blob"


def test_the_farm_tells_of_itself_and_its_pools(own_farm: Daemon) -> None:
    with paddock.Client(own_farm.socket) as client:
        info = client.info()
        assert info.protocol == 1 and "default" in info.pools and info.host.cpus > 0
        made = client.set_pool("small", size=1, queue=1)
        assert (made.name, made.size, made.queue) == ("small", 1, 1)
        assert {pool.name for pool in client.pools()} == {"default", "small"}
        assert client.drain_pool("small").state == "draining"
        with pytest.raises(paddock.Rejected) as draining:
            with paddock.Client(own_farm.socket, retry=paddock.RetryPolicy(attempts=1)) as hasty:
                hasty.run(["true"], pool="small")
        assert draining.value.code == "draining"
        assert client.resume_pool("small").state == "open"
        assert client.run(["true"], pool="small").ok
        assert client.stats().outcomes["exited"] == 1


def test_the_sockets_path_comes_from_the_environment(farm: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PADDOCK_SOCKET", farm.socket)
    with paddock.Client() as client:
        assert client.info().protocol == 1


def test_a_farm_that_is_not_there_is_said_so_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "absent.sock")
    with pytest.raises(paddock.ConnectionLost) as absent:
        paddock.Client(path).run(["true"])
    assert str(absent.value).startswith(f"cannot connect to {path}: no farm has its socket there; start one with 'paddock serve")
    with pytest.raises(paddock.ConnectionLost, match="cannot connect to .*: AF_UNIX path too long"):
        paddock.Client("/tmp/" + "x" * 200).run(["true"])

    async def main() -> None:
        async with paddock.AsyncClient(path) as client:
            with pytest.raises(paddock.ConnectionLost, match="no farm has its socket there"):
                await client.run(["true"])

    asyncio.run(main())
