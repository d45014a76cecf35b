"""What the API takes. Unknown fields are refused; money is text with a currency, a date is a UTC day."""

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from datetime import date
from typing import Annotated

from fastapi import Depends, Header, Request
from pydantic import BaseModel, Field, StringConstraints

from domain.claims import Contact, Incident, Outcome, RaisedBy
from domain.messages import Reason, TicketNumber
from domain.model import Frozen
from domain.money import Money
from domain.policy import Category
from starter.api.problems import Problem, invalid

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

_KEY = Header(
    alias="Idempotency-Key",
    min_length=1,
    max_length=200,
    pattern=r"^[\x21-\x7e]+$",
    description="Your own name for this request, 1 to 200 visible ASCII characters: sent again under the same name, it "
    "isn't done twice.",
)


def _once(request: Request) -> None:
    if len(request.headers.getlist("Idempotency-Key")) > 1:
        raise invalid("Idempotency-Key", "Send Idempotency-Key once: a request has one name.", source="header")


def _key(key: Annotated[str, _KEY], _: Annotated[None, Depends(_once)]) -> str:
    return key


def _optional_key(_: Annotated[None, Depends(_once)], key: Annotated[str | None, _KEY] = None) -> str | None:
    return key


IdempotencyKey = Annotated[str, Depends(_key)]
OptionalIdempotencyKey = Annotated[str | None, Depends(_optional_key)]

Id = Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,63}$")]
"""A customer's or a subscription's id at Partner Center; its case doesn't matter."""

Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""Text of a query, on one line."""


class OpenClaim(Frozen):
    """A claim to open."""

    customer_id: Id
    subscription_id: Id
    category: Category
    incident: Incident
    raised_by: RaisedBy | None = Field(
        None, description="Who asks for the credit; customers and resellers can only say that they do."
    )
    amount_asked: Money | None = Field(None, description="Before tax, no finer than the currency's minor unit.")
    amount_basis: str | None = Field(None, max_length=500, description="How the amount was worked out.")
    contact: Contact
    stopped_on: date | None = Field(
        None, description="The day the subscription was suspended or cancelled, where it isn't the incident's."
    )
    billing_day: int | None = Field(None, ge=1, le=31, description="Day of the month a legacy subscription is billed.")


class FileClaim(Frozen):
    """The ticket that a person filed in the portal; without a number, claimdesk is to file it."""

    ticket_number: TicketNumber | None = None


class SendReply(Frozen):
    """An answer to Microsoft's question; it becomes a note on the ticket."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


class Decide(Frozen):
    """Microsoft's decision. `amount` is before tax; approved whole it may be left out where an amount was asked."""

    outcome: Outcome
    amount: Money | None = None
    reason: Reason


class Allocate(Frozen):
    """An invoice line for the claim; without an amount, what is left of it."""

    line_id: Line
    amount: Money | None = None


class Because(Frozen):
    """Why."""

    reason: Reason


class AssignTo(Frozen):
    """The colleague who has the claim from now on; null for nobody."""

    assignee: Annotated[Line, StringConstraints(strip_whitespace=True)] | None


class Nothing(Frozen):
    """A request without content: `{}`."""


def hashed(body: BaseModel | dict[str, str]) -> str:
    """The hash by which another body under the same Idempotency-Key is noticed: of its canonical JSON."""
    content = body.model_dump(mode="json") if isinstance(body, BaseModel) else body
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


async def readable(request: Request) -> None:
    """A route's dependency: the body is JSON, and no text in it holds a control character, which no database takes.

    Raises 415 and 422 problems.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(415, "media_type", "The body must be JSON: send it with Content-Type: application/json.")
    with contextlib.suppress(ValueError):  # what isn't JSON is refused by the route itself
        for place in _unprintable(await request.json(), ()):
            raise invalid(".".join(place), "Text may hold no control characters besides tabs and line breaks.")


def _unprintable(value: object, place: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(value, str) and _CONTROL.search(value):
        yield place
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _unprintable(item, (*place, str(position)))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _unprintable(item, (*place, str(name)))
