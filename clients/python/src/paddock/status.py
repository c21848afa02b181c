"""What the farm says about itself: its facts, its figures, its pools, and a job's state. Decoded JSON -> values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Literal, Optional, Tuple

from . import fields
from .errors import FarmError, PaddockError, Rejected
from .fields import Json
from .job import Labels
from .result import Result

JobState = Literal["queued", "running", "done"]
#: Whether a sandbox serves more than one job of a pool: `none`, or the jobs of one `group`.
Reuse = Literal["none", "group"]
_STATES: Tuple[JobState, ...] = ("queued", "running", "done")


@dataclass(frozen=True)
class HostFacts:
    """The machine the farm runs on. `cgroup` is `v1`, `v2` or `none`."""

    kernel: str
    architecture: str
    cpus: int
    memory_bytes: int
    cgroup: str
    root: bool


@dataclass(frozen=True)
class FarmInfo:
    """What the farm is and can do."""

    version: str
    protocol: int
    pid: int
    uptime_ms: int
    host: HostFacts
    pools: List[str]
    policies: List[str]
    images: List[str]
    languages: List[str]
    #: Mechanisms this host cannot enforce.
    unenforced: List[str]

    @classmethod
    def read(cls, value: object) -> FarmInfo:
        path = "farm.info"
        found = fields.obj(value, path)
        host, at = fields.obj(found.get("host"), f"{path}.host"), f"{path}.host"
        return cls(
            fields.text(found, "version", path), fields.integer(found, "protocol", path),
            fields.integer(found, "pid", path), fields.integer(found, "uptime_ms", path),
            HostFacts(
                fields.text(host, "kernel", at), fields.text(host, "architecture", at), fields.integer(host, "cpus", at),
                fields.integer(host, "memory_bytes", at), fields.text(host, "cgroup", at),
                fields.boolean(host, "root", at)),
            fields.texts(found, "pools", path), fields.texts(found, "policies", path),
            fields.texts(found, "images", path), fields.texts(found, "languages", path),
            fields.texts(found, "unenforced", path))


@dataclass(frozen=True)
class StageTimes:
    """How long a stage took, over all jobs since the daemon started."""

    count: int
    sum_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    #: How many took up to so many milliseconds and more than the bucket before; None: longer than all bounds.
    buckets: List[Tuple[Optional[float], int]]

    @classmethod
    def read(cls, value: Json, path: str) -> StageTimes:
        def bucket(item: Json, at: str) -> Tuple[Optional[float], int]:
            return (fields.optional_number(item, "up_to_ms", at), fields.integer(item, "count", at))

        return cls(
            fields.integer(value, "count", path), fields.number(value, "sum_ms", path), fields.number(value, "p50_ms", path),
            fields.number(value, "p90_ms", path), fields.number(value, "p99_ms", path), fields.number(value, "max_ms", path),
            fields.items(value, "buckets", path, bucket))

    @classmethod
    def read_all(cls, value: object, path: str) -> Dict[str, StageTimes]:
        return {
            name: cls.read(fields.obj(times, f"{path}.{name}"), f"{path}.{name}")
            for name, times in fields.obj(value, path).items()
        }


@dataclass(frozen=True)
class CompileCacheStats:
    """Compile steps: run (`misses`), or answered from an equal one that was kept (`hits`) or ran just then (`shared`)."""

    hits: int = 0
    shared: int = 0
    misses: int = 0
    #: Those that had to go to make room.
    evicted: int = 0
    #: What is kept now.
    entries: int = 0
    bytes: int = 0

    @classmethod
    def read(cls, value: object, path: str) -> CompileCacheStats:
        found = fields.obj(value, path)
        return cls(*(
            fields.integer(found, name, path) for name in ("hits", "shared", "misses", "evicted", "entries", "bytes")))


@dataclass(frozen=True)
class FarmStats:
    """Counts since the daemon started, and what it holds now."""

    uptime_ms: int
    submitted: int
    rejected: int
    outcomes: Dict[str, int]
    farm_errors: Dict[str, int]
    queued: int
    running: int
    jobs_per_second: float
    stages: Dict[str, StageTimes]
    stages_by_pool: Dict[str, Dict[str, StageTimes]]
    connections: int
    memory_bytes: int
    kept_results: int
    kept_result_bytes: int
    blobs: int
    blob_bytes: int
    compile_cache: CompileCacheStats = CompileCacheStats()

    @classmethod
    def read(cls, value: object) -> FarmStats:
        path = "farm.stats"
        found = fields.obj(value, path)
        by_pool = fields.obj(found.get("stages_by_pool", {}), f"{path}.stages_by_pool")
        return cls(
            fields.integer(found, "uptime_ms", path), fields.integer(found, "submitted", path),
            fields.integer(found, "rejected", path), fields.numbers(found, "outcomes", path),
            fields.numbers(found, "farm_errors", path), fields.integer(found, "queued", path),
            fields.integer(found, "running", path), fields.number(found, "jobs_per_second", path),
            StageTimes.read_all(found.get("stages", {}), f"{path}.stages"),
            {pool: StageTimes.read_all(stages, f"{path}.stages_by_pool.{pool}") for pool, stages in by_pool.items()},
            fields.integer(found, "connections", path), fields.integer(found, "memory_bytes", path),
            fields.integer(found, "kept_results", path), fields.integer(found, "kept_result_bytes", path),
            fields.integer(found, "blobs", path), fields.integer(found, "blob_bytes", path),
            CompileCacheStats.read(found["compile_cache"], f"{path}.compile_cache") if "compile_cache" in found
            else CompileCacheStats())


@dataclass(frozen=True)
class PoolStatus:
    """One pool: how many jobs run at once (`size`), how many may wait (`queue`), and what it does now."""

    name: str
    state: str
    backend: str
    image: str
    policy: str
    size: int
    queue: int
    queued: int
    running: int
    #: Sandboxes that are made and wait for a job, and jobs ended since the start, where the farm says so.
    ready: Optional[int] = None
    ended: Optional[int] = None
    #: `none` or `group`, and sandboxes that wait for their group's next job, where the farm says so.
    reuse: Optional[str] = None
    idle: Optional[int] = None

    @classmethod
    def read(cls, value: object, path: str = "pool") -> PoolStatus:
        found = fields.obj(value, path)
        return cls(
            fields.text(found, "name", path), fields.text(found, "state", path), fields.text(found, "backend", path),
            fields.text(found, "image", path), fields.text(found, "policy", path), fields.integer(found, "size", path),
            fields.integer(found, "queue", path), fields.integer(found, "queued", path),
            fields.integer(found, "running", path), fields.optional_integer(found, "ready", path),
            fields.optional_integer(found, "ended", path), fields.optional_text(found, "reuse", path),
            fields.optional_integer(found, "idle", path))


@dataclass(frozen=True)
class JobStatus:
    """Where a job is. A job that is done has a `result`, or the `error` with which the farm failed."""

    job: str
    state: JobState
    pool: str
    labels: Labels
    submitted_ms_ago: int
    result: Optional[Result] = None
    error: Optional[PaddockError] = None

    @classmethod
    def read(cls, value: object, path: str = "job") -> JobStatus:
        found = fields.obj(value, path)
        labels = fields.obj(found.get("labels", {}), f"{path}.labels")
        result, error = found.get("result"), found.get("error")
        return cls(
            fields.text(found, "job", path), read_state(found, path), fields.text(found, "pool", path),
            Labels(fields.optional_text(labels, "rollout", path), fields.optional_text(labels, "group", path)),
            fields.integer(found, "submitted_ms_ago", path),
            None if result is None else Result.read(result, f"{path}.result"),
            None if error is None else read_error(fields.obj(error, f"{path}.error"), f"{path}.error"))


@dataclass(frozen=True)
class JobList:
    """Some jobs, and how many there are that fit the question."""

    jobs: List[JobStatus]
    total: int

    @classmethod
    def read(cls, value: object) -> JobList:
        found = fields.obj(value, "job.list")
        return cls(fields.items(found, "jobs", "job.list", JobStatus.read), fields.integer(found, "total", "job.list"))


def read_state(value: Json, path: str) -> JobState:
    state = fields.text(value, "state", path)
    for known in _STATES:
        if state == known:
            return known
    raise fields.wrong(f"{path}.state", state, "queued, running or done")


def read_error(error: Json, path: str = "error") -> PaddockError:
    """JSON-RPC's error object as the exception it stands for."""
    code, message = fields.integer(error, "code", path), fields.text(error, "message", path)
    data = fields.obj(error.get("data"), f"{path}.data")
    kind, reason = fields.text(data, "kind", f"{path}.data"), fields.text(data, "code", f"{path}.data")
    if kind == "rejected":
        return Rejected(
            reason, message, fields.optional_text(data, "field", path),
            fields.optional_integer(data, "retry_after_ms", path))
    if kind == "farm_error":
        return FarmError(reason, message, fields.optional_boolean(data, "retryable", path) or False)
    raise fields.wrong(f"{path}.data.kind", kind, f"rejected or farm_error (with code {code})")
