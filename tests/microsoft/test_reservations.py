"""Our client of Microsoft.Capacity against the simulated Azure over real HTTP: reading, changing, buying, access."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from microsoft.errors import Conflict, Forbidden, NotFound, Rejected
from microsoft.reservation_requests import Change, Scope
from microsoft.reservations import OWNER, RESERVATIONS_READER, Reservations
from tests.microsoft.reservations import CUSTOMER, Add, happened, purchase, until
from tests.simulated import Simulator

pytestmark = pytest.mark.usefixtures("soon")


async def test_everything_about_a_reservation(azure: Reservations, add: Add) -> None:
    """Recorded: ids in mixed case, seven fraction digits, ends as a date and as an instant, undeclared fields."""
    one = add(
        purchased="2026-02-28T23:59:59.999Z",
        term="P3Y",
        billing_plan="Monthly",
        display_name="Web é",
        scope={"type": "Single", "resource_group_id": "/subscriptions/S/resourcegroups/Web"},
    )
    found = await azure.reservation(CUSTOMER, one["order_id"].upper(), one["id"].upper())
    assert (found.order_id, found.reservation_id, found.etag) == (one["order_id"], one["id"], 8)
    assert (found.name, found.quantity, found.state, found.resource_type) == (
        "Web é",
        5,
        "succeeded",
        "virtualmachines",
    )
    assert found.purchased == datetime(2026, 2, 28, 23, 59, 59, 999_000, tzinfo=UTC)
    assert found.expires == datetime(2029, 2, 28, 23, 59, 59, 999_000, tzinfo=UTC)
    assert str(found.expires_on) == "2029-02-28"
    assert (found.term, found.billing_plan, found.scope_type) == ("p3y", "monthly", "single")
    assert found.scope is not None
    assert found.scope.resource_group == "/subscriptions/s/resourcegroups/web"
    assert found.billing_scope == f"/subscriptions/{one['billing_subscription']}"
    assert found.capabilities == "apireturnenabled, apiexchangeenabled"
    assert [(each.grain, each.value) for each in found.utilization] == [
        (Decimal(days), Decimal("97.50")) for days in (1, 7, 30)
    ]
    [listed] = await azure.of_order(CUSTOMER, one["order_id"])
    assert listed == found


async def test_an_order_with_its_payments(azure: Reservations, add: Add) -> None:
    one = add(billing_plan="Monthly", unit_price="120.00", rate="0.50")
    order = await azure.order(CUSTOMER, one["order_id"])
    assert (order.order_id, order.state, order.original_quantity) == (one["order_id"], "succeeded", 5)
    assert order.reservation_ids == (one["id"],)
    assert [each.status for each in order.payments] == ["succeeded"] + ["scheduled"] * 11
    first = order.payments[0]
    assert first.priced is not None
    assert first.billed is not None
    assert (first.priced.currency, first.priced.amount) == ("USD", Decimal("50.00"))
    assert (first.billed.currency, first.billed.amount) == ("EUR", Decimal("25.00"))
    assert order.total is not None
    assert order.total.amount == Decimal("600.00")
    assert order.next_payment == order.payments[1].due


async def test_a_renewal_has_a_price_once_the_end_is_near(azure: Reservations, add: Add) -> None:
    far, near = add(renew=True), add(renew=True, purchased=(datetime.now(UTC) - timedelta(days=340)).isoformat())
    assert (await azure.reservation(CUSTOMER, far["order_id"], far["id"])).renewal is not None
    found = await azure.reservation(CUSTOMER, near["order_id"], near["id"])
    assert found.display_state == "expiring"
    assert found.renewal is not None
    assert found.renewal.billed is not None
    assert (found.renewal.billed.currency, found.renewal.billed.amount) == ("EUR", Decimal("1679.00"))


async def test_all_reservations_of_a_tenant_by_pages_and_by_filter(azure: Reservations, add: Add) -> None:
    """The document lists `{order}/{reservation}` as name, a recorded list the reservation alone: the id is read."""
    mine = {add(display_name="A list of them")["id"] for _ in range(21)}
    pages = [page async for page in azure.all(CUSTOMER)]
    found = [each.reservation_id for page in pages for each in page]
    assert len(pages) >= 3
    assert mine <= set(found)
    assert len(found) == len(set(found))
    where = "properties/displayName eq 'A list of them' and (properties/archived eq false)"
    assert {each.reservation_id async for page in azure.all(CUSTOMER, where) for each in page} == mine
    with pytest.raises(Rejected):
        await anext(azure.all(CUSTOMER, "properties/quantity gt 1"))


async def test_another_tenant_and_a_blank_one(azure: Reservations, add: Add, simulator: Simulator) -> None:
    """A blank tenant would mean the partner's own reservations."""
    one = add()
    other = simulator.seed["customers"]["contoso"]["id"]
    assert one["id"] not in [each.reservation_id async for page in azure.all(other) for each in page]
    for tenant in (other, "", " "):
        with pytest.raises(NotFound):
            await azure.order(tenant, one["order_id"])


