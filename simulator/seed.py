"""What the simulated cloud begins with. Every date counts from the moment of seeding, so a tour works on any day.

Each subscription has a name that says what it is there to show; `GET /_simulator/seed` gives the ids by these names.
"""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

from simulator.booking import Charge, book_invoice, cancellation_charge, new_invoice, provider_of
from simulator.capacity_seed import seed_reservations
from simulator.models import (
    AzureSubscription,
    BillingProvider,
    Commerce,
    Customer,
    Invoice,
    RefreshToken,
    RefundableQuantity,
    RefundOption,
    SeedRecord,
    Subscription,
    SubscriptionStatus,
)
from simulator.people import ADATUM, CONTOSO, FABRIKAM, NORTHWIND, PARTNER_CENTER, REFRESH_TOKEN, TAILSPIN, WINGTIP
from simulator.state import Cloud

CUSTOMERS = {
    "contoso": Customer(id=CONTOSO, company_name="Contoso", domain="contoso.example"),
    "fabrikam": Customer(id=FABRIKAM, company_name="Fabrikam", domain="fabrikam.example"),
    "adatum": Customer(id=ADATUM, company_name="Adatum", domain="adatum.example"),
    "northwind": Customer(id=NORTHWIND, company_name="Northwind Traders", domain="northwind.example"),
    "tailspin": Customer(id=TAILSPIN, company_name="Tailspin Toys", domain="tailspin.example"),
    "wingtip": Customer(id=WINGTIP, company_name="Wingtip Toys", domain="wingtip.example", has_reseller=True),
}

INVOICES_DAYS_AGO = (190, 130, 70, 30, 5)
"""When invoices of either kind were issued; a charge or credit is on the first one after it happened."""

LEGACY_FOREVER = datetime(9999, 12, 10, tzinfo=UTC)


@dataclass(frozen=True)
class Plan:
    """A subscription to seed: bought so many days ago, and suspended, cancelled or expired so many days ago."""

    name: str
    customer: str
    commerce: Commerce
    offer: tuple[str, str]
    bought: int
    quantity: int = 1
    price: str = "48.00"
    monthly: bool = False
    status: SubscriptionStatus = "active"
    ended: int | None = None
    window_days: int | None = 7
    product_type: str = "OnlineServicesNCE"
    has_etag: bool = True
    azure_names: tuple[str, ...] = ()


OFFICE_E3 = ("796B6B5F-613C-4E24-A17C-EBA730D49C02", "Office 365 Enterprise E3")
EXCHANGE = ("2F707C7C-2433-49A5-A437-9CA7CF40D3EB", "Exchange Online (Plan 2)")
BASIC = ("CFQ7TTC0LH18:0001:CFQ7TTC0K971", "Microsoft 365 Business Basic")
PREMIUM = ("CFQ7TTC0LCHC:0002:CFQ7TTC0K18P", "Microsoft 365 Business Premium")
AZURE_PLAN = ("DZH318Z0BPS6:0001:DZH318Z0BM9W", "Azure plan")
AZURE_LEGACY = ("MS-AZR-0145P", "Microsoft Azure")
SERVER = ("DG7GMGF0D5RK:0005:DG7GMGF0D19L", "Windows Server 2022 Standard")

