"""Credits on Microsoft's invoices: what a credit should come to, and which claim an invoice line pays.

Microsoft's published proration examples disagree about when to round, so no single figure is right: an amount is
accepted when one of the published roundings gives it, or when it is within a cent per licence of the exact figure.
Source: the billing-basics, license-based-billing and modern-invoice-reconciliation-file articles.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum
from typing import NamedTuple

from pydantic import field_validator

from domain.model import Frozen
from domain.money import Amount, Currency, minor_unit, round_half_up
from domain.policy import Commerce


class InvoiceType(StrEnum):
    """Microsoft's two sorts of invoice: legacy licences on their anniversary, everything else by calendar month."""

    RECURRING = "recurring"
    ONE_TIME = "one_time"


class Rounding(StrEnum):
    """How a published figure was rounded."""

    IN_FULL = "in_full"
    LEGACY_DAILY_RATE = "legacy_daily_rate"
    LEGACY_AT_THE_END = "legacy_at_the_end"
    PER_LICENCE = "per_licence"
    PER_LICENCE_DOWN = "per_licence_down"


class PublishedAmounts(Frozen):
    """What a credit may come to before tax, in the currency of the unit price; a credit is positive."""

    exact: Amount
    """The figure before rounding, to nine decimals."""
    tolerance: Amount
    """How far from `exact` an amount may lie: one minor unit of the currency per licence."""
    by_rounding: dict[Rounding, Amount]

    @property
    def amounts(self) -> tuple[Decimal, ...]:
        """Each acceptable amount once, for an `Expectation`."""
        return tuple(dict.fromkeys(self.by_rounding.values()))


def days_inclusive(first: date, last: date) -> int:
    """Days of a period whose last day counts: 1 March 2018 to 12 January 2019 is 318."""
    return (last - first).days + 1


def full_refund(unit_price: Decimal, quantity: Decimal, currency: str) -> PublishedAmounts:
    """The credit of a legacy licence cancelled within 30 days of purchase: all that was charged ('Cancel fee')."""
    whole = unit_price * quantity
    return PublishedAmounts(
        exact=round_half_up(whole, 9),
        tolerance=minor_unit(currency) * quantity,
        by_rounding={Rounding.IN_FULL: round_half_up(whole)},
    )


def published_amounts(
    unit_price: Decimal, quantity: Decimal, days_in_period: int, days: int, currency: str, commerce: Commerce
) -> PublishedAmounts:
    """The credit for `days` not used of a period of `days_in_period` charged at `unit_price` for each licence.

    Raises ValueError when there is no licence, or the days don't fit the period.
    """
    if quantity <= 0 or not 0 < days <= days_in_period:
        raise ValueError(f"{days} of {days_in_period} days for {quantity} licences can't be prorated")
    unit = unit_price * days / days_in_period
    exact = unit_price * quantity * days / days_in_period
    if commerce is Commerce.LEGACY:
        by_rounding = {
            Rounding.LEGACY_DAILY_RATE: legacy_prorated(unit_price, quantity, days_in_period, days),
            Rounding.LEGACY_AT_THE_END: round_half_up(exact),
        }
    else:
        by_rounding = {
            Rounding.PER_LICENCE: round_half_up(unit) * quantity,
            Rounding.PER_LICENCE_DOWN: nce_licence_subtotal(unit, quantity),
        }
    return PublishedAmounts(
        exact=round_half_up(exact, 9), tolerance=minor_unit(currency) * quantity, by_rounding=by_rounding
    )


def legacy_prorated(unit_price: Decimal, quantity: Decimal, days_in_period: int, days: int) -> Decimal:
    """The formula of billing-basics, which rounds the daily rate first: 48 a year for 318 days is 41.34, not 41.82."""
    daily = round_half_up(unit_price * quantity / days_in_period)
    return round_half_up(daily * days / quantity) * quantity


def nce_licence_subtotal(
    effective_unit_price: Decimal, billable_quantity: Decimal, exchange_rate: Decimal = Decimal(1)
) -> Decimal:
    """Subtotal of a new-commerce licence line: one licence in billing currency, rounded down, times the quantity."""
    return _round_down(effective_unit_price * exchange_rate) * billable_quantity


def nce_usage_subtotal(
    effective_unit_price: Decimal, billable_quantity: Decimal, exchange_rate: Decimal = Decimal(1)
) -> Decimal:
    """Subtotal of a new-commerce usage line: rounded down in pricing currency, and again in billing currency."""
    return _round_down(_round_down(effective_unit_price * billable_quantity) * exchange_rate)


class CreditLine(Frozen):
    """A line of a Microsoft invoice, as read into records."""

    id: str
    invoice_id: str
    invoice_type: InvoiceType
    invoice_date: date
    customer_id: str
    subscription_id: str
    currency: Currency
    amount: Amount
    """Before tax; positive is a credit to us, negative a charge."""
    charge_type: str
    reason_code: str = ""
    charge_start: date | None = None
    charge_end: date | None = None
    unit_price: Amount | None = None
    quantity: Amount | None = None
    allocated: Amount = Decimal(0)
    """How much of the amount claims already have."""

    @property
    def left(self) -> Decimal:
        """How much of the amount no claim has yet."""
        return self.amount - self.allocated


