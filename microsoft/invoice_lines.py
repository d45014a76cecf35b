"""Lines of invoices, as either of Microsoft's surfaces tells them, read from gzipped files of JSON lines.

An invoice can have a million lines, so what is done here for each of them is measured (`make bench-export`).
"""

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache, partial
from io import BufferedReader
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AliasChoices,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic.alias_generators import to_pascal

from microsoft.answers import Call, parse_json, read
from microsoft.fields import MaybeNumber, Number, Raw, Resource, Text, Word, instant

Provider = Literal["office", "onetime"]

_PROVIDER = "claimdesk.provider"
_LONGEST_LINE = 1024 * 1024
# In bytes and of one file, in which one blank line may be the last. Billions of them, packed, come as a small file.
_MOST_BLANK = 64 * 1024

# Pydantic reads a fraction in JSON through a binary float, which keeps 15 digits for certain (IEEE 754). A line in
# which 16 digits or points follow each other anywhere is read the slow way, which keeps them all.
_DIGITS = bytes(ord("0") if chr(byte) in "0123456789." else ord(" ") for byte in range(256))
_TOO_MANY_DIGITS = b"0" * 16


_known_instant = lru_cache(4096)(instant)


def _remembered(value: object) -> object:
    # Only a text can be remembered: what has a list in its place is no line.
    return _known_instant(value) if isinstance(value, str) else instant(value)


# As the fields of `microsoft.fields`, with a quick way for what nearly every line has. How large a number may be isn't
# looked at there.
_Quick = Field(union_mode="left_to_right")
_Name = Annotated[Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True)] | Word, _Quick]
_Code = Annotated[Annotated[str, StringConstraints(strip_whitespace=True, to_upper=True)] | Text, _Quick]
_Amount = Annotated[Decimal | Number, _Quick]
_MaybeAmount = Annotated[Decimal | MaybeNumber, _Quick]
_MaybeInstant = Annotated[datetime | None, BeforeValidator(_remembered)]


class LineItem(Resource):
    """A line of an invoice, of either kind. Amounts are in `currency`; `total` includes tax, `subtotal` doesn't.

    `id` is the same each time the invoice is read, from either surface: a hash of what the line charges for, and how
    many lines exactly like it came before. `subscription_id` is Partner Center's. Charge type, credit reason and all
    ids are in lower case. `quantity` isn't always what was billed: new commerce reconciles with `billable_quantity`.

    The names are those of the export; Partner Center has the same ones in camelCase, but for the choices below.
    """

    # Not frozen: a copy with the id would cost as much as reading the line.
    model_config = ConfigDict(alias_generator=to_pascal, frozen=False, validate_by_name=False)

    id: str = ""
    provider: Annotated[Provider, Field(validation_alias=_PROVIDER)] = "onetime"
    customer_id: _Name = ""
    # In legacy lines `subscriptionId` is the billing platform's own; Partner Center's has this long name.
    subscription_id: Annotated[
        _Name, Field(validation_alias=AliasChoices("SyndicationPartnerSubscriptionNumber", "SubscriptionId"))
    ] = ""
    order_id: _Name = ""
    product_id: Annotated[_Name, Field(validation_alias=AliasChoices("ProductId", "DurableOfferId"))] = ""
    sku_id: _Name = ""
    currency: _Code
    charge_type: _Name = ""
    credit_reason_code: _Name = ""
    unit_price: _MaybeAmount = None
    effective_unit_price: _MaybeAmount = None
    quantity: _MaybeAmount = None
    billable_quantity: _MaybeAmount = None
    subtotal: _MaybeAmount = None
    total: Annotated[_Amount, Field(validation_alias=AliasChoices("Total", "TotalForCustomer"))]
    charge_start: Annotated[_MaybeInstant, Field(validation_alias="ChargeStartDate")] = None
    charge_end: Annotated[_MaybeInstant, Field(validation_alias="ChargeEndDate")] = None
    reference_id: _Name = ""
    alternate_id: _Name = ""


def pack(file: Path, items: Iterable[Raw], provider: Provider) -> None:
    """Adds items of Partner Center to a file for `lines_in`, under the names that the export uses."""
    with gzip.open(file, "ab", compresslevel=1) as packed:
        for item in items:
            named = {key[:1].upper() + key[1:]: value for key, value in item.items()} | {_PROVIDER: provider}
            # A Decimal as text keeps its digits.
            packed.write(json.dumps(named, default=str).encode() + b"\n")


def lines_in(files: Sequence[Path], invoice_id: str, call: Call) -> Iterator[LineItem]:
    """The lines in gzipped files of JSON lines, each with its id, one at a time. Raises Malformed, in the name of
    `call`, for a file that can't be unpacked or was cut short and for what isn't a line."""
    alike: dict[int, int] = {}
    for file in files:
        for text in _texts(file, call):
            line = _line(text, call)
            same = _same(line, invoice_id)
            # 60 bits stand for the whole hash: a million of them take a third of the memory.
            key = int(same[:15], 16)
            before = alike.get(key, 0)
            alike[key] = before + 1
            line.id = f"{same}-{before + 1}" if before else same
            yield line


def _texts(file: Path, call: Call) -> Iterator[bytes]:
    wrong, blank = "", 0
    with gzip.open(file) as unpacked:
        reader = BufferedReader(unpacked, 128 * 1024)
        try:
            for text in iter(partial(reader.readline, _LONGEST_LINE), b""):
                if len(text) == _LONGEST_LINE:
                    wrong = f"a line of over {_LONGEST_LINE} bytes"
                    break
                if not text.isspace():
                    yield text
                    continue
                blank += len(text)
                if blank > _MOST_BLANK:
                    wrong = f"over {_MOST_BLANK} bytes of blank lines"
                    break
        except (OSError, EOFError, zlib.error) as error:
            wrong = f"a file that can't be unpacked ({type(error).__name__})"
    if wrong:
        raise call.malformed(wrong)


def _line(text: bytes, call: Call) -> LineItem:
    # PostgreSQL takes no such character; `Word` and `Text` replace it in the same way.
    text = text.replace(b"\\u0000", b"\\ufffd")
    if _TOO_MANY_DIGITS not in text.translate(_DIGITS):
        try:
            return LineItem.model_validate_json(text)
        except ValidationError:
            pass  # Read once more, to be told what is wrong in the words that every other answer is told in.
    try:
        data = parse_json(text)
    except ValueError:
        data = None
    if data is None:
        raise call.malformed("a line that isn't JSON")
    return read(LineItem, data, call)


def _same(line: LineItem, invoice_id: str) -> str:
    """The same for lines that charge for the same, however the amounts, dates and names in them are written."""
    text = "|".join(
        (
            invoice_id,
            line.customer_id,
            line.subscription_id,
            line.order_id,
            line.product_id,
            line.sku_id,
            line.currency,
            line.charge_type,
            line.credit_reason_code,
            line.reference_id,
            line.alternate_id,
            _plain(line.quantity),
            _plain(line.subtotal),
            _plain(line.total),
            _day(line.charge_start),
            _day(line.charge_end),
        )
    )
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _plain(value: Decimal | None) -> str:
    """16, 16.0 and 16.00 as one text; nothing is nothing, and minus zero is zero."""
    if not value:
        return "" if value is None else "0"
    return str(value.normalize())


def _day(at: datetime | None) -> str:
    return "" if at is None else str(at.toordinal())