async def test_a_change_that_is_answered_when_done(azure: Reservations, add: Add) -> None:
    """Recorded of every change: HTTP 200 with the reservation."""
    one = add()
    scope = Scope(type="Single", subscription=f"/subscriptions/{one['billing_subscription']}")
    change = Change(scope=scope, name="Renamed", renew=True, instance_flexibility="Off", renewal=purchase(one))
    assert await azure.update(CUSTOMER, one["order_id"], one["id"], change) == timedelta()
    found = await azure.reservation(CUSTOMER, one["order_id"], one["id"])
    assert (found.name, found.renew, found.instance_flexibility, found.scope_type) == ("Renamed", True, "off", "single")
    assert found.scope is not None
    assert found.scope.subscription == scope.subscription
    with pytest.raises(Rejected) as same:
        await azure.update(CUSTOMER, one["order_id"], one["id"], Change(name="Renamed"))
    assert same.value.code == "PatchValuesSameAsExisting"


async def test_a_review_and_a_renewal_are_changed_alone(azure: Reservations, add: Add) -> None:
    one = add(purchased=(datetime.now(UTC) - timedelta(days=340)).isoformat())
    review = datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)
    await azure.update(CUSTOMER, one["order_id"], one["id"], Change(review=review))
    await azure.update(CUSTOMER, one["order_id"], one["id"], Change(renewal=purchase(one, quantity=2)))
    found = await azure.reservation(CUSTOMER, one["order_id"], one["id"])
    assert found.review == review
    assert found.renewal is not None
    assert found.renewal.priced is not None
    assert found.renewal.priced.amount == Decimal("1460.00")
    for same in (Change(review=review), Change(renewal=purchase(one, quantity=2))):
        with pytest.raises(Rejected) as refused:
            await azure.update(CUSTOMER, one["order_id"], one["id"], same)
        assert refused.value.code == "PatchValuesSameAsExisting"


async def test_a_change_that_takes_its_time(azure: Reservations, add: Add) -> None:
    """The document's way: a 202 whose addresses are the reservation's own; its state says when it is done."""
    one = add(changes_slowly=True)
    group = Scope(type="ManagementGroup", management_group="/providers/Microsoft.Management/g", tenant=CUSTOMER)
    await azure.update(CUSTOMER, one["order_id"], one["id"], Change(scope=group))
    found = await until(
        lambda: azure.reservation(CUSTOMER, one["order_id"], one["id"]), lambda each: each.state == "succeeded"
    )
    assert found.scope is not None
    assert (found.scope_type, found.scope.tenant) == ("managementgroup", CUSTOMER)


async def test_scopes_that_could_take_the_benefit(azure: Reservations, add: Add) -> None:
    one = add()
    good, bad = f"/subscriptions/{one['billing_subscription'].upper()}", f"/subscriptions/{uuid4()}"
    found = await azure.available_scopes(CUSTOMER, one["order_id"], one["id"], [good, bad])
    assert found == {good.lower(): True, bad: False}


