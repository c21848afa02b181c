"""What a program wrote, as text for people and as bytes for programs."""

from __future__ import annotations

from typing import Union

from . import fields
from .fields import Json

Bytes = bytes


class Output:
    """What a program wrote to one stream. Of what is longer than the farm keeps, head and tail remain."""

    __slots__ = ("_head", "_tail", "total_bytes", "truncated")

    def __init__(
        self, head: Union[str, Bytes] = "", tail: Union[str, Bytes] = "", total_bytes: int = 0, truncated: bool = False
    ) -> None:
        self._head = head
        self._tail = tail
        #: Everything the program wrote, kept or not.
        self.total_bytes = total_bytes
        self.truncated = truncated

    @property
    def head(self) -> Bytes:
        """The beginning; all of it where nothing was cut."""
        return encoded(self._head)

    @property
    def tail(self) -> Bytes:
        """The end of a stream that was cut, else empty."""
        return encoded(self._tail)

    @property
    def bytes(self) -> Bytes:
        """What was kept: head and tail."""
        return self.head + self.tail

    @property
    def text(self) -> str:
        """What was kept, for people: bytes that are not UTF-8 are replaced, and a line says where some are missing."""
        if not self.truncated:
            return decoded(self._head) + decoded(self._tail)
        missing = self.total_bytes - len(self.head) - len(self.tail)
        return f"{decoded(self._head)}\n[… {missing} bytes were not kept …]\n{decoded(self._tail)}"

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Output({self.text[:60]!r}, total_bytes={self.total_bytes}, truncated={self.truncated})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Output) and (self.head, self.tail, self.total_bytes, self.truncated) == (
            other.head, other.tail, other.total_bytes, other.truncated
        )

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def read(cls, value: Json, path: str) -> Output:
        tail: Union[str, Bytes] = ""
        if "tail_text" in value or "tail_base64" in value:
            tail = fields.content(value, path, "tail_")
        return cls(
            fields.content(value, path), tail, fields.integer(value, "bytes", path),
            fields.boolean(value, "truncated", path))


def encoded(content: Union[str, Bytes]) -> Bytes:
    return content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content


def decoded(content: Union[str, Bytes]) -> str:
    return content if isinstance(content, str) else content.decode("utf-8", "replace")
