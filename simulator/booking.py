"""What Microsoft's billing does on its own: invoices, their charges, and the credits that come of tickets and
cancellations.
"""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from simulator.models import BillingProvider, Invoice, InvoiceLine, Subscription
from simulator.state import Cloud

CENT = Decimal("0.01")
FULL_REFUND = timedelta(days=30)


@dataclass(frozen=True)
class Charge:
    """A line to be put on an invoice. `amount` is before tax; credits are negative."""

    customer_id: str
    subscription_id: str
    charge_type: str
    amount: Decimal
    unit_price: Decimal
    quantity: int
    start: datetime
    end: datetime
    tax: Decimal = Decimal(0)
    credit_reason_code: str = ""
    description: str = ""


def cents(amount: Decimal) -> Decimal:
    """Rounded half up to cents."""
    return amount.quantize(CENT, ROUND_HALF_UP)


def provider_of(subscription: Subscription | None) -> BillingProvider:
    """Which kind of invoice bills a subscription: recurring for the legacy ones."""
    return (
        "recurring" if subscription is not None and subscription.commerce in ("legacy", "azure_legacy") else "one_time"
    )


def next_invoice_id(cloud: Cloud, provider: BillingProvider) -> str:
    """An id nobody has: D… for recurring, G… for one-time."""
    number = cloud.store.count(Invoice) + 30001
    while cloud.store.get(Invoice, f"{'D' if provider == 'recurring' else 'G'}{number:09d}") is not None:
        number += 1
    return f"{'D' if provider == 'recurring' else 'G'}{number:09d}"


def book_invoice(cloud: Cloud, invoice: Invoice, charges: Sequence[Charge], at: datetime | None = None) -> Invoice:
    """Writes an invoice and its lines, as of `at`; both are seen in the same instant."""
    with cloud.store.transaction():
        for index, charge in enumerate(charges, 1):
            line = InvoiceLine(
                id=f"{invoice.id}-{index}",
                invoice_id=invoice.id,
                customer_id=charge.customer_id,
                subscription_id=charge.subscription_id,
                charge_type=charge.charge_type,
                unit_price=charge.unit_price,
                quantity=charge.quantity,
                amount=charge.amount,
                tax=charge.tax,
                currency=invoice.currency,
                charge_start_date=charge.start,
                charge_end_date=charge.end,
                credit_reason_code=charge.credit_reason_code,
                description=charge.description,
            )
            cloud.write(line, at)
        cloud.write(invoice, at)
    return invoice


def new_invoice(
    cloud: Cloud,
    provider: BillingProvider,
    currency: str,
    charges: Sequence[Charge],
    at: datetime,
) -> Invoice:
    """Books an invoice of these charges, dated `at`."""
    total = sum((charge.amount + charge.tax for charge in charges), Decimal(0))
    invoice = Invoice(
        id=next_invoice_id(cloud, provider),
        billing_provider=provider,
        invoice_date=at,
        currency=currency,
        total_charges=total,
    )
    return book_invoice(cloud, invoice, charges, at)


def book_credit(
    cloud: Cloud,
    customer_id: str,
    subscription_id: str,
    amount: Decimal,
    currency: str,
    provider: BillingProvider | None,
    at: datetime,
) -> Invoice:
    """A credit of `amount` (positive) granted on a ticket, on an invoice of its own: "Offset a line item" on a
    recurring one, `customerCredit` on a one-time one.
    """
    kind = provider or provider_of(cloud.store.get(Subscription, subscription_id))
    charge = Charge(
        customer_id=customer_id,
        subscription_id=subscription_id,
        charge_type="Offset a line item" if kind == "recurring" else "customerCredit",
        amount=-amount,
        unit_price=-amount,
        quantity=1,
        start=at,
        end=at,
        credit_reason_code="" if kind == "recurring" else "Service credit",
        description="Credit granted on a service request",
    )
    return new_invoice(cloud, kind, currency, [charge], at)


def book_cancellation(cloud: Cloud, subscription: Subscription) -> Invoice | None:
    """What the next invoice gives back for a subscription just suspended or cancelled; none where nothing is given
    back.
    """
    at = subscription.suspended_at or cloud.now()
    charge = cancellation_charge(subscription, at)
    if charge is None:
        return None
    return new_invoice(cloud, provider_of(subscription), subscription.currency, [charge], cloud.now())


def cancellation_charge(subscription: Subscription, at: datetime) -> Charge | None:
    """The credit line for a cancellation at `at`.

    Legacy licences: all of it within 30 days of purchase ("Cancel fee"), later the days that are left ("Cancel
    instance prorate"). New commerce: the days that are left, when it was cancelled (`cancelImmediate`); suspending
    gives nothing back. Azure: nothing.
    """
    if subscription.commerce == "legacy":
        full = at - subscription.creation_date <= FULL_REFUND
        amount = subscription.unit_price * subscription.quantity if full else legacy_proration(subscription, at)
        kind = "Cancel fee" if full else "Cancel instance prorate"
    elif subscription.commerce == "new_commerce" and subscription.status == "deleted":
        amount = new_commerce_proration(subscription, at)
        kind = "cancelImmediate"
    else:
        return None
    sign = 1 if subscription.commerce == "legacy" else -1
    return Charge(
        customer_id=subscription.customer_id,
        subscription_id=subscription.id,
        charge_type=kind,
        amount=-cents(amount),
        unit_price=subscription.unit_price * sign,
        quantity=subscription.quantity,
        start=at,
        end=subscription.commitment_end_date,
    )


def legacy_proration(subscription: Subscription, at: datetime) -> Decimal:
    """The published formula for a year: the daily rate is rounded first ($48 and 318 days give 41.34). A month
    isn't rounded early ($4 and 19 of 31 days give 2.45).
    """
    price, quantity = subscription.unit_price, subscription.quantity
    if subscription.billing_cycle == "monthly":
        start, end = month_around(subscription.effective_start_date, at)
        return cents(price * (end.date() - at.date()).days / (end - start).days) * quantity
    # the end is exclusive for legacy subscriptions
    days = (subscription.commitment_end_date.date() - at.date()).days
    return cents(cents(price * quantity / 365) * days / quantity) * quantity


def new_commerce_proration(subscription: Subscription, at: datetime) -> Decimal:
    """Per licence, rounded, times the licences ($4 and 29 of 30 days give 3.87). The day of the cancellation counts
    as used.
    """
    first, last = subscription.effective_start_date.date(), subscription.commitment_end_date.date()
    # the last day is inclusive in new commerce
    return cents(subscription.unit_price * (last - at.date()).days / ((last - first).days + 1)) * subscription.quantity


def month_around(anchor: datetime, at: datetime) -> tuple[datetime, datetime]:
    """The billing month of `at` for a subscription that began at `anchor`."""

    def on(year: int, month: int) -> datetime:
        years, months = divmod(year * 12 + month - 1, 12)
        day = min(anchor.day, calendar.monthrange(years, months + 1)[1])
        return anchor.replace(year=years, month=months + 1, day=day, hour=0, minute=0, second=0, microsecond=0)

    start = on(at.year, at.month)
    return (start, on(at.year, at.month + 1)) if start <= at else (on(at.year, at.month - 1), start)
