"""What the simulated Azure remembers of reservations. `unit_price` is for one unit over the whole term in US dollars,
the pricing currency; `rate` is how much of the billing currency one dollar is."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from simulator.models import Document, Instant, Model

Term = Literal["P1Y", "P3Y", "P5Y"]
BillingPlan = Literal["Upfront", "Monthly"]
ScopeType = Literal["Single", "Shared", "ManagementGroup"]
ExchangeOutcome = Literal["succeeds", "refund_fails", "purchase_fails"]
What = Literal["return", "earlier_return", "exchange", "purchase", "change", "role_assignment", "portal_return"]

NEVER_REFUNDED = frozenset({"redhat", "redhatosa", "suselinux", "databricks", "sqldatawarehouse"})
"""Types whose refund and exchange Microsoft's policy excludes, whatever else is true."""


class Scope(Model):
    """Where the benefit goes. Ids are fully qualified."""

    type: ScopeType = "Shared"
    subscription_id: str | None = None
    resource_group_id: str | None = None
    management_group_id: str | None = None
    tenant_id: str | None = None


class Terms(Model):
    """What is bought, and how: what a purchase says, and what stays with the reservation."""

    display_name: str = "Reservation"
    sku: str = "Standard_D2s_v3"
    location: str = "westeurope"
    resource_type: str = "VirtualMachines"
    quantity: Annotated[int, Field(ge=1)] = 1
    term: Term = "P1Y"
    billing_plan: BillingPlan = "Upfront"
    billing_subscription: str = ""
    scope: Scope = Scope()
    renew: bool = False
    instance_flexibility: Literal["On", "Off"] = "On"
    review: Instant | None = None


class ReservationTraits(Terms):
    """How Microsoft treats a reservation. `changes_slowly`: a change of it is answered with a 202, not when done.
    `reuses_sessions`: a session does its return or exchange each time it is sent. `exchanges_late`: the operation of an
    exchange isn't found at first."""

    unit_price: Decimal = Decimal("365.00")
    billing_currency: str = "EUR"
    rate: Decimal = Decimal("0.92")
    is_refundable: bool = True
    changes_slowly: bool = False
    reuses_sessions: bool = False
    exchanges_late: bool = False
    exchange_outcome: ExchangeOutcome = "succeeds"


class Reservation(Document, ReservationTraits):
    """A reservation. `successor` is the one that holds the rest after a part of this one was returned; `renewal` is
    what is bought at its end, where it isn't the same again."""

    kind: ClassVar[str] = "reservation"
    order_id: str
    customer_id: str
    purchased: Instant
    updated: Instant
    state: str = "Succeeded"
    etag: int = 8
    split_source: str | None = None
    successor: str | None = None
    renewal: Terms | None = None

    def parent_id(self) -> str:
        return self.order_id.lower()

    @property
    def expires(self) -> datetime:
        """The term's end: the same day so many years later, 28 February for the 29th."""
        year = self.purchased.year + int(self.term[1])
        leap_day = (self.purchased.month, self.purchased.day) == (2, 29)
        day = 28 if leap_day and not _is_leap(year) else self.purchased.day
        return self.purchased.replace(year=year, day=day)

    def state_at(self, now: datetime) -> str:
        """The state, in which time plays a part."""
        return "Expired" if self.state == "Succeeded" and now >= self.expires else self.state

    def display_state_at(self, now: datetime) -> str:
        """The state as the portal words it."""
        state = self.state_at(now)
        return "Expiring" if state == "Succeeded" and now >= self.expires - timedelta(days=30) else state


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


class ReservationOrder(Document):
    """An order and what is under way on it."""

    kind: ClassVar[str] = "reservation_order"
    customer_id: str
    display_name: str
    requested: Instant
    original_quantity: int
    term: Term
    billing_plan: BillingPlan
    state: str = "Succeeded"
    etag: int = 18
    purchase: str = ""
    """The request that bought it, as JSON; to know a repetition."""

    def parent_id(self) -> str:
        return self.customer_id.lower()


class RefundSession(Document):
    """A refund quoted; `body` is the answer as it went out. It can be used once."""

    kind: ClassVar[str] = "refund_session"
    customer_id: str
    order_id: str
    reservation_id: str
    quantity: int
    body: str
    is_used: bool = False
    is_outdated: bool = False


class PricedOrder(Document):
    """An order id that calculatePrice gave out."""

    kind: ClassVar[str] = "priced_order"
    customer_id: str


class Given(Model):
    """So much of a reservation, to be exchanged."""

    order_id: str
    reservation_id: str
    quantity: int


class Bought(Model):
    """A purchase inside an exchange."""

    order_id: str
    reservation_id: str
    terms: Terms


class ExchangeSession(Document):
    """An exchange quoted and, from `started` on, carried out. `body` is the quote's `properties`, as JSON. Its quote is
    an operation of another id; the exchange's operation has the id of the session (recorded), and is found from
    `found_at` on."""

    kind: ClassVar[str] = "exchange_session"
    quote_id: str
    customer_id: str
    quoted: Instant
    given: list[Given]
    bought: list[Bought]
    body: str
    is_forbidden: bool = False
    outcome: ExchangeOutcome = "succeeds"
    started: Instant | None = None
    found_at: Instant | None = None
    is_outdated: bool = False

    def parent_id(self) -> str:
        return self.quote_id.lower()


class RoleAssignment(Document):
    """A role that somebody has on an order."""

    kind: ClassVar[str] = "role_assignment"
    order_id: str
    role: str
    principal_id: str
    created: Instant

    def parent_id(self) -> str:
        return self.order_id.lower()


class Effect(Document):
    """Something that really happened, once. `cancelled_commitment` (US dollars) is what counts to the refund limit."""

    kind: ClassVar[str] = "effect"
    what: What
    customer_id: str
    order_id: str = ""
    reservation_id: str = ""
    session_id: str = ""
    quantity: int = 0
    at: Instant
    cancelled_commitment: Decimal = Decimal(0)

    def parent_id(self) -> str:
        return self.customer_id.lower()