PLANS = (
    Plan("legacy_active", "contoso", "legacy", OFFICE_E3, 200),
    Plan("legacy_suspended_within_30_days", "contoso", "legacy", EXCHANGE, 40, status="suspended", ended=20),
    Plan("nce_active_cancellable", "contoso", "new_commerce", BASIC, 4, quantity=5, price="60.00"),
    Plan("nce_active_past_window", "contoso", "new_commerce", BASIC, 120, quantity=10, price="60.00"),
    Plan(
        "azure_plan",
        "contoso",
        "azure_plan",
        AZURE_PLAN,
        150,
        price="0",
        window_days=None,
        product_type="Azure",
        has_etag=False,
        azure_names=("Production", "Test and development"),
    ),
    Plan("legacy_suspended_in_month_5", "fabrikam", "legacy", OFFICE_E3, 135, status="suspended", ended=10),
    Plan("fabrikam_nce_active_past_window", "fabrikam", "new_commerce", PREMIUM, 90, quantity=20, price="264.00"),
    Plan("azure_legacy", "fabrikam", "azure_legacy", AZURE_LEGACY, 400, price="0", has_etag=False),
    Plan("nce_expired", "adatum", "new_commerce", BASIC, 380, status="expired", ended=15),
    Plan(
        "nce_cancelled_in_window",
        "adatum",
        "new_commerce",
        BASIC,
        60,
        price="4.00",
        monthly=True,
        status="deleted",
        ended=60,
    ),
    Plan("legacy_suspended_in_month_2", "adatum", "legacy", EXCHANGE, 60, status="suspended", ended=13),
    Plan("legacy_active_recent", "adatum", "legacy", EXCHANGE, 10, quantity=4),
    Plan("nce_monthly_past_window", "northwind", "new_commerce", PREMIUM, 20, quantity=8, price="22.00", monthly=True),
    Plan(
        "northwind_azure_plan",
        "northwind",
        "azure_plan",
        AZURE_PLAN,
        100,
        price="0",
        window_days=None,
        product_type="Azure",
        has_etag=False,
    ),
    Plan(
        "software_perpetual_refundable",
        "northwind",
        "new_commerce",
        SERVER,
        10,
        price="1069.00",
        window_days=30,
        product_type="Software",
    ),
    Plan("nce_no_window", "tailspin", "new_commerce", BASIC, 45, window_days=None),
    Plan(
        "nce_suspended",
        "tailspin",
        "new_commerce",
        PREMIUM,
        75,
        quantity=2,
        price="264.00",
        status="suspended",
        ended=12,
    ),
    Plan("legacy_expired", "tailspin", "legacy", OFFICE_E3, 395, status="expired", ended=30),
    Plan("legacy_monthly_active", "wingtip", "legacy", EXCHANGE, 160, quantity=12, price="4.00", monthly=True),
    Plan(
        "legacy_monthly_suspended",
        "wingtip",
        "legacy",
        OFFICE_E3,
        100,
        price="4.00",
        monthly=True,
        status="suspended",
        ended=11,
    ),
    Plan("nce_many_seats_cancellable", "wingtip", "new_commerce", PREMIUM, 3, quantity=25, price="264.00"),
)


def midnight(moment: datetime, days: int = 0) -> datetime:
    """The beginning of the UTC day so many days later."""
    return datetime.combine(moment.date() + timedelta(days=days), time(), UTC)


def subscription(plan: Plan, index: int, now: datetime) -> Subscription:
    """The subscription that a plan describes. Every other id is written in capitals."""
    bought = now - timedelta(days=plan.bought)
    legacy = plan.commerce in ("legacy", "azure_legacy")
    key = str(uuid.uuid5(uuid.NAMESPACE_URL, f"subscription:{plan.name}"))
    term = 30 if plan.monthly and not legacy else 365
    # inclusive in new commerce, exclusive for legacy; a term that is over was renewed as often as it took
    first = bought if legacy else bought + timedelta(days=max(0, (plan.bought - (plan.ended or 0)) // term) * term)
    end = LEGACY_FOREVER if plan.commerce == "azure_legacy" else midnight(first, term if legacy else term - 1)
    if plan.status == "expired" and plan.ended is not None:
        first, end = bought, midnight(now, -plan.ended)
    until = None
    if not legacy and plan.window_days is not None:
        until = first + timedelta(days=plan.window_days)
        if plan.product_type == "Software":  # the last minute of that day, as in the published sample
            until = midnight(until) + timedelta(hours=23, minutes=59)
    refundable = until is not None and until > now and plan.status == "active"
    return Subscription(
        id=key.upper() if index % 2 else key,
        customer_id=CUSTOMERS[plan.customer].id,
        commerce=plan.commerce,
        offer_id=plan.offer[0],
        offer_name=plan.offer[1],
        quantity=plan.quantity,
        status=plan.status,
        creation_date=bought,
        effective_start_date=first,
        commitment_end_date=end,
        cancellation_allowed_until_date=until,
        refund_options=[
            RefundOption(type="Full", expires_at=midnight(first, 1)),
            RefundOption(type="Partial", expires_at=until),
        ]
        if refundable
        else [],
        refundable_quantity=None
        if legacy or plan.window_days is None
        else refundable_quantity(plan.quantity if refundable else 0, until),
        auto_renew_enabled=plan.status == "active",
        billing_cycle="none" if plan.commerce.startswith("azure") else "monthly" if plan.monthly else "annual",
        term_duration="P1M" if plan.monthly else "P1Y",
        product_type=plan.product_type,
        order_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"order:{plan.name}"))
        if legacy
        else uuid.uuid5(uuid.NAMESPACE_URL, plan.name).hex[:12],
        unit_price=Decimal(plan.price),
        suspended_at=None if plan.ended is None or plan.status == "expired" else now - timedelta(days=plan.ended),
        has_etag=plan.has_etag,
        azure_subscriptions=[
            AzureSubscription(id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"azure:{plan.name}:{name}")), friendly_name=name)
            for name in plan.azure_names
        ],
    )


