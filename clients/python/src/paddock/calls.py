"""The calls of one connection that wait for an answer, by id: what comes in is handed to whoever waits for it.

Both clients stand on this; it does no I/O, and whoever feeds it is its only thread but for `begin` and `abandon`.
"""

from __future__ import annotations

from typing import Callable, Dict, List, Literal, NamedTuple, Optional, Set, Union

from . import fields
from .errors import PaddockError, ProtocolError, Rejected
from .fields import Json
from .lines import LineSplitter, read_message
from .status import read_error

Bytes = bytes

#: Called once: with what the farm answered, or with the error in its place.
OnEnd = Callable[[object, Optional[PaddockError]], None]

#: Output of submitted jobs that came before the farm said which job it is of, in bytes, per connection.
MAX_EARLY_BYTES = 8 << 20


class OutputChunk:
    """A piece of what a running job writes. `dropped_bytes` are missing right before it, for want of a faster reader."""

    __slots__ = ("job", "stream", "dropped_bytes", "_content")

    def __init__(
        self, job: str, stream: Literal["stdout", "stderr"], content: Union[str, Bytes], dropped_bytes: int = 0
    ) -> None:
        self.job = job
        self.stream = stream
        self.dropped_bytes = dropped_bytes
        self._content = content

    @property
    def bytes(self) -> Bytes:
        content = self._content
        return content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content

    @property
    def text(self) -> str:
        """The piece as UTF-8; a character that was cut in two is replaced, so join `bytes` where that matters."""
        content = self._content
        return content if isinstance(content, str) else content.decode("utf-8", "replace")

    def __repr__(self) -> str:
        return f"OutputChunk({self.job!r}, {self.stream!r}, {self.text[:60]!r})"


OnChunk = Callable[[OutputChunk], None]


class Waiting(NamedTuple):
    """One call that waits. `on_chunk` is for a job that streams."""

    on_end: OnEnd
    on_chunk: Optional[OnChunk] = None
    #: A streaming `job.submit`: its output is known by the job that the answer names.
    submits: bool = False


class Calls:
    """Everything one connection waits for."""

    def __init__(self, max_line_bytes: int) -> None:
        self._splitter = LineSplitter(max_line_bytes)
        self._waiting: Dict[int, Waiting] = {}
        self._abandoned: Set[int] = set()
        self._streams: Dict[str, OnChunk] = {}
        self._submits: Set[int] = set()
        self._ever_submitted = False
        self._early: Dict[str, List[OutputChunk]] = {}
        self._early_bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def unfinished(self) -> int:
        return self._splitter.unfinished

    def begin(self, request: int, waiting: Waiting) -> None:
        self._waiting[request] = waiting
        if waiting.submits:
            self._submits.add(request)
            self._ever_submitted = True

    def abandon(self, request: int) -> None:
        """Nobody waits any more: the answer is thrown away when it comes."""
        # First this, so that an answer that comes right now is known one way or the other.
        self._abandoned.add(request)
        if self._waiting.pop(request, None) is None:
            self._abandoned.discard(request)
        self._submits.discard(request)

    def end_stream(self, job: str) -> None:
        self._streams.pop(job, None)

    def fail(self, error: PaddockError) -> None:
        """Releases everyone."""
        waiting, self._waiting = self._waiting, {}
        for one in waiting.values():
            one.on_end(None, error)

    def receive(self, data: bytes) -> None:
        """Takes bytes as they come. Raises what has to end the connection and everything that waits on it."""
        for line in self._splitter.feed(data):
            if line:
                message = read_message(line)
                if "method" in message:
                    self._notified(message)
                else:
                    self._answered(message)

    def _answered(self, message: Json) -> None:
        request, failed = message.get("id"), "error" in message
        if failed == ("result" in message):
            raise fields.wrong("message", sorted(message), "either a result or an error")
        error = read_error(fields.obj(message["error"], "error")) if failed else None
        if request is None and error is not None:
            # Not about one call. Too many connections is one to come back from; a line the farm could not read is not.
            if isinstance(error, Rejected) and error.code in ("queue_full", "draining"):
                raise error
            raise ProtocolError(f"the farm could not read what was sent: {error}")
        waiting = self._waiting.pop(request, None) if type(request) is int else None
        if waiting is None:
            if type(request) is int and request in self._abandoned:
                self._abandoned.discard(request)
                return
            raise fields.wrong("id", request, "the id of a call that waits")
        result = message.get("result")
        if waiting.submits and type(request) is int:
            self._submitted(request, waiting, result)
        waiting.on_end(result, error)

    def _notified(self, message: Json) -> None:
        method = message.get("method")
        if method != "job.output":
            raise fields.wrong("method", method, "job.output")
        params = fields.obj(message.get("params"), "job.output")
        job, stream = fields.text(params, "job", "job.output"), fields.text(params, "stream", "job.output")
        if stream != "stdout" and stream != "stderr":
            raise fields.wrong("job.output.stream", stream, "stdout or stderr")
        chunk = OutputChunk(
            job, "stdout" if stream == "stdout" else "stderr", fields.content(params, "job.output"),
            fields.optional_integer(params, "dropped_bytes", "job.output") or 0)
        request = params.get("request")
        if request is None:
            return self._submitted_output(chunk)
        waiting = self._waiting.get(request) if type(request) is int else None
        if waiting is not None and waiting.on_chunk is not None:
            waiting.on_chunk(chunk)
        elif request not in self._abandoned:
            raise fields.wrong("job.output.request", request, "the id of a job.run that streams")

    # MARK: output of submitted jobs

    def _submitted(self, request: int, waiting: Waiting, result: object) -> None:
        self._submits.discard(request)
        job = result.get("job") if type(result) is dict else None
        if type(job) is str and waiting.on_chunk is not None:
            self._streams[job] = waiting.on_chunk
            for chunk in self._early.pop(job, ()):
                self._early_bytes -= len(chunk.bytes)
                waiting.on_chunk(chunk)
        if not self._submits:
            self._early.clear()
            self._early_bytes = 0

    def _submitted_output(self, chunk: OutputChunk) -> None:
        on_chunk = self._streams.get(chunk.job)
        if on_chunk is not None:
            on_chunk(chunk)
        elif self._submits:
            # The farm starts a job before it has told us the job's name.
            size = len(chunk.bytes)
            if self._early_bytes + size <= MAX_EARLY_BYTES:
                self._early_bytes += size
                self._early.setdefault(chunk.job, []).append(chunk)
        elif not self._ever_submitted:
            raise fields.wrong("job.output.job", chunk.job, "a job that was submitted to stream")
