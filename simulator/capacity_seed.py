"""The reservations that the simulated Azure begins with. Each has a name that says what it is there to show."""

import uuid
from datetime import datetime, timedelta
from decimal import Decimal

from simulator.capacity_models import Effect, Reservation, ReservationOrder, ReservationTraits, Scope, Term
from simulator.capacity_money import sku_named, sums
from simulator.models import Subscription
from simulator.people import ADATUM, CONTOSO, FABRIKAM, NORTHWIND
from simulator.role_assignments import grant_admin_agents
from simulator.state import Cloud

SINGLE, MANAGEMENT_GROUP, RESOURCE_GROUP = "single", "management_group", "resource_group"

PLANS: dict[str, tuple[str, int, dict[str, object]]] = {
    # name: customer, bought so many days ago, and what is particular about it
    "vm_upfront": (CONTOSO, 73, {"sku": "Standard_D2s_v3", "quantity": 5}),
    "vm_monthly": (CONTOSO, 100, {"sku": "Standard_B2s", "quantity": 10, "billing_plan": "Monthly", "scope": SINGLE}),
    "sql_three_years": (
        CONTOSO,
        400,
        {"sku": "SQLDB_GP_Compute_Gen5", "quantity": 2, "term": "P3Y", "scope": MANAGEMENT_GROUP},
    ),
    "self_service_not_supported": (CONTOSO, 60, {"sku": "ADX_markup", "quantity": 2, "is_refundable": False}),
    "slow_to_change": (CONTOSO, 50, {"sku": "Standard_B1s", "changes_slowly": True, "scope": RESOURCE_GROUP}),
    "no_right": (FABRIKAM, 40, {"sku": "Standard_D2s_v3", "quantity": 3}),
    "red_hat": (FABRIKAM, 30, {"sku": "rhel_1_4_vcpu_vm", "quantity": 4}),
    "suse": (FABRIKAM, 30, {"sku": "sles_standard_1-2_vcpu_vm", "quantity": 2}),
    "expired": (FABRIKAM, 380, {"sku": "Standard_B2s", "quantity": 2}),
    "expiring": (FABRIKAM, 350, {"sku": "Standard_B2s", "quantity": 2, "renew": True}),
    "over_the_limit": (NORTHWIND, 10, {"sku": "Standard_E64s_v3", "quantity": 4}),
    "exchange_loses_its_purchase": (ADATUM, 20, {"sku": "Standard_D2s_v3", "exchange_outcome": "purchase_fails"}),
    "exchange_is_cancelled": (ADATUM, 20, {"sku": "Standard_D2s_v3", "exchange_outcome": "refund_fails"}),
    "cancelled": (ADATUM, 90, {"sku": "Standard_B2s", "state": "Cancelled"}),
}
WITHOUT_RIGHT = frozenset({"no_right"})
REFUNDS_BEFORE = ((NORTHWIND, 300, "20000.00"), (NORTHWIND, 100, "12500.00"), (NORTHWIND, 400, "40000.00"))
"""Returns of long ago: customer, days ago, and what they took of the limit in US dollars. The last counts no more."""


def azure_subscription(cloud: Cloud, customer_id: str) -> str:
    """The Azure subscription that pays for a customer's reservations: of its Azure plan, where it has one."""
    plans = cloud.store.listed(Subscription, parent=customer_id)
    known = [one.id for plan in plans for one in plan.azure_subscriptions]
    return known[0] if known else str(uuid.uuid5(uuid.NAMESPACE_URL, f"azure subscription of {customer_id}"))


def add(
    cloud: Cloud,
    customer_id: str,
    purchased: datetime,
    traits: ReservationTraits,
    ids: tuple[str, str],
    *,
    state: str = "Succeeded",
) -> Reservation:
    """A reservation with an order of its own; `ids` are the order's and the reservation's. Nobody has a right on it."""
    one = Reservation(
        id=ids[1],
        order_id=ids[0],
        customer_id=customer_id,
        purchased=purchased,
        updated=purchased,
        state=state,
        **traits.model_dump(),
    )
    order = ReservationOrder(
        id=ids[0],
        customer_id=customer_id,
        display_name=one.display_name,
        requested=purchased,
        original_quantity=one.quantity,
        term=one.term,
        billing_plan=one.billing_plan,
        state=state,
    )
    cloud.write_now(order)
    cloud.write_now(one)
    return one


def scope_for(kind: object, customer_id: str, subscription: str) -> Scope:
    """The scope that a plan names."""
    match kind:
        case "single":
            return Scope(type="Single", subscription_id=f"/subscriptions/{subscription}")
        case "resource_group":
            return Scope(type="Single", resource_group_id=f"/subscriptions/{subscription}/resourcegroups/web")
        case "management_group":
            group = f"/providers/Microsoft.Management/managementGroups/{customer_id}"
            return Scope(type="ManagementGroup", management_group_id=group, tenant_id=customer_id)
        case _:
            return Scope()


def seed_reservations(cloud: Cloud, now: datetime) -> dict[str, dict[str, str]]:
    """Adds every reservation of PLANS. Gives their ids and figures by name."""
    names = {}
    for index, (name, (customer, days, particular)) in enumerate(PLANS.items()):
        subscription = azure_subscription(cloud, customer)
        sku = sku_named(str(particular["sku"]))
        assert sku is not None
        term: Term = "P3Y" if particular.get("term") == "P3Y" else "P1Y"
        traits = {
            "display_name": name,
            "resource_type": sku.resource_type,
            "billing_subscription": subscription,
            "unit_price": sku.prices[term],
            **{key: value for key, value in particular.items() if key != "state"},
            "scope": scope_for(particular.get("scope"), customer, subscription).model_dump(),
        }
        keys = [str(uuid.uuid5(uuid.NAMESPACE_URL, f"{part}:{name}")) for part in ("reservation order", "reservation")]
        ids = (keys[0].upper(), keys[1]) if index % 2 else (keys[0], keys[1].upper())
        state = str(particular.get("state", "Succeeded"))
        one = add(
            cloud, customer, now - timedelta(days=days), ReservationTraits.model_validate(traits), ids, state=state
        )
        if name not in WITHOUT_RIGHT:
            grant_admin_agents(cloud, one.order_id)
        names[name] = described(one, now)
    for customer, days, amount in REFUNDS_BEFORE:
        cloud.write_now(
            Effect(
                id=str(uuid.uuid4()),
                what="earlier_return",
                customer_id=customer,
                at=now - timedelta(days=days),
                cancelled_commitment=Decimal(amount),
            )
        )
    return names


def described(one: Reservation, now: datetime) -> dict[str, str]:
    """What a test or a tour wants to know of a reservation; amounts are those of a whole return at that time."""
    billed = sums(one, one.quantity, now, billing=True)
    priced = sums(one, one.quantity, now, billing=False)
    return {
        "customer_id": one.customer_id,
        "order_id": one.order_id,
        "reservation_id": one.id,
        "subscription_id": one.billing_subscription,
        "resource_type": one.resource_type,
        "sku": one.sku,
        "quantity": str(one.quantity),
        "currency": one.billing_currency,
        "paid": format(billed.paid, "f"),
        "consumed": format(billed.consumed, "f"),
        "refund": format(billed.refund, "f"),
        "remaining": format(billed.remaining, "f"),
        "refund_usd": format(priced.refund, "f"),
    }
