"""The kinds of field in Microsoft's answers, read as leniently as its own samples are inconsistent (facts B)."""

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Annotated, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel

from microsoft.answers import Call
from microsoft.errors import NotFound

_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?\s*(?:(Z)|([+-])(\d\d):?(\d\d))?",
    re.IGNORECASE,
)

# Half a character, as where a text was cut inside an emoji, and what PostgreSQL takes in no text.
_UNWRITABLE = re.compile("[\ud800-\udfff\x00]")


class Resource(BaseModel):
    """Something Microsoft describes: unknown fields are ignored, and it can't be changed here."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=True,
    )


def instant(value: object) -> object:
    """A timestamp as an aware UTC datetime, None for `0001-01-01` ("never") and "".

    0 to 9 fraction digits, cut off after the sixth so that the last instant of a day stays in that day. Without
    an offset it is UTC: Partner Center states all its times in UTC. Raises ValueError.
    """
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if value is None or value == "":
        return None
    found = _INSTANT.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("not a timestamp")
    year, month, day, hour, minute, second, fraction, _, sign, hours, minutes = found.groups()
    if year == "0001":
        return None
    zone: timezone = UTC
    if sign:
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        zone = timezone(-offset if sign == "-" else offset)
    micro = int((fraction or "0").ljust(6, "0")[:6])
    at = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), micro, zone)
    try:
        return at.astimezone(UTC)
    except OverflowError:
        return at.replace(tzinfo=UTC)


def number(value: object) -> object:
    """A number given as a number or as text, as the Decimal of exactly those digits; None for None and "".

    Raises ValueError for anything else, a binary float included: it has lost the digits.
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError("not a number")
    try:
        amount = Decimal(value.strip() if isinstance(value, str) else value)
    except InvalidOperation:
        raise ValueError("not a number") from None
    if not amount.is_finite() or len(amount.as_tuple().digits) > 30 or abs(amount.adjusted()) > 20:
        raise ValueError("not a number of a sane size")
    return amount


def _word(value: object) -> object:
    """A name of Microsoft's, in lower case: it writes the same one as "New" and "new". "" for None."""
    if value is None:
        return ""
    if isinstance(value, int | Decimal):
        return str(value)
    return _UNWRITABLE.sub("\ufffd", value).strip().lower() if isinstance(value, str) else value


def _text(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, int | Decimal):
        return str(value)
    return _UNWRITABLE.sub("\ufffd", value) if isinstance(value, str) else value


def _items(value: object) -> object:
    return () if value is None else value


Instant = Annotated[datetime, BeforeValidator(instant)]
MaybeInstant = Annotated[datetime | None, BeforeValidator(instant)]
Number = Annotated[Decimal, BeforeValidator(number)]
MaybeNumber = Annotated[Decimal | None, BeforeValidator(number)]
Word = Annotated[str, BeforeValidator(_word)]
Id = Word  # Microsoft writes one GUID in either case
Text = Annotated[str, BeforeValidator(_text)]
Item = TypeVar("Item")
Items = Annotated[tuple[Item, ...], BeforeValidator(_items)]
Raw = dict[str, object]


def in_path(value: str, call: Call) -> str:
    """An id, which a person may have typed, as one piece of a path: nothing in it leads elsewhere.

    Raises NotFound, without a call, for one of blanks and dots: it would name the collection, or what is above it.
    """
    if not value.strip(". "):
        raise NotFound(call.operation, call.host, description="an empty id", correlation_id=call.correlation_id)
    return quote(value.strip(), safe="")


class _Header(Resource):
    key: Word = ""
    value: Text = ""


class _Link(Resource):
    headers: Items[_Header] = ()


class _Links(Resource):
    next: _Link | None = None


class Page(Resource):
    """One page of a collection. `total_count` is the whole's in some collections and the page's in others."""

    items: Items[Raw] = ()
    total_count: int | None = None
    links: _Links | None = None

    @property
    def has_next(self) -> bool:
        return self.links is not None and self.links.next is not None

    @property
    def continuation(self) -> str:
        """The MS-ContinuationToken for the page after this one, "" if there is none."""
        headers = self.links.next.headers if self.links and self.links.next else ()
        return next((each.value for each in headers if each.key == "ms-continuationtoken"), "")
