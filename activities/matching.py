"""Which of a subscription's invoice lines a claim gets, as the records have both."""

import hashlib
from collections.abc import Mapping, Sequence

from domain import credits
from domain.claims import Allocation, Claim
from domain.credits import CreditLine, Expectation, InvoiceType
from domain.model import Frozen
from domain.policy import Commerce
from domain.settlement import Matched, expectation
from records.credits import CreditRecords


class Look(Frozen):
    """What there is to say of a claim's credit, and the line, if any, that it can be given without asking anybody."""

    matched: Matched
    new: credits.Allocation | None

    @property
    def digest(self) -> str:
        """The same for the same findings."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:32]

    def is_news_to(self, claim: Claim) -> bool:
        """Whether the claim doesn't know it yet."""
        known = claim.credit
        return self.new is not None or self.matched != Matched(
            allocations=known.allocations,
            contested_lines=known.contested_lines,
            late_since_invoice=known.late_since_invoice,
        )


async def look(claim: Claim, among: Sequence[Claim], records: CreditRecords) -> Look:
    """What `claim` could be given, where `among` are the claims that await a credit for the same subscription."""
    said = claim.opening
    lines = await records.lines(said.customer_id, said.subscription_id)
    others = [other for other in among if other.id != claim.id]
    given = await records.allocations([claim.id, *(other.id for other in others)])
    claim = _with_allocations(claim, given)
    expected = {
        each.id: wanted
        for each in (claim, *(_with_allocations(other, given) for other in others))
        if (wanted := _expectation(each, lines))
    }
    mine = expected.get(claim.id)
    if mine is None:
        return Look(matched=Matched(allocations=claim.credit.allocations), new=None)
    found = credits.assign(lines, expected)
    new = next((each for each in found.allocations if each.claim_id == claim.id), None)
    # A person decides about what others could take too, and about what fits an amount that isn't known.
    contested = tuple(each.line_id for each in (*found.contested, *found.candidates) if claim.id in each.claim_ids)
    late = None if new or contested else await _late_since(claim, mine.currency, lines, records)
    return Look(
        matched=Matched(allocations=claim.credit.allocations, contested_lines=contested, late_since_invoice=late),
        new=new,
    )


def _with_allocations(claim: Claim, given: Mapping[str, Sequence[Allocation]]) -> Claim:
    """The claim with the allocations on record: those of its last state may lag behind, or have been taken back."""
    by_id = {allocation.id: allocation for allocation in given.get(claim.id, ())}
    known = [by_id.pop(allocation.id) for allocation in claim.credit.allocations if allocation.id in by_id]
    credit = claim.credit.model_copy(update={"allocations": (*known, *by_id.values())})
    return claim.model_copy(update={"credit": credit})


def _expectation(claim: Claim, lines: Sequence[CreditLine]) -> Expectation | None:
    if claim.credit.is_settled:
        return None
    currencies = {line.currency for line in lines}
    if claim.credit.currency is None and len(currencies) == 1:
        # Nothing was charged yet when the claim was triaged; what is on the invoices now says the currency.
        claim = claim.model_copy(update={"credit": claim.credit.model_copy(update={"currency": currencies.pop()})})
    return expectation(claim)


async def _late_since(claim: Claim, currency: str, lines: Sequence[CreditLine], records: CreditRecords) -> str | None:
    """The first invoice of the claim's type and currency, after the decision and after what it got, without a line."""
    if claim.commerce is None or claim.credit.since is None:
        return None
    kind = InvoiceType.RECURRING if claim.commerce is Commerce.LEGACY else InvoiceType.ONE_TIME
    had = {allocation.line_id for allocation in claim.credit.allocations}
    since = max([claim.credit.since, *(line.invoice_date for line in lines if line.id in had)])
    return await records.first_invoice_after(since, kind, currency)
