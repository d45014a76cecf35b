"""The body of an answer, never longer in memory than it may be."""

import zlib

import httpx

LONGEST_ANSWER = 32 * 1024 * 1024
LONGEST_ERROR = 64 * 1024

ENCODING = "gzip"
"""The one encoding that is asked for, and taken: inflated piece by piece, as far as there is room."""


async def read_body(response: httpx.Response) -> tuple[bytes, bool]:
    """The body up to our limit, and whether that is all of it. An error page of 10 MB is not worth its memory.

    Raises httpx.HTTPError where it breaks off or can't be inflated.
    """
    limit = LONGEST_ANSWER if response.is_success else LONGEST_ERROR
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", ENCODING):
        # In layers, a few kilobytes become gigabytes.
        raise httpx.DecodingError("an encoding that wasn't asked for")
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16) if encoding == ENCODING else None
    chunks, length = [], 0
    # As it came: httpx would inflate each piece whole.
    async for chunk in response.stream:  # type: ignore[union-attr]  # an AsyncClient's
        if inflater is not None:
            try:
                chunk = inflater.decompress(chunk, limit + 1 - length)
            except zlib.error:
                raise httpx.DecodingError("not gzip") from None
        chunks.append(chunk)
        length += len(chunk)
        if length > limit:
            return b"".join(chunks)[:limit], False
    return b"".join(chunks), True
