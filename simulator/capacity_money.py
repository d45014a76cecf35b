"""What reservations cost and give back, in both currencies.

Recorded: a refund is what was paid less what was consumed; what was still to be paid is cancelled. Decided: what was
consumed counts by whole days of the term, and what counts to the limit of USD 50,000 in 12 months per customer is the
cancelled commitment, refund and payments to come (the document's word; an issue says that only the refund counts).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from simulator.booking import cents
from simulator.capacity_models import Effect, Reservation, Term, Terms
from simulator.state import Cloud

REFUND_LIMIT = Decimal("50000.00")


@dataclass(frozen=True)
class Sku:
    """Something that can be reserved; prices are those of P1Y and P3Y in US dollars for the whole term."""

    name: str
    resource_type: str
    prices: dict[Term, Decimal]


SKUS = tuple(
    Sku(name, kind, {"P1Y": Decimal(one_year), "P3Y": Decimal(three_years)})
    for name, kind, one_year, three_years in (
        ("Standard_B1s", "VirtualMachines", "63.00", "123.00"),
        ("Standard_B2s", "VirtualMachines", "254.00", "490.00"),
        ("Standard_D2s_v3", "VirtualMachines", "730.00", "1410.00"),
        ("Standard_E64s_v3", "VirtualMachines", "29200.00", "56400.00"),
        ("DSv3_Type1", "DedicatedHost", "21900.00", "42300.00"),
        ("SQLDB_GP_Compute_Gen5", "SqlDatabases", "1095.00", "2190.00"),
        ("rhel_1_4_vcpu_vm", "RedHat", "350.00", "997.00"),
        ("sles_standard_1-2_vcpu_vm", "SuseLinux", "300.00", "855.00"),
        ("ADX_markup", "AzureDataExplorer", "803.00", "1606.00"),
    )
)
LOCATIONS = ("westeurope", "eastus")


def sku_named(name: str) -> Sku | None:
    """The SKU of that name, in any case."""
    return next((sku for sku in SKUS if sku.name.lower() == name.lower()), None)


def unit_price(terms: Terms) -> Decimal | None:
    """What one unit costs over the whole term, in US dollars; None for what isn't sold."""
    sku = sku_named(terms.sku)
    return None if sku is None else sku.prices.get(terms.term)


def months(term: Term) -> int:
    """How many monthly payments a term has."""
    return 12 * int(term[1])


@dataclass(frozen=True)
class Sums:
    """What is paid, consumed, paid back and cancelled, in one currency, and the number of payments."""

    currency: str
    paid: Decimal
    consumed: Decimal
    remaining: Decimal
    payments_made: int
    payments: int

    @property
    def refund(self) -> Decimal:
        return self.paid - self.consumed


def sums(one: Reservation, quantity: int, now: datetime, *, billing: bool) -> Sums:
    """The sums for so many units given back now, in the billing or in the pricing currency."""
    rate = one.rate if billing else Decimal(1)
    payments = 1 if one.billing_plan == "Upfront" else months(one.term)
    part = cents(one.unit_price * rate / payments) * quantity
    passed = (now.year - one.purchased.year) * 12 + now.month - one.purchased.month - (now.day < one.purchased.day)
    made = max(1, min(payments, 1 + passed))
    days = max(0, (now.date() - one.purchased.date()).days)
    consumed = cents(part * payments * days / (one.expires.date() - one.purchased.date()).days)
    paid = part * made
    currency = one.billing_currency if billing else "USD"
    return Sums(currency, paid, min(paid, consumed), part * (payments - made), made, payments)


def consumed_limit(cloud: Cloud, customer_id: str) -> Decimal:
    """What the customer's returns of the last 12 months took of its limit, in US dollars. Exchanges don't count."""
    since = cloud.now() - timedelta(days=365)
    effects = cloud.store.listed(Effect, parent=customer_id)
    return sum((each.cancelled_commitment for each in effects if each.at >= since), Decimal("0.00"))
