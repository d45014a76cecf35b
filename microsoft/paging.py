"""Partner Center's two ways of paging, and Azure's.

The URI of Partner Center's next link is never followed: in Microsoft's own samples it is malformed
(`size=2?seekOperation=Next`, `offset=` without a number); only its headers are used. Azure's is followed to the letter.
"""

from collections.abc import AsyncIterator, Mapping

from microsoft.answers import Call
from microsoft.fields import Items, Page, Raw, Resource, Text
from microsoft.transport import TokenSource, Transport


async def by_offset(
    http: Transport,
    call: Call,
    path: str,
    token: TokenSource,
    size: int,
    params: Mapping[str, str] | None = None,
    key: str | None = None,
) -> AsyncIterator[list[Raw]]:
    """Pages by `size` and `offset`, none of them empty.

    Goes on while a page is full, a next link says so, or the total isn't reached; the total alone can't be
    trusted, it counts the page in some collections. With `key` (a field that identifies an item) an item comes once,
    and a page without a new one is the end: Partner Center ignores the offset for some invoices. Raises Malformed.
    """
    offset, seen = 0, set[str]()
    while True:
        answer = await http.get(call, path, params={**(params or {}), "size": size, "offset": offset}, token=token)
        page = answer.read(Page)
        items = list(page.items)
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


async def by_seek(
    http: Transport, call: Call, path: str, token: TokenSource, size: int, params: Mapping[str, str] | None = None
) -> AsyncIterator[list[Raw]]:
    """Pages by `seekOperation=Next` and the MS-ContinuationToken copied from the page before. Raises Malformed,
    also when the same continuation comes twice, which would never end."""
    continuation, used = "", set[str]()
    while True:
        page = (
            await http.get(
                call,
                path,
                params={**(params or {}), "size": size, **({"seekOperation": "Next"} if continuation else {})},
                headers={"MS-ContinuationToken": continuation} if continuation else None,
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

    Raises Malformed, also when the same link comes twice, which would never end, or leads to another host.
    """
    next_link, used = path, set[str]()
    while next_link:
        used.add(next_link)
        page = (await http.get(call, next_link, params=params, headers=headers, token=token)).read(_AzurePage)
        if page.value:
            yield list(page.value)
        next_link, params = page.next_link, None
        if next_link in used:
            raise call.malformed("the same next link came twice", 200)
