"""A job as its user describes it, in the words of docs/protocol.md, and how it is written on the wire.

The first step of a job's journey. Only types are checked here: what a field may hold is for the farm to say.
"""

from __future__ import annotations

import dataclasses
from base64 import b64encode
from dataclasses import dataclass, field
from typing import (
    Iterator, List, Literal, Mapping, Optional, Sequence, Tuple, TypedDict, Union
)

from .fields import Json

Framework = Literal["pytest", "unittest", "junit", "tap", "go_json"]
OnDisconnect = Literal["cancel", "finish"]


@dataclass(frozen=True)
class Blob:
    """Bytes that were uploaded before, named by their SHA-256 in 64 lower-case hexadecimal digits."""

    sha256: str


Content = Union[str, bytes, Blob]


@dataclass(frozen=True)
class File:
    """A file placed below `/workspace` before the job starts."""

    content: Content
    mode: int = 0o644


@dataclass(frozen=True)
class Collect:
    """A file, or with `*`, `?`, `[…]` and `**` several, to bring back; each cut at `max_bytes` (default 1 MiB)."""

    path: str
    max_bytes: Optional[int] = None


@dataclass(frozen=True)
class Source:
    """Source text in a language of the farm's table, with arguments for the program."""

    text: str
    language: str
    args: Sequence[str] = ()


@dataclass(frozen=True)
class Limits:
    """What the job may use. What is None is the policy's to say."""

    cpu_time_ms: Optional[int] = None
    wall_time_ms: Optional[int] = None
    memory_bytes: Optional[int] = None
    processes: Optional[int] = None
    disk_bytes: Optional[int] = None
    disk_inodes: Optional[int] = None
    output_bytes: Optional[int] = None
    open_files: Optional[int] = None
    stack_bytes: Optional[int] = None
    file_size_bytes: Optional[int] = None


@dataclass(frozen=True)
class Tests:
    """Unit tests to run and read as structured results."""

    __test__ = False  # pytest collects classes called Test…

    framework: Framework
    paths: Sequence[str] = ()
    args: Sequence[str] = ()
    report: Optional[str] = None
    fail_to_pass: Optional[Sequence[str]] = None
    pass_to_pass: Optional[Sequence[str]] = None


@dataclass(frozen=True)
class Labels:
    """The client's own words. `group` is the unit of fair sharing."""

    rollout: Optional[str] = None
    group: Optional[str] = None


class JobFields(TypedDict, total=False):
    """The fields of `Job` as keyword arguments."""

    command: Sequence[str]
    source: Source
    tests: Tests
    stdin: Content
    env: Mapping[str, str]
    cwd: str
    files: Mapping[str, Union[Content, File]]
    collect: Sequence[Union[str, Collect]]
    limits: Limits
    policy: str
    image: str
    pool: str
    template: str
    labels: Labels
    priority: int
    deadline_ms: int
    idempotency_key: str
    on_disconnect: OnDisconnect
    compile_cache: bool


