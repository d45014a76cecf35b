"""Documents, kept by the SHA-256 of their content: in a local folder, or in S3, Azure or Google storage, by URL.

A document becomes visible whole or not at all, and the same content is kept once. Nothing here knows which claim
refers to a document; a sweep asks for the old ones and deletes those that no record names.
Credentials of a cloud store come from its own variables (``AWS_…``, ``AZURE_STORAGE_…``, ``GOOGLE_…``).
"""

import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

import obstore
from obstore.store import LocalStore, ObjectStore, from_url

_KEPT = "sha256"
_INCOMING = "incoming"
_SHA256 = re.compile(r"[0-9a-f]{64}")


class TooLarge(ValueError):  # noqa: N818 -- says what is wrong as it is
    """Content is larger than the limit it was read with; `limit` is in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"larger than {limit} bytes")
        self.limit = limit


class BlobNotFound(LookupError):  # noqa: N818 -- as above
    """No content with this hash is kept."""


@dataclass(frozen=True)
class StoredBlob:
    """What was kept: the SHA-256 of the content in lower-case hexadecimal, and its size in bytes."""

    sha256: str
    size: int


def _path(sha256: str) -> str:
    # The hash comes from requests; anything else than a hash could name a path outside.
    if not _SHA256.fullmatch(sha256):
        raise ValueError("not a SHA-256 in 64 lower-case hexadecimal digits")
    return f"{_KEPT}/{sha256}"


class Blobs:
    """Content by its hash, in the store that `url` names. Every method given a malformed hash raises ValueError."""

    def __init__(self, url: str) -> None:
        self._store: ObjectStore = LocalStore.from_url(url, mkdir=True) if url.startswith("file:") else from_url(url)

    async def put(self, chunks: AsyncIterator[bytes], limit: int) -> StoredBlob:
        """Keep content of at most `limit` bytes; content already kept counts as new for :meth:`list_older_than`.

        Raises :class:`TooLarge` as soon as the limit is passed, and whatever `chunks` raises; then nothing is kept.
        """
        digest = hashlib.sha256()
        size = 0

        async def measured() -> AsyncIterator[bytes]:
            nonlocal size
            async for chunk in chunks:
                size += len(chunk)
                if size > limit:
                    raise TooLarge(limit)
                digest.update(chunk)
                yield chunk

        # The name is known only at the end; until then the content stands where nobody looks for it.
        incoming = f"{_INCOMING}/{uuid4().hex}"
        await obstore.put_async(self._store, incoming, measured())
        stored = StoredBlob(digest.hexdigest(), size)
        await obstore.rename_async(self._store, incoming, _path(stored.sha256))
        return stored

    async def open(self, sha256: str) -> AsyncIterator[bytes]:
        """The content, piece by piece. Raises :class:`BlobNotFound` at the first piece."""
        try:
            found = await obstore.get_async(self._store, _path(sha256))
        except FileNotFoundError:
            raise BlobNotFound(sha256) from None
        async for chunk in found.stream(min_chunk_size=1024 * 1024):
            yield bytes(chunk)

    async def read(self, sha256: str, limit: int) -> bytes:
        """The content whole. Raises :class:`BlobNotFound`, or :class:`TooLarge` above `limit` bytes."""
        content = bytearray()
        async for chunk in self.open(sha256):
            content += chunk
            if len(content) > limit:
                raise TooLarge(limit)
        return bytes(content)

    async def exists(self, sha256: str) -> bool:
        """Whether content with this hash is kept."""
        return await self._modified(sha256) is not None

    async def touch(self, sha256: str) -> None:
        """Make kept content count as new, so that a sweep leaves it. Raises :class:`BlobNotFound`."""
        try:
            size = (await obstore.head_async(self._store, _path(sha256)))["size"]
        except FileNotFoundError:
            raise BlobNotFound(sha256) from None
        # No store can only change the time: S3 refuses a copy onto itself, a local copy is a link with the old time.
        await self.put(self.open(sha256), size)

    async def list_older_than(self, instant: datetime) -> AsyncIterator[tuple[str, datetime]]:
        """Hash and time of last keeping (UTC) of all content kept before `instant`."""
        async for page in obstore.list(self._store, prefix=_KEPT):
            for item in page:
                if item["last_modified"] < instant:
                    yield item["path"].removeprefix(f"{_KEPT}/"), item["last_modified"]

    async def delete(self, sha256: str, *, older_than: datetime | None = None) -> bool:
        """Remove content; True if it was there. With `older_than`, content kept or touched since then stays."""
        modified = await self._modified(sha256)
        if modified is None or (older_than is not None and modified >= older_than):
            return False
        try:
            await obstore.delete_async(self._store, _path(sha256))
        except FileNotFoundError:
            return False
        return True

    async def delete_unfinished(self, older_than: datetime) -> int:
        """Remove what uploads left behind that were killed before `older_than`; how many there were."""
        abandoned = [
            item["path"]
            async for page in obstore.list(self._store, prefix=_INCOMING)
            for item in page
            if item["last_modified"] < older_than
        ]
        for path in abandoned:
            await obstore.delete_async(self._store, path)
        return len(abandoned)

    async def _modified(self, sha256: str) -> datetime | None:
        try:
            return (await obstore.head_async(self._store, _path(sha256)))["last_modified"]
        except FileNotFoundError:
            return None