class Expectation(Frozen):
    """The credit that a claim still lacks."""

    customer_id: str
    subscription_id: str
    currency: Currency
    amounts: tuple[Amount, ...] = ()
    """Acceptable totals before tax, positive; empty while the amount isn't known."""
    exact: Amount | None = None
    """The figure before rounding, where there is one."""
    tolerance: Amount = Decimal(0)
    """How far a line may lie from `exact`; without `exact`, from any of `amounts`."""
    charge_types: frozenset[str]
    reason_codes: frozenset[str] = frozenset()
    """Where not empty, a line that gives a reason must give one of these."""
    excluded_lines: frozenset[str] = frozenset()
    """Lines that a person took back from this claim."""
    since: date
    """The first invoice date that can carry the credit: the day of the suspension or of the decision."""

    @field_validator("charge_types", "reason_codes")
    @classmethod
    def _without_case(cls, names: frozenset[str]) -> frozenset[str]:
        return frozenset(name.lower() for name in names)

    def accepts(self, amount: Decimal) -> bool:
        """Whether an amount is what the claim lacks. False while that isn't known."""
        centres = self.amounts if self.exact is None else (self.exact,)
        return amount in self.amounts or any(abs(amount - centre) <= self.tolerance for centre in centres)


class Allocation(Frozen):
    """So much of an invoice line for one claim, before tax, in the line's currency."""

    claim_id: str
    line_id: str
    amount: Amount


class Contenders(Frozen):
    """An invoice line and the claims it could belong to."""

    line_id: str
    claim_ids: tuple[str, ...]


class Assignment(Frozen):
    """What lines could be given to claims without asking anybody, and what a person has to decide."""

    allocations: tuple[Allocation, ...]
    contested: tuple[Contenders, ...]
    """Lines that two claims or more could take."""
    candidates: tuple[Contenders, ...]
    """Lines that fit one claim in all but the amount, which that claim doesn't know."""


class InvoiceDate(NamedTuple):
    """What lateness needs to know of an invoice."""

    invoice_type: InvoiceType
    currency: str
    invoice_date: date


def matches(expectation: Expectation, line: CreditLine) -> bool:
    """Whether the line could be the credit; where the amount expected isn't known, any credit will do.

    Ids, charge types and reasons are compared without case: Microsoft writes the same ones both ways.
    """
    return (
        line.left > 0
        and line.id not in expectation.excluded_lines
        and line.invoice_date >= expectation.since
        and line.currency == expectation.currency
        and line.customer_id.lower() == expectation.customer_id.lower()
        and line.subscription_id.lower() == expectation.subscription_id.lower()
        and line.charge_type.lower() in expectation.charge_types
        and (
            not expectation.reason_codes or not line.reason_code or line.reason_code.lower() in expectation.reason_codes
        )
        and (not (expectation.amounts or expectation.exact is not None) or expectation.accepts(line.left))
    )


def assign(lines: Iterable[CreditLine], expectations: Mapping[str, Expectation]) -> Assignment:
    """Give lines to claims (`expectations` by claim id) where only one claim could take the line.

    A claim gets one line, the earliest by invoice date and id. What two claims could take is left for a person, even
    if one of them finds another line: that it fits doesn't say whose it is. A claim whose amount isn't known takes
    nothing by itself.
    """
    allocations: dict[str, Allocation] = {}
    contested: list[Contenders] = []
    candidates: list[Contenders] = []
    by_id = {line.id: line for line in lines}
    for line in sorted(by_id.values(), key=lambda line: (line.invoice_date, line.id)):
        claims = sorted(claim for claim, expectation in expectations.items() if matches(expectation, line))
        if not claims:
            continue
        contenders = Contenders(line_id=line.id, claim_ids=tuple(claims))
        if len(claims) > 1:
            contested.append(contenders)
        elif not expectations[claims[0]].accepts(line.left):
            candidates.append(contenders)
        elif claims[0] not in allocations:
            allocations[claims[0]] = Allocation(claim_id=claims[0], line_id=line.id, amount=line.left)
    return Assignment(allocations=tuple(allocations.values()), contested=tuple(contested), candidates=tuple(candidates))


def late_since(
    decided_on: date, invoice_type: InvoiceType, currency: str, invoices: Iterable[InvoiceDate]
) -> date | None:
    """Since when the credit of a claim that no line was found for is late; None while it isn't.

    That is the date of the first invoice of that type and currency dated after the decision.
    """
    return min(
        (
            invoice.invoice_date
            for invoice in invoices
            if invoice.invoice_type == invoice_type
            and invoice.currency == currency
            and invoice.invoice_date > decided_on
        ),
        default=None,
    )


def _round_down(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"), ROUND_DOWN)
