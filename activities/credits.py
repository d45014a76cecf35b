"""Credits: invoice lines read into records, matched with claims, allocated and taken back."""

import contextlib
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy.exc import StatementError
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from activities.failures import failure, told
from activities.heartbeats import heartbeating
from activities.invoices import VOID, credit_line, invoice_read
from activities.matching import look
from activities.signals import signal_claims
from domain.claims import Allocation, Claim
from domain.credits import CreditLine
from domain.messages import CreditNews
from domain.model import Frozen, Refusal, Refused
from domain.money import Money, exact
from domain.settlement import Matched, missing
from microsoft.billing import Billing, Invoice
from microsoft.errors import ConsentMissing, Forbidden, Malformed, NotFound, Rejected, Unavailable
from records.claims import ClaimRecords
from records.credits import CreditRecords, NotLeft, UnknownLine

CREDIT_SWEEP = "credits"
"""The name under which the sweep's last success is on record."""


class MatchClaim(Frozen):
    """The claim whose credit is looked for among the lines on record."""

    claim: Claim


class AllocateLine(Frozen):
    """Give the claim what is left of this line, or `amount` of it (before tax). The same `allocation_id` again changes
    nothing."""

    claim: Claim
    line_id: str
    amount: Money | None = None
    allocation_id: str


class ReleaseLine(Frozen):
    """Take this allocation of the claim back."""

    claim_id: str
    allocation_id: str


class CreditSweepReport(Frozen):
    """Invoices that Microsoft named, amendments included, those whose lines were read because they are new or changed,
    and claims told."""

    listed: int
    read: int
    signalled: int


class Credits:
    """Reads invoices and keeps allocations. `client` signals claims; `page_size` is how many lines are asked for at
    once, at most 2,000."""

    def __init__(
        self,
        billing: Billing,
        credit_records: CreditRecords,
        claim_records: ClaimRecords,
        client: Client,
        page_size: int,
    ) -> None:
        self._billing = billing
        self._credits = credit_records
        self._claims = claim_records
        self._client = client
        self._page_size = page_size

    @activity.defn(name="match_credit")
    async def match(self, wanted: MatchClaim) -> Matched:
        """Gives the claim the line that only it could take, if there is one, and tells all allocations that it has, the
        lines left for a person, and since which invoice the credit is late. Safe to run twice."""
        claim = wanted.claim
        among = await self._claims.awaiting_credit(claim.opening.customer_id, claim.opening.subscription_id)
        while True:
            found = await look(claim, among, self._credits)
            if found.new is None:
                return found.matched
            # The same look gives the same id: of two attempts at once, one allocates.
            seed = f"{claim.id}|{found.new.line_id}|{len(found.matched.allocations)}"
            # Somebody else may have been quicker: then another look.
            with contextlib.suppress(NotLeft, UnknownLine):
                await self._credits.allocate(
                    claim.id,
                    found.new.line_id,
                    found.new.amount,
                    allocation_id=f"alloc-{hashlib.sha256(seed.encode()).hexdigest()[:16]}",
                    by_hand=False,
                    at=datetime.now(UTC),
                )

    @activity.defn(name="allocate_line")
    async def allocate(self, wanted: AllocateLine) -> Allocation:
        """Gives the claim a line, or an amount of it.

        Raises ApplicationError `refused`, naming the field: a line that isn't on record, of another customer or
        currency, or that hasn't got so much left.
        """
        claim = wanted.claim
        for done in (await self._credits.allocations([claim.id])).get(claim.id, ()):
            if done.id == wanted.allocation_id:
                return done
        with told():
            line = await self._credits.line(wanted.line_id)
            if line is None:
                raise _no_such_line()
            amount = _checked(wanted, line)
            try:
                return await self._credits.allocate(
                    claim.id,
                    line.id,
                    amount.amount,
                    allocation_id=wanted.allocation_id,
                    by_hand=True,
                    at=datetime.now(UTC),
                )
            except UnknownLine:
                raise _no_such_line() from None
            except NotLeft as error:
                raise _not_left(Money(amount=error.left, currency=line.currency)) from None

    @activity.defn(name="release_line")
    async def release(self, wanted: ReleaseLine) -> None:
        """Takes an allocation back; one that isn't there any more is no error."""
        await self._credits.release(wanted.claim_id, wanted.allocation_id)

    @activity.defn(name="sweep_credits")
    async def sweep_credits(self) -> CreditSweepReport:
        """Reads the lines of new and changed invoices, then signals `credits_changed` to the claims that get something
        from the lines on record which they don't know of yet. Heartbeats.

        Raises ApplicationError for an invoice that couldn't be read, after all the others were.
        """
        listed = read = 0
        unreadable: ApplicationError | None = None
        async with heartbeating(lambda: listed):
            versions = await self._credits.versions()
            with told():
                try:
                    async for invoice in self._invoices():
                        listed += 1
                        if versions.get(invoice.id) == invoice.version:
                            continue
                        try:
                            read += await self._read(invoice)
                        except (NotFound, Malformed, Rejected, Forbidden, ConsentMissing, Unavailable) as error:
                            unreadable = failure(error)
                        except (ValueError, ArithmeticError, StatementError):
                            # Neither its text nor its cause goes on: both hold what stands on the invoice.
                            unreadable = ApplicationError(
                                f"A line of invoice {invoice.id} makes no sense.", type="malformed"
                            )
                except Malformed as error:
                    unreadable = failure(error)
            signalled = await self._tell_claims()
        if unreadable is not None:
            raise unreadable
        await self._claims.sweep_succeeded(CREDIT_SWEEP, datetime.now(UTC))
        return CreditSweepReport(listed=listed, read=read, signalled=signalled)

    async def _invoices(self) -> AsyncIterator[Invoice]:
        """Every invoice that Microsoft lists, then the amendments that stand only in the invoices they amend: a credit
        note has lines of its own. Raises Malformed after them all where the list held one that can't be read."""
        ids, amendments = set[str](), dict[str, Invoice]()
        unreadable: Malformed | None = None
        try:
            async for page in self._billing.invoices():
                for invoice in page:
                    ids.add(invoice.id)
                    amendments |= {each.id: each for each in invoice.amendments}
                    yield invoice
        except Malformed as error:
            unreadable = error
        for number, amendment in amendments.items():
            if number not in ids:
                yield amendment
        if unreadable is not None:
            raise unreadable

    async def _read(self, invoice: Invoice) -> bool:
        if invoice.document_type == VOID:
            return await self._credits.keep_invoice(invoice_read(invoice), ())
        try:
            async with self._billing.lines(invoice, self._page_size) as lines:
                return await self._credits.keep_invoice(
                    invoice_read(invoice), (credit_line(line, invoice) for line in lines)
                )
        except NotFound:
            if invoice.total and invoice.is_read_whole:
                raise
        # An invoice over nothing, or over what others than these lines charge, may have no lines, ever, or none yet: it
        # counts, and is looked at again next time.
        return await self._credits.keep_invoice(invoice_read(invoice).model_copy(update={"version": ""}), ())

    async def _tell_claims(self) -> int:
        signalled = 0
        async for customer_id, subscription_id in self._claims.subscriptions_awaiting_credit():
            among = await self._claims.awaiting_credit(customer_id, subscription_id)
            news: dict[str, CreditNews] = {}
            for claim in among:
                found = await look(claim, among, self._credits)
                if found.is_news_to(claim):
                    news[claim.id] = CreditNews(seen=found.digest)
            signalled += await signal_claims(self._client, "credits_changed", news)
        return signalled


