"""What the invoice should bring for a subscription that was stopped, from what was charged for it.

Microsoft counts the day of the stop as unused in a legacy licence (1 March to 12 January are 318 days) and as used in
new commerce (cancelled on the third day, three days are kept).
"""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

from domain.claims import Claim, CreditState
from domain.credits import CreditLine, PublishedAmounts, days_inclusive, full_refund, published_amounts
from domain.money import minor_unit, round_half_up
from domain.policy import Commerce
from domain.triage import Route


def expected_credit(
    claim: Claim, route: Route, commerce: Commerce, stopped_on: date, lines: Sequence[CreditLine]
) -> CreditState:
    """The credit to wait for: worked out from the charges among the subscription's `lines`, else the amount asked,
    else not known. What the claim was given before stays."""
    asked = claim.opening.amount_asked
    currencies = {line.currency for line in lines}
    kept = claim.credit.model_copy(
        update={"since": stopped_on, "contested_lines": (), "late_since_invoice": None, "exact": None}
    )
    if len(currencies) == 1:
        parts = [part for line in lines if (part := _part(line, route, commerce, stopped_on))]
        if parts:
            amounts = zip(*(part.by_rounding.values() for part in parts), strict=True)
            return kept.model_copy(
                update={
                    "expected": tuple(dict.fromkeys(sum(each, Decimal(0)) for each in amounts)),
                    "exact": sum((part.exact for part in parts), Decimal(0)),
                    "tolerance": sum((part.tolerance for part in parts), Decimal(0)),
                    "currency": currencies.pop(),
                }
            )
    currency = asked.currency if asked else currencies.pop() if len(currencies) == 1 else None
    return kept.model_copy(
        update={
            "expected": (asked.amount,) if asked else (),
            "tolerance": Decimal(0),
            "currency": currency,
        }
    )


def _part(line: CreditLine, route: Route, commerce: Commerce, stopped_on: date) -> PublishedAmounts | None:
    """What a charge gives back; None where it isn't a charge, or isn't for the time after the stop."""
    if line.amount >= 0 or not line.quantity or line.quantity < 0 or not line.charge_start or not line.charge_end:
        return None
    price = _unit_price(line)
    if route is Route.REFUNDED_IN_FULL:
        return full_refund(price, line.quantity, line.currency) if line.charge_start <= stopped_on else None
    last = _last_day(line.charge_start, line.charge_end)
    period = days_inclusive(line.charge_start, last)
    left = (last - stopped_on).days + (1 if commerce is Commerce.LEGACY else 0)
    if not 0 < left <= period:
        return None
    return published_amounts(price, line.quantity, period, left, line.currency, commerce)


def _unit_price(line: CreditLine) -> Decimal:
    """The price of one licence for the whole period of the charge, in the line's currency.

    Microsoft's unit price may be in another currency, or for another period; then what was charged says it.
    """
    assert line.quantity
    charged = -line.amount
    told = line.unit_price
    if told is not None and abs(told * line.quantity - charged) <= minor_unit(line.currency) * line.quantity:
        return told
    return round_half_up(charged / line.quantity, 9)


def _last_day(start: date, end: date) -> date:
    """The period's last day. Microsoft ends some periods with their last day and some, a whole number of months long,
    with the first day after them."""
    return end - timedelta(days=1) if end > start and end.day == start.day else end
