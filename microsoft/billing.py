"""Invoices and their lines (facts B): legacy licences ("recurring", provider office) and new commerce ("one_time").

The lines of new-commerce invoices since September 2023 are read by Graph's export; those at Partner Center are frozen.
All others are at Partner Center only.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal, Self

from pydantic import Field

from microsoft.answers import Call, read
from microsoft.errors import NotFound
from microsoft.fields import Instant, Items, Number, Raw, Resource, Text, Word, in_path
from microsoft.identity import PARTNER_CENTER, Identity
from microsoft.invoice_lines import LineItem, Provider, lines_in, pack
from microsoft.paging import by_offset, by_seek, readable
from microsoft.reconciliation import Reconciliation
from microsoft.transport import Transport

EXPORTED_SINCE = datetime(2023, 9, 1, tzinfo=UTC)
"""Invoices from then on have an export."""

_BILLED = "billinglineitems"
_PROVIDERS: tuple[Provider, ...] = ("office", "onetime")

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

    `amendments` are the documents that changed it, a credit note mostly; each has `amends_of`. Where one of them has no
    date or currency of its own, it has the invoice's.

    `version` changes when anything Microsoft says of the invoice does, payments apart: its lines are read again then.
    The eTag of an export isn't part of it: only a new export, which takes Microsoft minutes, would tell, and what
    changes an issued invoice is an amendment, which the invoice names.
    """

    id: Annotated[str, Field(min_length=1)]
    date: Annotated[Instant, Field(validation_alias="invoiceDate")]
    currency: Annotated[Text, Field(validation_alias="currencyCode")]
    total: Annotated[Number, Field(validation_alias="totalCharges")]
    invoice_type: Literal["recurring", "one_time", "unknown"] = "unknown"
    document_type: Word = ""
    line_links: Annotated[Items[LineLink], Field(validation_alias="invoiceDetails")] = ()
    amends_of: Text = ""
    amendments: tuple[Self, ...] = ()
    version: str = ""

    @classmethod
    def from_json(cls, raw: Raw, call: Call) -> Self:
        """The invoice as Microsoft tells it. Raises Malformed."""
        try:
            return cls._told(raw, call)
        except RecursionError:
            pass
        raise call.malformed("nested too deep", 200)

    @classmethod
    def _told(cls, raw: Raw, call: Call) -> Self:
        said = {key: value for key, value in raw.items() if key not in _VOLATILE}
        told = read(cls, {**raw, "invoiceType": "unknown", "amendments": (), "version": _digest(said)}, call)
        own = {key: raw.get(key) for key in ("invoiceDate", "currencyCode")}
        amendments = tuple(
            cls.from_json(own | {key: value for key, value in amendment.items() if value is not None}, call)
            for amendment in read(_Amended, raw, call).amendments
        )
        return told.model_copy(
            update={"invoice_type": _invoice_type(raw.get("invoiceType"), told), "amendments": amendments}
        )

    @property
    def is_exported(self) -> bool:
        """Whether its lines are read by Graph's export."""
        return self.invoice_type == "one_time" and self.date >= EXPORTED_SINCE

    @property
    def is_read_whole(self) -> bool:
        """Whether everything it charges and credits is in lines that are read here: no other provider's, as those of
        legacy Azure are, make up its total."""
        billed = {provider for provider, kind in (link.names for link in self.line_links) if kind == _BILLED}
        return self.is_exported or not self.line_links or (bool(billed) and billed.issubset(_PROVIDERS))


class _Amended(Resource):
    amendments: Items[Raw] = ()


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


class Billing:
    """Invoices and their lines. `http` is the transport of Partner Center's host, `graph` that of Microsoft Graph's.

    Raises NotFound, Forbidden, Throttled, Rejected, Unavailable, Malformed and ConsentExpired.
    """

    def __init__(self, http: Transport, identity: Identity, graph: Transport) -> None:
        self._http = http
        self._reconciliation = Reconciliation(graph, identity)
        self._token = partial(identity.token, PARTNER_CENTER)

    async def invoices(self, page_size: int = 200) -> AsyncIterator[list[Invoice]]:
        """Every invoice of ours once, page by page, in Microsoft's order. One that can't be read, or has an
        amendment that can't, is left out, and Malformed raised for it at the end."""
        call = self._http.call("list invoices")
        pages = by_offset(self._http, call, "/v1/invoices", self._token, page_size, key="id")
        async for invoices in readable(pages, lambda item: Invoice.from_json(item, call), call):
            yield invoices

    @asynccontextmanager
    async def lines(self, invoice: Invoice, page_size: int = 2000) -> AsyncIterator[Iterator[LineItem]]:
        """The licence and one-time lines of an invoice, one at a time, to go through once.

        They are all on this machine, in temporary files, before the first is given: a database that takes them isn't
        held up while Microsoft takes its time, and a million of them take no memory. Going through them raises
        Malformed. Usage lines are left out: no credit is in them that isn't in these. `page_size`, at most 2,000, is
        for invoices that only Partner Center has.

        Raises NotFound also where there isn't a single one: Microsoft gives an empty list, too, of lines that aren't
        there yet.
        """
        with TemporaryDirectory(prefix="claimdesk-invoice-") as folder:
            if invoice.is_exported:
                files, call = await self._reconciliation.download(invoice.id, Path(folder))
            else:
                files, call = await self._paged(invoice, Path(folder), page_size)
            lines = lines_in(files, invoice.id, call)
            # Elsewhere, as it may take long to come to it in files of nothing.
            first = await asyncio.to_thread(lambda: next(lines, None))
            if first is None:
                raise call.failed(NotFound, f"invoice {invoice.id} has no lines, or not yet", 200)
            yield chain((first,), lines)

    async def _paged(self, invoice: Invoice, folder: Path, page_size: int) -> tuple[list[Path], Call]:
        call, file = self._http.call("list invoice lines"), folder / "lines.gz"
        path = f"/v1/invoices/{in_path(invoice.id, call)}/lineitems"
        for provider in _providers(invoice):
            pages = by_seek if provider == "onetime" else by_offset
            params = {"provider": provider, "invoicelineitemtype": _BILLED}
            async for items in pages(self._http, call, path, self._token, page_size, params):
                pack(file, items, provider)
        return ([file] if file.exists() else []), call


def _providers(invoice: Invoice) -> list[Provider]:
    if not invoice.line_links:
        return ["onetime" if invoice.invoice_type == "one_time" else "office"]
    said = {link.names for link in invoice.line_links}
    return [name for name in _PROVIDERS if (name, _BILLED) in said]


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
