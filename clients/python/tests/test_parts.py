"""The parts that decide without I/O: cutting lines, when to try again, what is shared."""

from __future__ import annotations

import random
from typing import List

import pytest

import paddock
from paddock import File, Job, RetryPolicy
from paddock.lines import LineSplitter
from paddock.retry import Retries
from paddock.sharing import Sharing


def test_lines_are_the_same_however_the_stream_is_cut() -> None:
    lines = [b"", b"a", b"bb" * 50, b"", b"c" * 1000, b"last"]
    stream = b"\n".join(lines) + b"\n"
    for seed in range(200):
        source = random.Random(seed)
        splitter, at = LineSplitter(1000), 0
        found: List[bytes] = []
        while at < len(stream):
            size = source.choice([1, 2, 7, 300, 5000])
            found += splitter.feed(stream[at:at + size])
            at += size
        assert found == lines
        assert splitter.unfinished == 0


def test_a_line_of_one_byte_too_many_is_refused_wherever_its_end_is() -> None:
    for cut in (1, 500, 1001):
        splitter = LineSplitter(1000)
        line = b"x" * 1001 + b"\n"
        with pytest.raises(paddock.ProtocolError):
            for at in range(0, len(line), cut):
                splitter.feed(line[at:at + cut])


def waits(policy: RetryPolicy, error: paddock.PaddockError) -> List[float]:
    retries = Retries(policy)
    found: List[float] = []
    while len(found) < 1000:
        delay = retries.delay(error)
        if delay is None:
            return found
        found.append(delay)
    raise AssertionError("it never ends")


def test_tries_are_bounded_in_number_and_in_time() -> None:
    lost = paddock.ConnectionLost("x")
    assert len(waits(RetryPolicy(attempts=4), lost)) == 3
    assert waits(RetryPolicy(attempts=1), lost) == []
    assert sum(waits(RetryPolicy(attempts=10**6, total_s=30), lost)) <= 30


def test_waits_double_up_to_a_bound_and_are_jittered() -> None:
    found = waits(RetryPolicy(attempts=9, first_s=1, longest_s=8, total_s=1e9, jitter=0.5), paddock.ConnectionLost("x"))
    for wait, least in zip(found, [1, 2, 4, 8, 8, 8, 8, 8]):
        assert least <= wait <= 1.5 * least
    assert len({wait / 8 for wait in found[3:]}) > 1


def test_the_farm_is_not_asked_before_it_says() -> None:
    full = paddock.Rejected("queue_full", "x", retry_after_ms=700)
    assert all(wait >= 0.7 for wait in waits(RetryPolicy(attempts=5, first_s=0.01), full))


@pytest.mark.parametrize("error", [
    paddock.Rejected("invalid_request", "x"), paddock.Rejected("unknown_pool", "x"), paddock.Rejected("unknown_blob", "x"),
    paddock.FarmError("host_lacks", "x"), paddock.ProtocolError("x"), paddock.TimedOut("x"),
], ids=lambda error: str(error))
def test_what_will_not_change_is_not_tried_again(error: paddock.PaddockError) -> None:
    assert waits(RetryPolicy(), error) == []


def test_a_content_is_shared_from_the_second_job_on() -> None:
    sharing = Sharing(10)
    assert sharing.of(Job(files={"a": "x" * 10, "b": "y" * 9})) is None
    again = sharing.of(Job(files={"c": b"x" * 10, "b": "y" * 9, "d": File("z" * 10)}))
    assert again is not None
    assert list(again.by_path) == ["c"] and list(again.by_digest.values()) == [b"x" * 10]
    assert Sharing(None).of(Job(files={"a": "x" * 1000})) is None


def test_errors_say_what_and_where() -> None:
    assert str(paddock.Rejected("invalid_request", "found 7", "files[2].path")) == (
        "rejected, invalid_request in files[2].path: found 7")
    assert str(paddock.Rejected("draining", "the farm is draining", retry_after_ms=2500)) == (
        "rejected, draining: the farm is draining (try again in 2.5 s)")
    assert str(paddock.FarmError("storage", "disk full")) == "the farm failed, storage: disk full"
    assert str(paddock.FarmError("sandbox_lost", "gone", True)).endswith("gone (the same job may succeed when tried again)")
    assert issubclass(paddock.TimedOut, paddock.PaddockError)


def test_a_limit_has_its_unit_and_one_of_a_newer_farm_has_none() -> None:
    assert str(paddock.LimitExceeded("memory", 64, 65)) == "limit exceeded: memory (asked 64 bytes)"
    assert str(paddock.LimitExceeded("luck", 1, 2)) == "limit exceeded: luck (asked 1)"


@pytest.mark.parametrize("field, value, expected", [("limits", {"wall_time_ms": 1}, "Limits"), ("labels", {"group": "a"}, "Labels")])
def test_what_is_no_limits_and_no_labels_is_named(field: str, value: object, expected: str) -> None:
    with pytest.raises(TypeError, match=rf"{field}: found {{.*}}, expected paddock\.{expected}"):
        Job(command=["true"], **{field: value}).params()  # type: ignore[arg-type]
