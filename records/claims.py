"""Claims on record: the newest state of each, its timeline, its documents, and what the sweeps need to know."""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.claims import OPEN, Claim, Entry, Event, Status
from domain.evidence import Document
from domain.triage import Route
from records import tables
from records.database import writing
from records.listing import ClaimFilter, Page, Sort, after, read_cursor, to_cursor

ATTEMPTS = 4
"""How often a transaction that met another one is tried."""

_TAKEN_UP = frozenset({Event.REOPEN, Event.FILE_AS_EXCEPTION})
"""What starts a run from the record: the record may have moved on since it was read."""


class MovedOn(Exception):  # noqa: N818 - says what is wrong as it is
    """The claim was taken up again from a state that isn't the newest on record."""


class DuplicateClaim(Exception):  # noqa: N818 - says what is wrong as it is
    """Another open claim, `claim_id`, is about the same thing."""

    def __init__(self, claim_id: str) -> None:
        super().__init__(f"The claim {claim_id} is open for the same customer, subscription, category and incident.")
        self.claim_id = claim_id


class OpenTicket(NamedTuple):
    """The ticket of an open claim as the claim knows it; `fingerprint` is "" for a number not yet verified."""

    claim_id: str
    customer_id: str
    number: str
    fingerprint: str
    azure_subscription_id: str | None
    """Where the ticket is, if it isn't at Partner Center."""