def _checked(wanted: AllocateLine, line: CreditLine) -> Money:
    """How much of the line to give. Raises Refused."""
    claim, amount = wanted.claim, wanted.amount
    if line.customer_id.lower() != claim.opening.customer_id.lower():
        raise _refused("line_customer", "line_id", "That line is of another customer. Choose one of the claim's.")
    held = claim.credit.currency or next((each.currency for each in claim.credit.allocations), None)
    if held not in (None, line.currency):
        raise _refused("line_currency", "line_id", f"That line is in {line.currency}; the claim's credit is in {held}.")
    if line.amount <= 0:
        raise _refused("line_is_credit", "line_id", "That line is a charge. Choose one that is a credit.")
    left = Money(amount=line.left, currency=line.currency)
    lacks = missing(claim)
    most = left.amount if lacks is None else min(left.amount, lacks + claim.credit.tolerance)
    if amount is None:
        amount = Money(amount=most, currency=line.currency)
    elif amount.currency != line.currency:
        raise _refused("line_currency", "amount.currency", f"That line is in {line.currency}; so is an amount of it.")
    elif amount.amount <= 0:
        raise _refused("amount_positive", "amount", "Give an amount above zero.")
    else:
        try:
            amount = exact(amount.amount, amount.currency)
        except ValueError as error:
            raise _refused("amount_exact", "amount", f"{error}.") from None
    if left.amount <= 0 or amount.amount > left.amount:
        raise _not_left(left)
    if not 0 < amount.amount <= most:
        lacking = Money(amount=max(lacks or Decimal(0), Decimal(0)), currency=line.currency)
        raise _refused(
            "no_more_than_expected", "amount", f"The claim lacks {lacking}. Give that or less; the rest is another's."
        )
    return amount


def _no_such_line() -> Refused:
    return _refused(
        "line_exists", "line_id", "No invoice read so far has that line. Invoices are read once they are issued."
    )


def _not_left(left: Money) -> Refused:
    if left.amount <= 0:
        return _refused("line_left", "line_id", "Claims have all of that line already; nothing of it is left.")
    return _refused("line_left", "amount", f"That line has {left} left. Give that, or less.")


def _refused(rule: str, field: str, message: str) -> Refused:
    return Refused(Refusal(rule=rule, field=field, message=message))
