"""What the side door takes and gives besides the documents themselves."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from simulator.models import BillingProvider, Instant, Model, Persona, TicketStatus


class TicketAtPortal(Model):
    """What a person types at the portal, and the persona that will play Microsoft. `amount` is what is asked for,
    positive.
    """

    customer_id: str
    title: str = "Credit request"
    description: str = ""
    persona: Persona = "silence"
    severity: Literal["critical", "moderate", "minimal"] = "moderate"
    created_date: Instant | None = None
    amount: Annotated[Decimal, Field(gt=0)] | None = None
    currency: str = "USD"
    subscription_id: str | None = None
    invoice_type: BillingProvider | None = None


class ManyTickets(TicketAtPortal):
    """The same ticket `count` times."""

    count: Annotated[int, Field(ge=1, le=10_000)]


class TicketChange(Model):
    """What Microsoft does to a ticket. The note of `attention_needed` is the question."""

    status: TicketStatus
    note: str | None = None


class ManyChanges(TicketChange):
    """The same change to these tickets, or to the first `count` there are."""

    ids: list[str] | None = None
    count: Annotated[int, Field(ge=1)] | None = None


class Numbers(Model):
    """Numbers of tickets, in the order in which they were made or changed."""

    ids: list[str]


class LineIn(Model):
    """A line for an invoice. `amount` is before tax, negative for a credit; dates default to the invoice's."""

    customer_id: str
    subscription_id: str
    charge_type: str
    amount: Decimal
    tax: Decimal = Decimal(0)
    unit_price: Decimal | None = None
    quantity: int = 1
    charge_start_date: Instant | None = None
    charge_end_date: Instant | None = None
    credit_reason_code: str = ""
    description: str = ""


class InvoiceIn(Model):
    """An invoice with its lines. `recurring` is read as provider `office`, `one_time` as `onetime`."""

    id: str | None = None
    billing_provider: BillingProvider
    currency: str = "USD"
    invoice_date: Instant | None = None
    document_type: Literal["invoice", "void_note", "adjustment_note", "none"] = "invoice"
    amends_of: str | None = None
    total_charges: Decimal | None = None
    paid_amount: Decimal = Decimal(0)
    lines: list[LineIn] = Field(default_factory=list)


class SubscriptionChange(Model):
    """What becomes of a subscription, and since when."""

    status: Literal["active", "suspended", "deleted", "expired", "disabled"]
    at: Instant | None = None
    book_credit: bool = True


class Behaviour(Model):
    """Seconds; what isn't given stays. Only what is written from now on is affected. A restart goes back to the
    environment.
    """

    visible_after: Annotated[float, Field(ge=0)] | None = None
    persona_delay: Annotated[float, Field(ge=0)] | None = None
    time_scale: Annotated[float, Field(ge=0, le=1)] | None = None


class Calls(Model):
    """Calls since the last reset, by method and path with ids taken out. `partner_center` is the sum of those below
    `/v1/`.
    """

    calls: dict[str, int]
    partner_center: int
