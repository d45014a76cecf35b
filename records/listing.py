"""Which claims a list shows, in which order, and where its next page begins."""

import base64
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import Column, ColumnElement, and_, or_

from domain.claims import Claim, Status, WaitingOn
from domain.model import Frozen
from records.tables import claims

_ESCAPE = "\\"


class ClaimFilter(Frozen):
    """What a claim must be to be listed; None, or empty, for anything. Ids are compared without case.

    `due_before` leaves out claims for which nothing has to be filed. `text` is looked for, without case, in the id,
    the customer's name, the incident's reference and description, and the ticket number.
    `customer_tenant` and `reseller_tenant` are the caller's scope: the claims about that customer, the claims that
    people of that tenant opened.
    """

    statuses: frozenset[Status] = frozenset()
    customer_id: str | None = None
    due_before: AwareDatetime | None = None
    waiting_on: WaitingOn | None = None
    assignee: str | None = None
    text: str | None = None
    customer_tenant: str | None = None
    reseller_tenant: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The same as conditions on the table of claims."""
        found: list[ColumnElement[bool]] = []
        if self.statuses:
            found.append(claims.c.status.in_(sorted(self.statuses)))
        for column, value in (
            (claims.c.customer_id, self.customer_id and self.customer_id.lower()),
            (claims.c.customer_id, self.customer_tenant and self.customer_tenant.lower()),
            (claims.c.opened_by_tenant, self.reseller_tenant and self.reseller_tenant.lower()),
            (claims.c.waiting_on, self.waiting_on),
            (claims.c.assignee, self.assignee),
        ):
            if value is not None:
                found.append(column == value)
        if self.due_before is not None:
            found.append(claims.c.due_at < self.due_before)
        if self.text and (text := self.text.strip()):
            found.append(claims.c.search_text.contains(text.casefold(), autoescape=True, escape=_ESCAPE))
        return found


class Sort(StrEnum):
    """The order of a list, by an instant; a minus turns it round. Claims without that instant come last either way."""

    DUE_AT = "due_at"
    OPENED_AT = "opened_at"
    STATUS_SINCE = "status_since"
    DUE_AT_LAST_FIRST = "-due_at"
    OPENED_AT_LAST_FIRST = "-opened_at"
    STATUS_SINCE_LAST_FIRST = "-status_since"

    @property
    def column(self) -> Column[datetime | None]:
        """The column that decides."""
        return claims.c[self.removeprefix("-")]

    @property
    def is_descending(self) -> bool:
        """True where the latest comes first."""
        return self.startswith("-")


class Page(Frozen):
    """A page of a list; `next_cursor` is None on the last."""

    items: tuple[Claim, ...]
    next_cursor: str | None = None


class Place(NamedTuple):
    """The last claim of a page: its instant, and its id."""

    at: datetime | None
    claim_id: str


class _Cursor(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    sort: Sort
    at: AwareDatetime | None
    id: str = Field(pattern=r"^[\w-]+$")


def to_cursor(sort: Sort, at: datetime | None, claim_id: str) -> str:
    """The cursor of the page after this claim."""
    cursor = _Cursor(sort=sort, at=at, id=claim_id)
    return base64.urlsafe_b64encode(cursor.model_dump_json().encode()).decode().rstrip("=")


def read_cursor(text: str, sort: Sort) -> Place:
    """Where the page before ended. Raises ValueError for what isn't a cursor, or is one of another order."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor = _Cursor.model_validate_json(data)
    except ValueError:
        raise ValueError("this is no cursor of a list of claims; begin again without one") from None
    if cursor.sort is not sort:
        raise ValueError("this cursor is of a list in another order; begin again without one")
    try:
        return Place(cursor.at.astimezone(UTC) if cursor.at else None, cursor.id)
    except OverflowError:
        raise ValueError("this is no cursor of a list of claims; begin again without one") from None


def after(place: Place, sort: Sort) -> ColumnElement[bool]:
    """The condition that a claim comes after that place."""
    column = sort.column
    later_id = claims.c.id < place.claim_id if sort.is_descending else claims.c.id > place.claim_id
    if place.at is None:
        return and_(column.is_(None), later_id)
    later = column < place.at if sort.is_descending else column > place.at
    return or_(later, and_(column == place.at, later_id), column.is_(None))
