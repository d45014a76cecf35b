"""Azure support tickets (Microsoft.Support 2024-04-01), on behalf of a customer.

Every call carries the customer tenant's token and, beside it, one of the partner's tenant that vouches for the support
plan. Microsoft documents the second for creating a ticket; that it is wanted for the rest is inferred from the wording
of the refusal (facts 2.1), and it does no harm where it isn't.
"""

import base64
import re
import time
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Annotated, Literal, TypeVar

from pydantic import AliasPath, Field, SecretStr

from microsoft import operations
from microsoft.answers import Answer, Call, read
from microsoft.errors import Forbidden, NotFound, Rejected
from microsoft.fields import Raw, Resource, Text, in_path
from microsoft.identity import AZURE, Identity
from microsoft.operations import Operation
from microsoft.paging import by_next_link
from microsoft.support_models import (
    LARGEST_CHUNK,
    Classification,
    Communication,
    Contact,
    NewTicket,
    Place,
    Severity,
    SupportTicket,
    Workspace,
    ticket_name_refusal,
    upload_refusal,
    utc_text,
)
from microsoft.transport import TokenSource, Transport

__all__ = [
    "Classification",
    "Communication",
    "Contact",
    "NewTicket",
    "Place",
    "Severity",
    "Support",
    "SupportTicket",
    "ticket_name_refusal",
    "upload_refusal",
]

CATALOGUE_KEPT = timedelta(hours=1)
"""For how long a classification is taken as it was read. Microsoft asks to read ids anew instead of keeping them."""

_VERSION = {"api-version": "2024-04-01"}
_PROVIDER = "/providers/Microsoft.Support"
# Display names are translated; these are the ones we look for.
_IN_ENGLISH = {"Accept-Language": "en-US"}
_KINDS = {"ticket": "supportTickets", "communication": "communications", "workspace": "fileWorkspaces"}

Headers = dict[str, str]
Sent = TypeVar("Sent")


class _Named(Resource):
    id: Annotated[str, Field(min_length=1)]
    name: Annotated[Text, Field(validation_alias=AliasPath("properties", "displayName"))] = ""


class _NameCheck(Resource):
    name_available: bool


