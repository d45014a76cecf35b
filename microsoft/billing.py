"""Invoices and their lines (facts B): legacy licences ("recurring", provider office) and new commerce ("one_time")."""

import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from decimal import Decimal
from functools import partial
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, Field, model_validator

from microsoft.answers import Call, read
from microsoft.fields import Id, Instant, Items, MaybeInstant, MaybeNumber, Number, Raw, Resource, Text, Word, in_path
from microsoft.identity import PARTNER_CENTER, Identity
from microsoft.paging import by_offset, by_seek
from microsoft.transport import Transport

# What changes on an invoice without its lines changing: a link that expires, a payment that arrives.
_VOLATILE = frozenset({"pdfDownloadLink", "paidAmount"})


class LineLink(Resource):
    """Lines that an invoice has: of which provider (`office`, `azure`, `onetime`) and kind (`billinglineitems`)."""

    provider: Annotated[Word, Field(validation_alias="billingProvider")] = ""
    kind: Annotated[Word, Field(validation_alias="invoiceLineItemType")] = ""

    @property
    def names(self) -> tuple[str, str]:
        """Provider and kind as the path wants them: `one_time` in an invoice is `onetime` there."""
        return self.provider.replace("_", ""), self.kind.replace("_", "")


class Invoice(Resource):
    """An invoice or a note to one. `id` is as Microsoft prints it; `total` is in `currency`; `document_type` is
    `invoice`, `void_note`, `adjustment_note` (a credit note) or whatever Microsoft says.

    `version` changes when anything Microsoft says of the invoice does, payments apart: its lines are read again then.
    """

    id: Annotated[str, Field(min_length=1)]
    date: Annotated[Instant, Field(validation_alias="invoiceDate")]
    currency: Annotated[Text, Field(validation_alias="currencyCode")]
    total: Annotated[Number, Field(validation_alias="totalCharges")]
    invoice_type: Literal["recurring", "one_time", "unknown"] = "unknown"
    document_type: Word = ""
    line_links: Annotated[Items[LineLink], Field(validation_alias="invoiceDetails")] = ()
    version: str = ""

    @classmethod
    def from_json(cls, raw: Raw, call: Call) -> Self:
        """The invoice as Microsoft tells it. Raises Malformed."""
        said = {key: value for key, value in raw.items() if key not in _VOLATILE}
        told = read(cls, {**raw, "invoiceType": "unknown", "version": _digest(said)}, call)
        return told.model_copy(update={"invoice_type": _invoice_type(raw.get("invoiceType"), told)})


def _invoice_type(said: object, invoice: Invoice) -> Literal["recurring", "one_time", "unknown"]:
    """Microsoft's word first (`OneTime`, `one_time`), then the provider of the lines, then the id's letter (G or D)."""
    word = said.lower().replace("_", "") if isinstance(said, str) else ""
    providers = {link.names[0] for link in invoice.line_links}
    if word in ("onetime", "recurring"):
        return "one_time" if word == "onetime" else "recurring"
    if providers:
        return "one_time" if "onetime" in providers else "recurring"
    match invoice.id[:1].upper():
        case "G":
            return "one_time"
        case "D":
            return "recurring"
        case _:
            return "unknown"


