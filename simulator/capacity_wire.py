"""How Microsoft.Capacity writes: ids in mixed case, seven fraction digits, ends as a date and as an instant, fields
that no document declares."""

from datetime import datetime
from decimal import Decimal

from simulator.booking import cents
from simulator.capacity_models import Reservation, ReservationOrder, Scope, Terms
from simulator.capacity_money import Sums, months, sums, unit_price
from simulator.wire import instant

BILLING_ACCOUNT = "/providers/Microsoft.Billing/billingAccounts/61e667a1-0558-45a2-b21a-57fa7893951d"
TERM_WORDS = {"P1Y": "1 Year", "P3Y": "3 Years", "P5Y": "5 Years"}


def order_id_of(order_id: str) -> str:
    """An order as reads name it."""
    return f"/providers/microsoft.capacity/reservationOrders/{order_id}"


def reservation_id_of(order_id: str, reservation_id: str) -> str:
    """A reservation as orders and refunds name it; reads write the provider small."""
    return f"/providers/Microsoft.Capacity/reservationOrders/{order_id}/reservations/{reservation_id}"


def price(currency: str, amount: Decimal) -> dict[str, object]:
    """An amount."""
    return {"currencyCode": currency, "amount": amount}


def scope_body(scope: Scope) -> dict[str, object]:
    """A scope as reads tell it: without the older list of scopes (recorded), nothing for a shared one."""
    told = {
        "tenantId": scope.tenant_id,
        "managementGroupId": scope.management_group_id,
        "subscriptionId": scope.subscription_id,
        "resourceGroupId": scope.resource_group_id,
    }
    found = {name: value for name, value in told.items() if value}
    return {"appliedScopeProperties": {**found, "displayName": "Azure subscription 1"}} if found else {}


def friendly_scope(scope: Scope) -> str:
    """The scope's type as the portal words it."""
    return "ResourceGroup" if scope.resource_group_id else scope.type


def reservation_body(one: Reservation, now: datetime, *, listed: bool = False) -> dict[str, object]:
    """A reservation. Its name is its id where it is read, and order and id where all are listed."""
    state = one.state_at(now)
    can_return = one.is_refundable and state == "Succeeded"
    utilization = [
        {"grain": Decimal(grain), "grainUnit": "days", "value": Decimal("97.50"), "valueUnit": "percentage"}
        for grain in (1, 7, 30)
    ]
    properties: dict[str, object] = {
        **({"capabilities": "ApiReturnEnabled, ApiExchangeEnabled"} if can_return else {}),
        **scope_body(one.scope),
        "reservedResourceType": one.resource_type,
        "userFriendlyRenewState": ("On" if one.renew else "Off") if state == "Succeeded" else "NotApplicable",
        "skuDescription": f"Reserved, {one.sku}, {one.location}, {TERM_WORDS[one.term]}",
        "renew": one.renew,
        "archived": False,
        "quantity": one.quantity,
        "appliedScopeType": one.scope.type,
        "displayName": one.display_name,
        "provisioningState": state,
        "term": one.term,
        "displayProvisioningState": one.display_state_at(now),
        "userFriendlyAppliedScopeType": friendly_scope(one.scope),
        "expiryDateTime": instant(one.expires, 7),
        "purchaseDateTime": instant(one.purchased, 7),
        "benefitStartTime": instant(one.purchased, 7),
        "lastUpdatedDateTime": instant(one.updated, 7),
        "expiryDate": f"{one.expires:%Y-%m-%d}",
        "purchaseDate": f"{one.purchased:%Y-%m-%d}",
        "effectiveDateTime": instant(one.updated, 7),
        "instanceFlexibility": one.instance_flexibility,
        "utilization": {"trend": "SAME", "aggregates": utilization} if state == "Succeeded" else {"aggregates": []},
        "billingPlan": one.billing_plan,
        "billingScopeId": f"/subscriptions/{one.billing_subscription}",
        "productCode": one.sku.upper(),
    }
    if one.review:
        properties["reviewDateTime"] = instant(one.review, 7)
    if one.split_source:
        properties["splitProperties"] = {"splitSource": reservation_id_of(one.order_id, one.split_source)}
    return {
        "id": f"{order_id_of(one.order_id)}/reservations/{one.id}",
        "name": f"{one.order_id}/{one.id}" if listed else one.id,
        "type": "microsoft.capacity/reservationOrders/reservations",
        "location": one.location,
        "etag": one.etag,
        "sku": {"name": one.sku},
        "properties": properties,
    }