class Support:
    """Microsoft.Support. `http` is the transport of management.azure.com.

    Reads raise NotFound, Forbidden, SupportPlanTooLow, Throttled, Rejected, Unavailable, Malformed, ConsentMissing
    (in the customer's tenant) and ConsentExpired; writes also Conflict and Ambiguous.
    """

    def __init__(self, http: Transport, identity: Identity) -> None:
        self._http = http
        self._identity = identity
        self._known: dict[tuple[str, str, tuple[str, ...]], tuple[float, Classification]] = {}

    async def classification(self, tenant: str, service: str, *words: str) -> Classification:
        """The problem of `service` (`Billing`) whose name has all of `words` in it, whatever their case; the shortest
        where several have. Raises NotFound, which says what there is instead."""
        key = tenant.lower(), service, words
        until, known = self._known.get(key, (0.0, None))
        if known is not None and time.monotonic() < until:
            return known
        call = self._http.call("find problem classification")
        services = await self._catalogue(call, tenant, f"{_PROVIDER}/services")
        its = next((each for each in services if _plain(each.name) == _plain(service)), None)
        if its is None:
            raise _not_among(call, f"the service {service}", services)
        path = f"{_PROVIDER}/services/{in_path(its.id.rpartition('/')[2], call)}/problemClassifications"
        problems = await self._catalogue(call, tenant, path)
        fitting = [each for each in problems if all(_plain(word) in _plain(each.name) for word in words)]
        if not fitting:
            raise _not_among(call, f"a problem of {service} with {', '.join(words)}", problems)
        best = min(fitting, key=lambda each: len(each.name))
        found = Classification(service_id=its.id, id=best.id, name=best.name)
        self._known[key] = time.monotonic() + CATALOGUE_KEPT.total_seconds(), found
        return found

    async def tickets(self, place: Place, created_since: datetime | None = None) -> AsyncIterator[list[SupportTicket]]:
        """The subscription's tickets, a hundred a page; Microsoft keeps them for 18 months."""
        call = self._http.call("list support tickets")
        since = f"CreatedDate ge {utc_text(created_since)}" if created_since else None
        async for items in self._pages(call, place, "supportTickets", top=100, filters=since):
            yield [read(SupportTicket, item, call) for item in items]

    async def ticket(self, place: Place, name: str) -> SupportTicket:
        """One ticket by the name we gave it. Raises NotFound, also for one just created that can't be seen yet."""
        return (await self._get("read support ticket", place, "supportTickets", name)).read(SupportTicket)

    async def create(self, place: Place, name: str, new: NewTicket) -> Operation | None:
        """Files a ticket. None where it is there at once, else the operation that files it: see `look`.

        The name makes it repeatable: the same ticket under it again is the ticket that is there. Raises Conflict for
        another one. A plan that is too low is told by the operation.
        """
        return operations.accepted(
            await self._write("create support ticket", "PUT", place, new.wire(), "supportTickets", name)
        )

    async def look(self, place: Place, url: str) -> Operation:
        """One look at an operation, by its address to the letter. Raises SupportPlanTooLow, Forbidden, Rejected or
        Ambiguous where it failed, which Microsoft tells with HTTP 200."""
        call = self._http.call("look at support operation")
        return await operations.look(self._http, call, url, self._token(place.tenant))

    async def update(
        self,
        place: Place,
        name: str,
        *,
        severity: Severity | None = None,
        status: Literal["open", "closed"] | None = None,
        contact: Contact | None = None,
    ) -> SupportTicket:
        """Changes what is given and leaves the rest; safe to repeat. While an engineer works on it, Microsoft changes
        no severity: ask for that by a communication."""
        given: dict[str, object] = {
            "severity": severity,
            "status": status,
            "contactDetails": contact.wire() if contact else None,
        }
        # Flat, unlike what a PUT takes: inside `properties` nothing of it would be seen.
        body = {key: value for key, value in given.items() if value is not None}
        answer = await self._write("update support ticket", "PATCH", place, body, "supportTickets", name)
        return answer.read(SupportTicket)

    async def communications(self, place: Place, ticket: str) -> list[Communication]:
        """Every message on a ticket, from either side, ten a page. What was attached to them isn't told."""
        call = self._http.call("list communications")
        pages = self._pages(call, place, "supportTickets", ticket, "communications", top=10)
        return [read(Communication, item, call) async for items in pages for item in items]

    async def communication(self, place: Place, ticket: str, name: str) -> Communication:
        """One message by the name it was given. Raises NotFound, also for one that can't be seen yet."""
        path = "supportTickets", ticket, "communications", name
        return (await self._get("read communication", place, *path)).read(Communication)

    async def communicate(
        self, place: Place, ticket: str, name: str, *, subject: str, body: str, sender: str
    ) -> Operation | None:
        """Writes a message on a ticket, from the e-mail address `sender`. None where it is there at once, else the
        operation that writes it: see `look`. Repeatable by its name, which must not be a bare GUID."""
        # Without a sender Microsoft refuses an application that comes without a user.
        wire: dict[str, object] = {"properties": {"subject": subject, "body": body, "sender": sender}}
        path = "supportTickets", ticket, "communications", name
        return operations.accepted(await self._write("create communication", "PUT", place, wire, *path))

    async def is_name_free(
        self,
        place: Place,
        name: str,
        kind: Literal["ticket", "communication", "workspace"] = "ticket",
        ticket: str = "",
    ) -> bool:
        """Whether `name` can be given: it isn't taken, and Microsoft takes such names. A communication's is asked for
        on its `ticket`. Workspaces are recorded, not documented (facts 2.2)."""
        call = self._http.call("check name")
        path = (
            ("supportTickets", ticket, "checkNameAvailability")
            if kind == "communication"
            else ("checkNameAvailability",)
        )
        where, body = _path(call, place, *path), {"name": name, "type": f"Microsoft.Support/{_KINDS[kind]}"}
        token = self._token(place.tenant)
        answer = await self._vouched(
            lambda headers: self._http.ask(call, where, body, params=_VERSION, headers=headers, token=token)
        )
        return answer.read(_NameCheck).name_available

    async def create_workspace(self, place: Place, name: str) -> datetime:
        """Makes a place for files to be attached to a ticket; gives when it expires, a day later. Safe to repeat."""
        answer = await self._write("create file workspace", "PUT", place, None, "fileWorkspaces", name)
        return answer.read(Workspace).expires

    async def upload(self, place: Place, workspace: str, filename: str, content: bytes) -> None:
        """Puts a file into a workspace, in at most two pieces. Safe to repeat from the start.

        Raises Rejected, before anything is sent, for a file that `upload_refusal` refuses.
        """
        refusal = upload_refusal(filename, len(content))
        if refusal is not None:
            call = self._http.call("upload file")
            raise call.failed(Rejected, refusal)
        file = "fileWorkspaces", workspace, "files", filename
        chunks = [content[start : start + LARGEST_CHUNK] for start in range(0, len(content), LARGEST_CHUNK)]
        sizes = {"fileSize": len(content), "chunkSize": len(chunks[0]), "numberOfChunks": len(chunks)}
        await self._write("create file", "PUT", place, {"properties": sizes}, *file)
        for index, chunk in enumerate(chunks):
            body: dict[str, object] = {"content": base64.b64encode(chunk).decode("ascii"), "chunkIndex": index}
            await self._write("upload chunk", "POST", place, body, *file, "upload")

    async def _catalogue(self, call: Call, tenant: str, path: str) -> list[_Named]:
        pages = by_next_link(self._http, call, path, self._token(tenant), _VERSION, _IN_ENGLISH)
        return [read(_Named, item, call) async for items in pages for item in items]

    async def _pages(
        self, call: Call, place: Place, *path: str, top: int, filters: str | None = None
    ) -> AsyncIterator[list[Raw]]:
        params: dict[str, str | int] = {**_VERSION, "$top": top, **({"$filter": filters} if filters else {})}
        where, token = _path(call, place, *path), self._token(place.tenant)

        async def first(headers: Headers) -> tuple[AsyncIterator[list[Raw]], list[Raw] | None]:
            pages = by_next_link(self._http, call, where, token, params, headers)
            return pages, await anext(pages, None)

        pages, items = await self._vouched(first)
        while items is not None:
            yield items
            items = await anext(pages, None)

    async def _get(self, operation: str, place: Place, *path: str) -> Answer:
        call = self._http.call(operation)
        where, token = _path(call, place, *path), self._token(place.tenant)
        return await self._vouched(
            lambda headers: self._http.get(call, where, params=_VERSION, headers=headers, token=token)
        )

    async def _write(
        self, operation: str, method: str, place: Place, body: dict[str, object] | None, *path: str
    ) -> Answer:
        call = self._http.call(operation)
        where, token = _path(call, place, *path), self._token(place.tenant)
        return await self._vouched(
            lambda headers: self._http.write(call, method, where, body, params=_VERSION, headers=headers, token=token)
        )

    def _token(self, tenant: str) -> TokenSource:
        return partial(self._identity.token, AZURE, tenant=tenant)

    async def _vouched(self, send: Callable[[Headers], Awaitable[Sent]]) -> Sent:
        """Sends with the header by which the partner's tenant vouches for a call in the customer's.

        A 401 that another token of the customer's tenant didn't mend is about that header's: nothing was done, and it
        is sent once more with another.
        """
        token = await self._identity.token(AZURE)
        try:
            return await send(_auxiliary(token))
        except Forbidden as error:
            if error.status != HTTPStatus.UNAUTHORIZED:
                raise
        return await send(_auxiliary(await self._identity.token(AZURE, token)))


def _auxiliary(token: SecretStr) -> Headers:
    return {"x-ms-authorization-auxiliary": f"Bearer {token.get_secret_value()}"}


def _path(call: Call, place: Place, *pieces: str) -> str:
    below = "/".join(in_path(piece, call) for piece in pieces)
    return f"/subscriptions/{in_path(place.subscription, call)}{_PROVIDER}/{below}"


def _plain(name: str) -> str:
    """A display name without case, accents' spelling and punctuation."""
    return re.sub(r"[\W_]+", " ", unicodedata.normalize("NFKC", name).casefold()).strip()


def _not_among(call: Call, wanted: str, found: list[_Named]) -> NotFound:
    there = ", ".join(each.name for each in found) or "nothing"
    return call.failed(NotFound, f"there isn't {wanted}; there is {there}")
