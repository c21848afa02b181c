"""Contents that several jobs share, uploaded once: those that want the same one wait for the same upload."""

from __future__ import annotations

import asyncio
from typing import Dict, Iterable, Mapping

from . import methods
from .aio_questions import AsyncQuestions
from .sharing import Content


class AsyncUploads:
    def __init__(self, client: AsyncQuestions) -> None:
        self._client = client
        self._uploads: Dict[str, asyncio.Future[None]] = {}

    async def ensure(self, contents: Mapping[str, Content]) -> None:
        """Returns when the farm has all of them. Raises what kept one from it."""
        for digest, content in contents.items():
            upload = self._uploads.get(digest)
            if upload is None or upload.done() and (upload.cancelled() or upload.exception() is not None):
                upload = self._uploads[digest] = asyncio.ensure_future(self._upload(digest, content))
            if not upload.done():
                await asyncio.shield(upload)

    def forget(self, digests: Iterable[str]) -> None:
        """The farm has dropped them, or is another one by now."""
        for digest in digests:
            self._uploads.pop(digest, None)

    async def _upload(self, digest: str, content: Content) -> None:
        if not await self._client.has_blobs([digest]):
            await self._client._do(methods.put_blob(content, digest))