def renew_properties(one: Reservation, now: datetime) -> dict[str, object]:
    """What a renewal buys; its price is locked 30 days before the end."""
    bought = purchase_body(one.renewal or one)
    properties = bought["properties"]
    assert isinstance(properties, dict)
    bought["properties"] = {name: value for name, value in properties.items() if value is not None}
    told: dict[str, object] = {"purchaseProperties": bought}
    if one.display_state_at(now) == "Expiring":
        unit = unit_price(one.renewal) if one.renewal else None
        total = unit * one.renewal.quantity if one.renewal and unit else one.unit_price * one.quantity
        told["pricingCurrencyTotal"] = price("USD", total)
        told["billingCurrencyTotal"] = price(one.billing_currency, cents(total * one.rate))
    return told


def purchase_body(one: Terms) -> dict[str, object]:
    """A purchase as answers repeat it: much of it null (recorded)."""
    return {
        "location": one.location,
        "properties": {
            "appliedScopes": None,
            "reservedResourceProperties": None,
            "instanceFlexibility": None,
            "renew": one.renew,
            "billingScopeId": f"/subscriptions/{one.billing_subscription}",
            "term": one.term,
            "billingPlan": one.billing_plan,
            "quantity": one.quantity,
            "displayName": one.display_name,
            "appliedScopeType": one.scope.type,
            "reservedResourceType": one.resource_type,
            "reviewDateTime": None if one.review is None else instant(one.review, 7),
        },
        "sku": {"name": one.sku},
    }


def order_body(order: ReservationOrder, members: list[Reservation], now: datetime) -> dict[str, object]:
    """An order with the ids of its reservations. Times are there once the purchase is through."""
    first = members[0] if members else None
    is_new = order.state in ("Creating", "PendingCapacity")
    times: dict[str, object] = {}
    if first and not is_new:
        times = {
            "createdDateTime": instant(first.purchased, 7),
            "benefitStartTime": instant(first.purchased, 7),
            "expiryDateTime": instant(first.expires, 7),
            "expiryDate": f"{first.expires:%Y-%m-%d}",
        }
    state = "Expired" if order.state == "Succeeded" and first and now >= first.expires else order.state
    return {
        "id": order_id_of(order.id),
        "name": order.id,
        "type": "microsoft.capacity/reservationOrders",
        "etag": order.etag,
        "properties": {
            "originalQuantity": order.original_quantity,
            "requestDateTime": instant(order.requested, 7),
            "billingPlan": order.billing_plan,
            "reservations": [{"id": reservation_id_of(each.order_id, each.id)} for each in members],
            "term": order.term,
            "displayName": order.display_name,
            "provisioningState": state,
            "billingAccountId": BILLING_ACCOUNT,
            "billingProfileId": f"{BILLING_ACCOUNT}/billingProfiles/KPSV-DWNE-BG7-TGB",
            **times,
        },
    }


def payment_schedule(
    one: Terms, first: datetime, unit: Decimal, rate: Decimal, currency: str
) -> list[dict[str, object]]:
    """Each payment of a purchase, all of them to come."""
    count = 1 if one.billing_plan == "Upfront" else months(one.term)
    each = cents(unit / count) * one.quantity
    return [
        {
            "dueDate": f"{month_later(first, number):%Y-%m-%d}",
            "pricingCurrencyTotal": price("USD", each),
            "billingCurrencyTotal": price(currency, cents(each * rate)),
            "status": "Scheduled",
        }
        for number in range(count)
    ]


def month_later(day: datetime, number: int) -> datetime:
    """The same day so many months later; the 28th for days that some months haven't."""
    index = day.month - 1 + number
    return day.replace(year=day.year + index // 12, month=index % 12 + 1, day=min(day.day, 28))


def plan_information(members: list[Reservation], now: datetime) -> dict[str, object]:
    """The payments of an order, made and to come."""
    one = members[0]
    told = sums(one, one.quantity, now, billing=False)
    schedule = payment_schedule(one, one.purchased, one.unit_price, one.rate, one.billing_currency)
    for number, payment in enumerate(schedule):
        if number < told.payments_made:
            payment |= {"status": "Succeeded", "paymentDate": payment["dueDate"]}
    due = [payment["dueDate"] for payment in schedule[told.payments_made :]]
    return {
        "pricingCurrencyTotal": price("USD", told.paid + told.remaining),
        "startDate": f"{one.purchased:%Y-%m-%d}",
        "nextPaymentDueDate": due[0] if due else None,
        "transactions": schedule,
    }


def billing_information(told: Sums) -> dict[str, object]:
    """How far it is paid, as refunds and exchanges tell it."""
    return {
        "billingCurrencyTotalPaidAmount": price(told.currency, told.paid),
        "billingCurrencyProratedAmount": price(told.currency, told.consumed),
        "billingCurrencyRemainingCommitmentAmount": price(told.currency, told.remaining),
    }
