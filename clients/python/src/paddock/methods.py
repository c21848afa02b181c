"""The farm's methods as calls: name, encoded parameters, and how the answer is read. Shared by both clients."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Callable, Generic, List, Mapping, Optional, Sequence, TypeVar, Union

from . import fields
from .fields import Json
from .job import Blob, Job, bytes_content
from .lines import encode_params
from .result import Result
from .status import FarmInfo, FarmStats, JobList, JobState, JobStatus, PoolStatus, Reuse, read_state

T = TypeVar("T")


@dataclass(frozen=True)
class Call(Generic[T]):
    """One call, ready to be sent as often as it takes."""

    method: str
    params: bytes
    read: Callable[[object], T]


def default_socket() -> str:
    """PADDOCK_SOCKET where it is set, else where `paddock serve` puts its socket for this user."""
    named = os.environ.get("PADDOCK_SOCKET")
    if named:
        return named
    if os.geteuid() == 0:
        return "/run/paddock/paddock.sock"
    return os.path.join(os.environ.get("XDG_RUNTIME_DIR") or f"/tmp/paddock-{os.geteuid()}", "paddock/paddock.sock")


@dataclass(frozen=True)
class JobCall(Generic[T]):
    """A job on its way to the farm. What is sent is encoded once; the key makes every further try the same job."""

    kind: Callable[[Json], Call[T]]
    params: Json
    has_own_key: bool

    @staticmethod
    def of(kind: Callable[[Json], Call[T]], job: Job, key: str, stream: bool, contents: Optional[Mapping[str, Blob]]) -> JobCall[T]:
        params = job.params(contents)
        params.setdefault("idempotency_key", key)
        if stream:
            params["stream"] = True
        return JobCall(kind, params, job.idempotency_key is not None)

    def call(self) -> Call[T]:
        return self.kind(self.params)

    def renewed(self) -> Call[T]:
        """The same under another key."""
        self.params["idempotency_key"] = f"{self.params['idempotency_key']}+"
        return self.call()

    def to_cancel(self) -> Call[str]:
        """Tells the job's name, which `job.run` does not: the same key is the same job, which then is to be cancelled."""
        return submit({**self.params, "stream": False, "on_disconnect": "cancel"})


def run(params: Json) -> Call[Result]:
    return Call("job.run", encode_params(params), Result.read)


def submit(params: Json) -> Call[str]:
    return Call("job.submit", encode_params(params), lambda value: fields.text(fields.obj(value, "job"), "job", "job"))


def wait(job: str, timeout_s: Optional[float]) -> Call[Optional[Result]]:
    """The result, or None when the time has passed."""
    params: Json = {"job": job}
    if timeout_s is not None:
        params["timeout_ms"] = max(0, int(timeout_s * 1000))
    return Call("job.wait", encode_params(params), _result_or_state)


def get(job: str) -> Call[JobStatus]:
    return Call("job.get", encode_params({"job": job}), JobStatus.read)


def jobs(state: Optional[JobState], pool: Optional[str], limit: Optional[int]) -> Call[JobList]:
    return Call("job.list", _given(state=state, pool=pool, limit=limit), JobList.read)


def cancel(job: str) -> Call[JobState]:
    return Call("job.cancel", encode_params({"job": job}), lambda value: read_state(fields.obj(value, "job"), "job"))


def put_blob(content: Union[str, bytes], sha256: Optional[str] = None) -> Call[Blob]:
    params: Json = {"text": content} if isinstance(content, str) else bytes_content(content)
    if sha256 is not None:
        params["sha256"] = sha256
    return Call(
        "blob.put", encode_params(params),
        lambda value: Blob(fields.text(fields.obj(value, "blob"), "blob", "blob")))


def missing_blobs(blobs: Sequence[Union[Blob, str]]) -> Call[List[Blob]]:
    names = [blob.sha256 if isinstance(blob, Blob) else blob for blob in blobs]
    return Call(
        "blob.has", encode_params({"blobs": names}),
        lambda value: [Blob(name) for name in fields.texts(fields.obj(value, "blob.has"), "missing", "blob.has")])


def info() -> Call[FarmInfo]:
    return Call("farm.info", b"{}", FarmInfo.read)


def stats() -> Call[FarmStats]:
    return Call("farm.stats", b"{}", FarmStats.read)


def pools() -> Call[List[PoolStatus]]:
    return Call(
        "pool.list", b"{}",
        lambda value: fields.items(fields.obj(value, "pool.list"), "pools", "pool.list", PoolStatus.read))


def set_pool(
    pool: str, size: Optional[int], queue: Optional[int], image: Optional[str], policy: Optional[str], reuse: Optional[Reuse]
) -> Call[PoolStatus]:
    params = _given(pool=pool, size=size, queue=queue, image=image, policy=policy, reuse=reuse)
    return Call("pool.set", params, PoolStatus.read)


def drain_pool(pool: str) -> Call[PoolStatus]:
    return Call("pool.drain", _given(pool=pool), PoolStatus.read)


def resume_pool(pool: str) -> Call[PoolStatus]:
    return Call("pool.resume", _given(pool=pool), PoolStatus.read)


def _given(**params: object) -> bytes:
    return encode_params({name: value for name, value in params.items() if value is not None})


def _result_or_state(value: object) -> Optional[Result]:
    found = fields.obj(value, "job.wait")
    return None if "state" in found else Result.read(found)


def was_disconnected(value: object) -> bool:
    """Whether this is the result of a job that a lost connection cancelled."""
    return type(value) is dict and value.get("outcome") == "cancelled" and value.get("by") == "disconnect"
