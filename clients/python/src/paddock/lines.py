"""Bytes from a socket -> lines -> messages, and a call -> the line that makes it. No state but the unfinished line."""

from __future__ import annotations

import json
from typing import List, Optional, Union

from .errors import ProtocolError, Rejected
from .fields import Json

#: What the farm takes as one line (docs/protocol.md).
MAX_REQUEST_BYTES = 64 << 20


class LineSplitter:
    """Cuts a stream into lines. What was looked at for a newline is not looked at again."""

    __slots__ = ("_parts", "_size", "_limit")

    def __init__(self, limit: int) -> None:
        self._parts: List[bytes] = []
        self._size = 0
        self._limit = limit

    @property
    def unfinished(self) -> int:
        """Bytes of a line whose end has not come."""
        return self._size

    def feed(self, data: bytes) -> List[bytes]:
        """The lines that `data` finishes, without their newlines. Raises `ProtocolError` for one that is too long."""
        lines = data.split(b"\n")
        rest = lines.pop()
        if lines and self._parts:
            self._parts.append(lines[0])
            lines[0] = b"".join(self._parts)
            self._parts.clear()
            self._size = 0
        self._size += len(rest)
        longest = max((len(line) for line in lines), default=0)
        if max(longest, self._size) > self._limit:
            raise ProtocolError(f"the farm sent a line of more than {self._limit} bytes (max_line_bytes)")
        if rest:
            self._parts.append(rest)
        return lines


def read_message(line: bytes) -> Json:
    """One line as a JSON object. Raises `ProtocolError` for anything else."""
    try:
        message: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"the farm sent a line that is no JSON: {_shown(line)} ({error})") from None
    if type(message) is not dict or message.get("jsonrpc") != "2.0":
        raise ProtocolError(f"the farm sent a line that is no JSON-RPC 2.0 message: {_shown(line)}")
    return message


def encode_params(params: Json) -> bytes:
    """Parameters as JSON. Raises `Rejected` for text that is not Unicode, and `TypeError` for what is no JSON."""
    try:
        return json.dumps(params, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        path = _surrogate(params, "")
        raise Rejected("invalid_request", "found a lone surrogate, expected Unicode text, or bytes", path) from None


def call_line(request: int, method: str, params: bytes) -> bytes:
    """The line of a call. Raises `Rejected` for one that is longer than the farm takes."""
    line = b'{"jsonrpc":"2.0","id":%d,"method":"%s","params":%s}\n' % (request, method.encode(), params)
    if len(line) > MAX_REQUEST_BYTES:
        raise Rejected(
            "invalid_request",
            f"{method}: the request takes {len(line)} bytes, expected at most {MAX_REQUEST_BYTES}; put contents as blobs")
    return line


def _surrogate(value: Union[object, Json], path: str) -> Optional[str]:
    """The path of a string that UTF-8 cannot hold."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return path
    elif isinstance(value, dict):
        for key, item in value.items():
            found = _surrogate(key, path) or _surrogate(item, f"{path}.{key!s}" if path else str(key))
            if found:
                return found
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found = _surrogate(item, f"{path}[{index}]")
            if found:
                return found
    return None


def _shown(line: bytes) -> str:
    return repr(line[:80]) + ("…" if len(line) > 80 else "")
