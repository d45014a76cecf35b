"""Partner Center's two ways of paging, and Azure's.

The URI of Partner Center's next link is never followed: in Microsoft's own samples it is malformed
(`size=2?seekOperation=Next`, `offset=` without a number); only its headers are used. Azure's is followed to the letter.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import TypeVar

import structlog

from microsoft.answers import Call
from microsoft.errors import Malformed
from microsoft.fields import Items, Page, Raw, Resource, Text
from microsoft.transport import TokenSource, Transport

MOST_PAGES = 10_000
"""Of one listing, twenty times what an invoice of a million lines has. One that goes on would never end."""

CONTRACT = {"MS-Contract-Version": "v1"}
"""What Partner Center requires of each call (facts B)."""

_log = structlog.get_logger(__name__)

Record = TypeVar("Record")


async def by_offset(
    http: Transport,
    call: Call,
    path: str,
    token: TokenSource,
    size: int,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    key: str | None = None,
) -> AsyncIterator[list[Raw]]:
    """Pages by `size` and `offset`, none of them empty.

    Goes on while a page is full, a next link says so, or the total isn't reached; the total alone can't be
    trusted, it counts the page in some collections. With `key` (a field that identifies an item) an item comes once,
    and a page without a new one is the end: Partner Center ignores the offset for some invoices. So is, without `key`,
    the page before once more. Raises Malformed, also for such a page that isn't said to be the last, and for more than
    MOST_PAGES.
    """
    offset, seen, before = 0, set[str](), list[Raw]()
    for _ in range(MOST_PAGES):
        page = (
            await http.get(
                call,
                path,
                params={**(params or {}), "size": size, "offset": offset},
                headers={**CONTRACT, **(headers or {})},
                token=token,
            )
        ).read(Page)
        items = list(page.items)
        if key is None and items and items == before:
            if page.has_next or (page.total_count or 0) > offset:
                raise call.malformed("the same page came twice", 200)
            return
        before = items
        offset += len(items)
        if key is not None:
            fresh = {str(item.get(key)).lower(): item for item in items}
            items = [item for name, item in fresh.items() if name not in seen]
            seen.update(fresh)
        if not items:
            return
        yield items
        if not (page.has_next or len(page.items) >= size or (page.total_count or 0) > offset):
            return
    raise _endless(call)


async def by_seek(
    http: Transport, call: Call, path: str, token: TokenSource, size: int, params: Mapping[str, str] | None = None
) -> AsyncIterator[list[Raw]]:
    """Pages by `seekOperation=Next` and the MS-ContinuationToken copied from the page before. Raises Malformed,
    also when the same continuation comes twice, which would never end, and for more than MOST_PAGES."""
    continuation, used = "", set[str]()
    for _ in range(MOST_PAGES):
        page = (
            await http.get(
                call,
                path,
                params={**(params or {}), "size": size, **({"seekOperation": "Next"} if continuation else {})},
                headers={**CONTRACT, **({"MS-ContinuationToken": continuation} if continuation else {})},
                token=token,
            )
        ).read(Page)
        if page.items:
            yield list(page.items)
        continuation = page.continuation
        if not continuation:
            return
        if continuation in used:
            raise call.malformed("the same continuation came twice", 200)
        if not continuation.isascii() or not continuation.isprintable():
            raise call.malformed("a continuation that can't be sent back", 200)
        used.add(continuation)
    raise _endless(call)


class _AzurePage(Resource):
    value: Items[Raw] = ()
    next_link: Text = ""


async def by_next_link(
    http: Transport,
    call: Call,
    path: str,
    token: TokenSource,
    params: Mapping[str, str | int] | None = None,
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[list[Raw]]:
    """Azure's pages, none of them empty. `params` go with the first; what the others need is in their links.

    Raises Malformed, also when the same link comes twice, which would never end, or leads to another host, and for
    more than MOST_PAGES.
    """
    next_link, used = path, set[str]()
    for _ in range(MOST_PAGES):
        used.add(next_link)
        page = (await http.get(call, next_link, params=params, headers=headers, token=token)).read(_AzurePage)
        if page.value:
            yield list(page.value)
        next_link, params = page.next_link, None
        if not next_link:
            return
        if next_link in used:
            raise call.malformed("the same next link came twice", 200)
    raise _endless(call)


async def readable(
    pages: AsyncIterator[list[Raw]], read: Callable[[Raw], Record], call: Call
) -> AsyncIterator[list[Record]]:
    """The records of each page that `read` can read: one that raises Malformed keeps nobody from the others.

    After the last page raises Malformed where there was one such. It names the first, the log names them all: by the
    id, or else by the place in the listing, from 1.
    """
    wrong: list[str] = []
    position = 0
    async for page in pages:
        found: list[Record] = []
        for raw in page:
            position += 1
            try:
                found.append(read(raw))
            except Malformed as error:
                said = raw.get("id")
                name = said if isinstance(said, str) and said else f"number {position}"
                wrong.append(f"{name}: {error.description}")
                _log.warning(
                    "record_unreadable",
                    operation=call.operation,
                    record=name[:80],
                    reason=error.description,
                    correlation_id=call.correlation_id,
                )
        yield found
    if wrong:
        raise call.malformed(f"{len(wrong)} passed over, the first is {wrong[0]}", 200)


def _endless(call: Call) -> Malformed:
    return call.malformed(f"more than {MOST_PAGES} pages", 200)