class ClaimRecords:
    """Claims, their timelines and documents, in the database of `engine`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def record(self, claim: Claim, entry: Entry) -> None:
        """Keep the claim, where this version is newer than the one kept, and its entry, where it isn't there yet;
        both or neither.

        Raises DuplicateClaim where another open claim has its open key.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with writing(self._engine) as connection:
                    await _record(connection, claim, entry)
                return
            except IntegrityError:
                # Either the open key is another's, or the same claim was written at the same moment.
                other = await self.find_open(claim.open_key) if claim.open_key else None
                if other is not None and other != claim.id:
                    raise DuplicateClaim(other) from None
                if attempt == ATTEMPTS:
                    raise

    async def get(self, claim_id: str) -> Claim | None:
        """The newest state on record."""
        async with self._engine.connect() as connection:
            body = await connection.scalar(select(tables.claims.c.body).where(tables.claims.c.id == claim_id))
        return None if body is None else Claim.model_validate_json(body)

    async def find_open(self, open_key: str) -> str | None:
        """The id of the open claim with this key."""
        async with self._engine.connect() as connection:
            found: str | None = await connection.scalar(
                select(tables.claims.c.id).where(tables.claims.c.open_key == open_key)
            )
        return found

    async def list(self, wanted: ClaimFilter, sort: Sort, cursor: str | None, limit: int) -> Page:
        """A page of at most `limit` claims; `cursor` is the one the page before gave, None for the first.

        Raises ValueError for a cursor that isn't one of ours, or of another order.
        """
        place = None if cursor is None else read_cursor(cursor, sort)
        column = sort.column
        statement = (
            select(tables.claims.c.body, tables.claims.c.id, column.label("place"))
            .where(*wanted.conditions())
            .order_by(
                column.is_(None),  # what has no such instant comes last, whichever way
                column.desc() if sort.is_descending else column,
                tables.claims.c.id.desc() if sort.is_descending else tables.claims.c.id,
            )
            .limit(limit + 1)
        )
        if place is not None:
            statement = statement.where(after(place, sort))
        async with self._engine.connect() as connection:
            rows = (await connection.execute(statement)).all()
        shown = rows[:limit]
        return Page(
            items=tuple(Claim.model_validate_json(row.body) for row in shown),
            next_cursor=to_cursor(sort, shown[-1].place, shown[-1].id) if len(rows) > limit else None,
        )

    async def timeline(self, claim_id: str, after: int, limit: int) -> tuple[Entry, ...]:
        """The entries whose version is above `after`, oldest first."""
        columns = tables.timeline.c
        statement = (
            select(columns.body)
            .where(columns.claim_id == claim_id, columns.version > after)
            .order_by(columns.version)
            .limit(limit)
        )
        async with self._engine.connect() as connection:
            return tuple(Entry.model_validate_json(body) for body in await connection.scalars(statement))

    async def documents(self, claim_id: str) -> tuple[Document, ...]:
        """Every document that the claim ever had, those taken off its checklist included, in the order attached."""
        statement = select(tables.documents.c.body).where(tables.documents.c.claim_id == claim_id)
        async with self._engine.connect() as connection:
            found = [Document.model_validate_json(body) for body in await connection.scalars(statement)]
        return tuple(sorted(found, key=lambda document: (document.attached_at, document.id)))

    async def referenced_blobs(self, hashes: Iterable[str]) -> frozenset[str]:
        """Those of the hashes (a few hundred at most) that a document of any claim has."""
        statement = select(tables.documents.c.sha256).where(tables.documents.c.sha256.in_(tuple(hashes)))
        async with self._engine.connect() as connection:
            return frozenset(await connection.scalars(statement))

    async def open_claims_with_tickets(self) -> tuple[OpenTicket, ...]:
        """The ticket of every open claim that has a number."""
        columns = tables.claims.c
        statement = select(
            columns.id,
            columns.customer_id,
            columns.ticket_number,
            columns.ticket_fingerprint,
            columns.azure_subscription_id,
        ).where(columns.ticket_number.is_not(None), columns.status.in_(OPEN))
        async with self._engine.connect() as connection:
            return tuple(OpenTicket(*row) for row in await connection.execute(statement))

    async def awaiting_credit(self, customer_id: str, subscription_id: str) -> tuple[Claim, ...]:
        """The claims that await a credit for this subscription, by id; ids are compared without case."""
        columns = tables.claims.c
        statement = (
            select(columns.body)
            .where(
                columns.status == Status.AWAITING_CREDIT,
                columns.customer_id == customer_id.lower(),
                columns.subscription_id == subscription_id.lower(),
            )
            .order_by(columns.id)
        )
        async with self._engine.connect() as connection:
            return tuple(Claim.model_validate_json(body) for body in await connection.scalars(statement))

    async def subscriptions_awaiting_credit(self, batch: int = 200) -> AsyncIterator[tuple[str, str]]:
        """Customer and subscription of every claim that awaits a credit, each pair once, in lower case."""
        columns = tables.claims.c
        done = ("", "")
        while True:
            customer, subscription = done
            statement = (
                select(columns.customer_id, columns.subscription_id)
                .where(
                    columns.status == Status.AWAITING_CREDIT,
                    (columns.customer_id > customer)
                    | ((columns.customer_id == customer) & (columns.subscription_id > subscription)),
                )
                .distinct()
                .order_by(columns.customer_id, columns.subscription_id)
                .limit(batch)
            )
            async with self._engine.connect() as connection:
                found = [(row[0], row[1]) for row in await connection.execute(statement)]
            for pair in found:
                yield pair
            if len(found) < batch:
                return
            done = found[-1]

    async def count_by_status(self) -> dict[Status, int]:
        """How many claims there are in each status that has any."""
        statement = select(tables.claims.c.status, func.count()).group_by(tables.claims.c.status)
        async with self._engine.connect() as connection:
            return {Status(status): number for status, number in await connection.execute(statement)}

    async def sweep_succeeded(self, name: str, at: datetime) -> None:
        """Keep when the sweep of this name last did all its work."""
        columns = tables.sweeps.c
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with writing(self._engine) as connection:
                    there = await connection.execute(
                        update(tables.sweeps).where(columns.name == name).values(succeeded_at=at)
                    )
                    if there.rowcount == 0:
                        await connection.execute(insert(tables.sweeps).values(name=name, succeeded_at=at))
                return
            except IntegrityError:
                if attempt == ATTEMPTS:
                    raise

    async def sweep_successes(self) -> dict[str, datetime]:
        """When each sweep last did all its work; one that never did isn't there."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(select(tables.sweeps.c.name, tables.sweeps.c.succeeded_at))
            return {row[0]: row[1] for row in rows}


async def _record(connection: AsyncConnection, claim: Claim, entry: Entry) -> None:
    columns = tables.claims.c
    # Locked, so that of two versions written at once the newer stays.
    kept = await connection.scalar(select(columns.version).where(columns.id == claim.id).with_for_update())
    if kept is None:
        await connection.execute(insert(tables.claims).values(id=claim.id, **_columns(claim)))
    elif kept < claim.version:
        await connection.execute(update(tables.claims).where(columns.id == claim.id).values(**_columns(claim)))
    there = await connection.scalar(
        select(tables.timeline.c.body).where(
            tables.timeline.c.claim_id == claim.id, tables.timeline.c.version == entry.version
        )
    )
    if there is not None and entry.event in _TAKEN_UP and Entry.model_validate_json(there) != entry:
        raise MovedOn
    if there is None:
        await connection.execute(
            insert(tables.timeline).values(claim_id=claim.id, version=entry.version, body=entry.model_dump_json())
        )
    known = frozenset(
        await connection.scalars(select(tables.documents.c.id).where(tables.documents.c.claim_id == claim.id))
    )
    new = [document for document in claim.documents if document.id not in known]
    if new:
        await connection.execute(
            insert(tables.documents),
            [{"claim_id": claim.id, "id": d.id, "sha256": d.sha256, "body": d.model_dump_json()} for d in new],
        )


def _columns(claim: Claim) -> dict[str, object]:
    said, filing = claim.opening, claim.filing
    searched = (
        claim.id,
        claim.customer_name,
        said.incident.reference,
        said.incident.description,
        filing.number if filing else None,
    )
    return {
        "version": claim.version,
        "status": claim.status.value,
        "status_since": claim.status_since,
        "waiting_on": claim.waiting_on.value,
        "customer_id": said.customer_id.lower(),
        "subscription_id": said.subscription_id.lower(),
        "opened_by_tenant": claim.opened_by.tenant_id.lower(),
        "opened_at": claim.opened_at,
        "due_at": claim.due_at,
        "assignee": claim.assignee,
        "open_key": claim.open_key,
        "ticket_number": filing.number if filing else None,
        "azure_subscription_id": claim.azure_subscription_id if claim.route is Route.AZURE_TICKET else None,
        "ticket_fingerprint": (filing.ticket.fingerprint if filing.ticket else "") if filing else None,
        "search_text": "\n".join(text for text in searched if text).casefold(),
        "body": claim.model_dump_json(),
    }