@dataclass(frozen=True)
class Job:
    """One unit of work. Exactly one of `command` and `source`, or `tests` alone; docs/protocol.md has each field."""

    command: Optional[Sequence[str]] = None
    source: Optional[Source] = None
    tests: Optional[Tests] = None
    stdin: Optional[Content] = None
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Optional[str] = None
    files: Mapping[str, Union[Content, File]] = field(default_factory=dict)
    collect: Sequence[Union[str, Collect]] = ()
    limits: Optional[Limits] = None
    policy: Optional[str] = None
    image: Optional[str] = None
    pool: Optional[str] = None
    #: The template to be forked from, or "none" to start anew; what the pool says where it is not given.
    template: Optional[str] = None
    labels: Optional[Labels] = None
    priority: int = 0
    deadline_ms: Optional[int] = None
    idempotency_key: Optional[str] = None
    on_disconnect: Optional[OnDisconnect] = None
    #: False: its compile step is run, whatever is known of equal ones, and nothing is kept of it.
    compile_cache: Optional[bool] = None

    @staticmethod
    def of(job: Union[Job, Sequence[str], None], fields: JobFields) -> Job:
        """The job that `run(job, **fields)` means: a job with some fields replaced, a command, or fields alone."""
        if isinstance(job, Job):
            return dataclasses.replace(job, **fields) if fields else job
        if job is None:
            return Job(**fields)
        if "command" in fields:
            raise TypeError("command is given twice")
        return dataclasses.replace(Job(command=job), **fields)

    def params(self, contents: Optional[Mapping[str, Content]] = None) -> Json:
        """The parameters of `job.run`, as JSON has them.

        `contents` has what to send for a file, by its path, in place of its own content.
        """
        params: Json = {}
        for name in (
                "cwd", "policy", "image", "pool", "template", "deadline_ms", "idempotency_key", "on_disconnect", "compile_cache"):
            value = getattr(self, name)
            if value is not None:
                params[name] = value
        if self.command is not None:
            params["command"] = strings(self.command, "command")
        if self.source is not None:
            source: Json = {"text": self.source.text, "language": self.source.language}
            if self.source.args:
                source["args"] = strings(self.source.args, "source.args")
            params["source"] = source
        if self.tests is not None:
            params["tests"] = _tests(self.tests)
        if self.stdin is not None:
            params["stdin"] = _content(self.stdin, "stdin")
        if self.env:
            params["env"] = dict(self.env)
        if self.files:
            params["files"] = [_file(path, file, contents) for path, file in self.files.items()]
        if self.collect:
            params["collect"] = [_collect(item) for item in self.collect]
        if self.limits is not None:
            params["limits"] = _present(self.limits, "limits", Limits)
        if self.labels is not None:
            params["labels"] = _present(self.labels, "labels", Labels)
        if self.priority:
            params["priority"] = self.priority
        return params


def strings(values: Sequence[str], name: str) -> List[str]:
    """The list, unless it is a string, which is a sequence of strings too, but hardly ever the one that was meant."""
    if isinstance(values, (str, bytes)):
        raise TypeError(f"{name}: found {values!r}, expected a sequence of strings such as ['echo', 'hello']")
    return list(values)


def _present(value: Union[Limits, Labels], name: str, expected: type) -> Json:
    if not isinstance(value, expected):
        raise TypeError(f"{name}: found {value!r}, expected paddock.{expected.__name__}(…)")
    return {name: found for name, found in vars(value).items() if found is not None}


def _tests(tests: Tests) -> Json:
    params: Json = {"framework": tests.framework}
    if tests.paths:
        params["paths"] = strings(tests.paths, "tests.paths")
    if tests.args:
        params["args"] = strings(tests.args, "tests.args")
    if tests.report is not None:
        params["report"] = tests.report
    if tests.fail_to_pass is not None:
        params["fail_to_pass"] = strings(tests.fail_to_pass, "tests.fail_to_pass")
    if tests.pass_to_pass is not None:
        params["pass_to_pass"] = strings(tests.pass_to_pass, "tests.pass_to_pass")
    return params


def _file(path: str, file: Union[Content, File], contents: Optional[Mapping[str, Content]]) -> Json:
    given = file if isinstance(file, File) else File(file)
    params = _content(contents[path] if contents and path in contents else given.content, f"files[{path!r}]")
    params["path"] = path
    if given.mode != 0o644:
        params["mode"] = f"{given.mode:04o}"
    return params


def _collect(item: Union[str, Collect]) -> Json:
    collect = Collect(item) if isinstance(item, str) else item
    return {"path": collect.path} if collect.max_bytes is None else vars(collect)


def _content(content: Content, name: str) -> Json:
    if isinstance(content, str):
        return {"text": content}
    if isinstance(content, Blob):
        return {"blob": content.sha256}
    if isinstance(content, (bytes, bytearray, memoryview)):
        return bytes_content(bytes(content))
    raise TypeError(f"{name}: found {type(content).__name__}, expected str, bytes or Blob")


def bytes_content(data: bytes) -> Json:
    """Bytes as text where they are text, which is shorter and read by people, else as base64."""
    if b"\0" not in data:
        try:
            return {"text": data.decode()}
        except UnicodeDecodeError:
            pass
    return {"base64": b64encode(data).decode("ascii")}


def contents_of(job: Job) -> Iterator[Tuple[str, Union[str, bytes]]]:
    """Path and content of each of a job's files that is not a blob already."""
    for path, file in job.files.items():
        content = file.content if isinstance(file, File) else file
        if isinstance(content, (str, bytes)):
            yield path, content