def refundable_quantity(quantity: int, until: datetime | None) -> RefundableQuantity:
    """So many licences until then; an empty list of details when there are none."""
    details = (
        [RefundableQuantity.Detail(quantity=quantity, allowed_until_date_time=until)]
        if quantity and until is not None
        else []
    )
    return RefundableQuantity(total_quantity=quantity, details=details)


def purchase_charge(one: Subscription) -> Charge:
    """What was charged for the term, or for its first month."""
    return Charge(
        customer_id=one.customer_id,
        subscription_id=one.id,
        charge_type="Cycle fee" if one.commerce == "legacy" else "new",
        amount=one.unit_price * one.quantity,
        unit_price=one.unit_price,
        quantity=one.quantity,
        start=one.effective_start_date,
        end=one.commitment_end_date,
    )


def issue_invoices(cloud: Cloud, subscriptions: Sequence[Subscription], now: datetime) -> dict[str, Decimal]:
    """Puts charges and credits on the invoices after them. Gives the credit of each subscription id that has one."""
    buckets: dict[tuple[int, BillingProvider], list[Charge]] = defaultdict(list)
    credits: dict[str, Decimal] = {}

    def put(happened: datetime, provider: BillingProvider, charge: Charge) -> bool:
        for days in INVOICES_DAYS_AGO:
            if now - timedelta(days=days) > happened > now - timedelta(days=INVOICES_DAYS_AGO[0] + 30):
                buckets[days, provider].append(charge)
                return True
        return False

    for one in subscriptions:
        if one.commerce.startswith("azure"):
            continue
        put(one.creation_date, provider_of(one), purchase_charge(one))
        credit = None if one.suspended_at is None else cancellation_charge(one, one.suspended_at)
        if credit is not None and one.suspended_at is not None and put(one.suspended_at, provider_of(one), credit):
            credits[one.id] = credit.amount
    for days, provider in sorted(buckets, reverse=True):
        new_invoice(cloud, provider, "USD", buckets[days, provider], now - timedelta(days=days))
    return credits


def issue_voided_invoice(cloud: Cloud, customer: Customer, subscription_id: str, now: datetime) -> None:
    """An invoice in Swiss francs that was voided, and the note that adjusts it: amounts a float would blur."""
    at = now - timedelta(days=60)
    for key, kind, amends, amount in (
        ("G000024130", "void_note", None, Decimal(586366)),
        ("G000024131", "adjustment_note", "G000024130", Decimal("107661.12")),
    ):
        charge = Charge(
            customer.id, subscription_id, "new" if amends is None else "customerCredit", amount, amount, 1, at, at
        )
        invoice = Invoice.model_validate(
            {
                "id": key,
                "billing_provider": "one_time",
                "invoice_date": at,
                "currency": "CHF",
                "document_type": kind,
                "total_charges": amount,
                "amends_of": amends,
                "paid_amount": Decimal(1000) if amends is None else Decimal(0),
            }
        )
        book_invoice(cloud, invoice, [charge], at)


def seed(cloud: Cloud) -> None:
    """Fills a new state; leaves one that was filled before as it is."""
    if cloud.store.get(SeedRecord, "seed") is not None:
        return
    now = cloud.now()
    with cloud.store.transaction():
        for customer in CUSTOMERS.values():
            cloud.write_now(customer)
        subscriptions = {plan.name: subscription(plan, index, now) for index, plan in enumerate(PLANS)}
        for one in subscriptions.values():
            cloud.write_now(one)
        credits = issue_invoices(cloud, list(subscriptions.values()), now)
        issue_voided_invoice(cloud, CUSTOMERS["wingtip"], subscriptions["nce_many_seats_cancellable"].id, now)
        cloud.write_now(
            RefreshToken(
                id=REFRESH_TOKEN, user="ana@partner.example", resource=PARTNER_CENTER, public=False, last_used=now
            )
        )
        names = {
            "customers": {
                name: {"id": one.id, "domain": one.domain, "company_name": one.company_name}
                for name, one in CUSTOMERS.items()
            },
            "subscriptions": {
                name: {
                    "id": one.id,
                    "customer_id": one.customer_id,
                    "commerce": one.commerce,
                    "status": one.status,
                    "currency": one.currency,
                    **(
                        {"azure_subscriptions": azure}
                        if (azure := [each.id for each in one.azure_subscriptions])
                        else {}
                    ),
                    "purchased_on": one.creation_date.date().isoformat(),
                    **({"suspended_on": one.suspended_at.date().isoformat()} if one.suspended_at else {}),
                    **({"credit": format(credits[one.id], "f")} if one.id in credits else {}),
                }
                for name, one in subscriptions.items()
            },
            "reservations": seed_reservations(cloud, now),
        }
        cloud.write_now(SeedRecord(id="seed", names=names, seeded_at=now))