class LineItem(Resource):
    """A line of an invoice, of either kind. Amounts are in `currency`; `total` includes tax, `subtotal` doesn't.

    `id` is the same each time the invoice is read: a hash of what the line charges for, and of how many lines exactly
    like it came before. `subscription_id` is Partner Center's. Charge type and credit reason are in lower case.
    `quantity` isn't always what was billed: new commerce reconciles with `billable_quantity`.
    """

    id: str = ""
    invoice_id: str
    provider: Literal["office", "onetime"]
    customer_id: Id = ""
    # In legacy lines `subscriptionId` is the billing platform's own; Partner Center's has this long name.
    subscription_id: Annotated[
        Id,
        Field(validation_alias=AliasChoices("syndicationPartnerSubscriptionNumber", "subscriptionId")),
    ] = ""
    order_id: Id = ""
    product_id: Annotated[Id, Field(validation_alias=AliasChoices("productId", "durableOfferId"))] = ""
    sku_id: Id = ""
    currency: Text
    charge_type: Word = ""
    credit_reason_code: Word = ""
    unit_price: MaybeNumber = None
    effective_unit_price: MaybeNumber = None
    quantity: MaybeNumber = None
    billable_quantity: MaybeNumber = None
    subtotal: MaybeNumber = None
    total: Annotated[Number, Field(validation_alias="totalForCustomer")]
    charge_start: Annotated[MaybeInstant, Field(validation_alias="chargeStartDate")] = None
    charge_end: Annotated[MaybeInstant, Field(validation_alias="chargeEndDate")] = None
    reference_id: Id = ""
    alternate_id: Id = ""
    description: Text = ""

    @model_validator(mode="before")
    @classmethod
    def _described(cls, data: object) -> object:
        if not isinstance(data, dict) or data.get("description"):
            return data
        names = ("subscriptionDescription", "skuName", "productName", "offerName", "subscriptionName")
        return {**data, "description": next((data[name] for name in names if data.get(name)), "")}


class Billing:
    """Partner Center's invoices. `http` is the transport of Partner Center's host.

    Raises NotFound, Forbidden, Throttled, Rejected, Unavailable, Malformed and ConsentExpired.
    """

    def __init__(self, http: Transport, identity: Identity) -> None:
        self._http = http
        self._token = partial(identity.token, PARTNER_CENTER)

    async def invoices(self, page_size: int = 200) -> AsyncIterator[list[Invoice]]:
        """Every invoice of ours once, page by page, in Microsoft's order."""
        call = self._http.call("list invoices")
        async for items in by_offset(self._http, call, "/v1/invoices", self._token, page_size, key="id"):
            yield [Invoice.from_json(item, call) for item in items]

    async def line_items(self, invoice: Invoice, page_size: int = 2000) -> AsyncIterator[list[LineItem]]:
        """The licence and one-time lines of an invoice, page by page, always from the first (their ids count on it).

        `page_size` is at most 2,000. Usage lines are left out: no credit is in them that isn't in these.
        """
        call = self._http.call("list invoice lines")
        alike = Counter[str]()
        for provider in _providers(invoice):
            pages = by_seek if provider == "onetime" else by_offset
            params = {"provider": provider, "invoicelineitemtype": "billinglineitems"}
            path = f"/v1/invoices/{in_path(invoice.id, call)}/lineitems"
            async for items in pages(self._http, call, path, self._token, page_size, params):
                yield [_line(item, invoice, provider, alike, call) for item in items]


def _providers(invoice: Invoice) -> list[Literal["office", "onetime"]]:
    if not invoice.line_links:
        return ["onetime" if invoice.invoice_type == "one_time" else "office"]
    said = {link.names for link in invoice.line_links}
    known: tuple[Literal["office", "onetime"], ...] = ("office", "onetime")
    return [name for name in known if (name, "billinglineitems") in said]


def _line(raw: Raw, invoice: Invoice, provider: str, alike: Counter[str], call: Call) -> LineItem:
    line = read(LineItem, {**raw, "id": "", "invoice_id": invoice.id, "provider": provider}, call)
    # Hashed as read, not as told: Microsoft gives one amount now as 16, now as "16", one type as New and as new.
    same = _digest(line.model_dump(exclude={"id", "description"}))
    alike[same] += 1
    return line.model_copy(update={"id": _digest([same, alike[same]])})


def _digest(value: object) -> str:
    text = json.dumps(_canonical(value), sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _canonical(value: object) -> object:
    """16, 16.0 and 16.00 as one text, at any depth."""
    if isinstance(value, dict):
        return {str(key): _canonical(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(each) for each in value]
    if isinstance(value, Decimal) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(Decimal(value).normalize())
    return value