async def test_a_purchase_is_priced_and_bought_once(azure: Reservations, add: Add, simulator: Simulator) -> None:
    """Recorded: 202 `Creating`, then `PendingCapacity`, which no document lists."""
    one = add()
    bought = purchase(one, quantity=3, instance_flexibility="Off")
    price = await azure.price(CUSTOMER, bought)
    assert price.is_partner_billed is True
    assert price.billed is not None
    assert price.priced is not None
    assert (price.billed.amount, price.priced.amount) == (Decimal("2014.80"), Decimal("2190.00"))
    simulator.door.put("/behaviour", json={"time_scale": 0.009})
    assert await azure.purchase(CUSTOMER, price.order_id, bought) == timedelta(seconds=1)
    assert (await azure.order(CUSTOMER, price.order_id)).state == "pendingcapacity"
    await until(lambda: azure.order(CUSTOMER, price.order_id), lambda order: order.state == "succeeded")
    assert await azure.purchase(CUSTOMER, price.order_id, bought) == timedelta()
    [new] = await azure.of_order(CUSTOMER, price.order_id)
    assert (new.quantity, new.instance_flexibility) == (3, "off")
    assert happened(simulator, "purchase", order_id=price.order_id) == 1
    with pytest.raises(Conflict):
        await azure.purchase(CUSTOMER, price.order_id, purchase(one, quantity=4))


async def test_the_catalogue(azure: Reservations, add: Add) -> None:
    one = add()
    pages = [page async for page in azure.catalog(CUSTOMER, one["billing_subscription"], "virtualmachines", "eastus")]
    items = {each.sku: each for page in pages for each in page}
    assert len(pages) == 2
    assert set(items) == {"Standard_B1s", "Standard_B2s", "Standard_D2s_v3", "Standard_E64s_v3"}
    small = items["Standard_B1s"]
    assert (small.terms, small.locations, small.resource_type) == (("p1y", "p3y"), ("eastus",), "virtualmachines")
    assert {term: price.amount for term, price in small.prices.items()} == {"p1y": Decimal(63), "p3y": Decimal(123)}
    with pytest.raises(NotFound):
        await anext(azure.catalog(CUSTOMER, str(uuid4()), "VirtualMachines"))


async def test_without_a_right_on_the_order_until_a_role_is_assigned(
    azure: Reservations, add: Add, simulator: Simulator
) -> None:
    one = add(has_right=False)
    order, ana = one["order_id"], simulator.seed["users"]["ana@partner.example"]["object_id"]
    for refused in (azure.order(CUSTOMER, order), azure.refund_quote(CUSTOMER, order, one["id"], 1)):
        with pytest.raises(Forbidden) as caught:
            await refused
        assert caught.value.code == "AuthorizationFailed"
    reader, owner = str(uuid4()), str(uuid4())
    await azure.assign_role(CUSTOMER, order, reader, RESERVATIONS_READER, ana)
    assert (await azure.order(CUSTOMER, order)).state == "succeeded"
    with pytest.raises(Forbidden):
        await azure.refund_quote(CUSTOMER, order, one["id"], 1)
    for _ in range(2):
        await azure.assign_role(CUSTOMER, order, owner, OWNER, ana)
    with pytest.raises(Conflict):
        await azure.assign_role(CUSTOMER, order, str(uuid4()), OWNER, ana)
    assert (await azure.refund_quote(CUSTOMER, order, one["id"], 1)).policy_errors == ()
    found = {each.name: each for each in await azure.role_assignments(CUSTOMER, order)}
    assert {name: (each.role, each.principal_id) for name, each in found.items()} == {
        reader: (RESERVATIONS_READER, ana),
        owner: (OWNER, ana),
    }
    assert happened(simulator, "role_assignment", order_id=order) == 2
    for _ in range(2):
        await azure.unassign_role(CUSTOMER, order, owner)
    with pytest.raises(Forbidden):
        await azure.refund_quote(CUSTOMER, order, one["id"], 1)
