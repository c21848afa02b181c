"""Which contents are worth uploading: a large one that a second job brings is uploaded once and named from then on.

The first job sends it as it is, so that what is used once costs nothing more; the second shows that it is shared.
Decides only; the clients upload.
"""

from __future__ import annotations

import hashlib
import threading
from typing import Dict, Optional, Tuple, TypeVar, Union

from .job import Blob, Job, contents_of

Content = Union[str, bytes]
K = TypeVar("K")
V = TypeVar("V")

#: Digests that are remembered, and contents whose digest need not be computed again because they are the same object.
MAX_KNOWN = 65_536
MAX_HELD = 16


class SharedContents:
    """The contents of one job that are to be sent as blobs: by path for the job, by digest for the upload."""

    __slots__ = ("by_path", "by_digest")

    def __init__(self) -> None:
        self.by_path: Dict[str, Blob] = {}
        self.by_digest: Dict[str, Content] = {}


class Sharing:
    """What one client has seen."""

    def __init__(self, threshold: Optional[int]) -> None:
        self._threshold = threshold
        self._lock = threading.Lock()
        self._seen: Dict[str, None] = {}
        self._held: Dict[int, Tuple[Content, str]] = {}

    def forget_after_fork(self) -> None:
        self._lock = threading.Lock()

    def of(self, job: Job) -> Optional[SharedContents]:
        """What of this job is shared with an earlier one; None when nothing is, or nothing is large enough."""
        threshold = self._threshold
        if threshold is None or not job.files:
            return None
        shared: Optional[SharedContents] = None
        for path, content in contents_of(job):
            if len(content) < threshold:
                continue
            with self._lock:
                digest = self._digest(content)
                if digest in self._seen:
                    shared = shared or SharedContents()
                    shared.by_path[path] = Blob(digest)
                    shared.by_digest[digest] = content
                else:
                    _make_room(self._seen, MAX_KNOWN)
                    self._seen[digest] = None
        return shared

    def _digest(self, content: Content) -> str:
        held = self._held.get(id(content))
        if held is not None and held[0] is content:
            return held[1]
        digest = sha256(content)
        _make_room(self._held, MAX_HELD)
        self._held[id(content)] = (content, digest)
        return digest


def sha256(content: Content) -> str:
    """Of text, that of its UTF-8. Lone surrogates are refused where the content is sent."""
    return hashlib.sha256(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content).hexdigest()


def _make_room(known: Dict[K, V], most: int) -> None:
    """For one more: the oldest goes."""
    if len(known) >= most:
        del known[next(iter(known))]
