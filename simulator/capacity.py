"""Microsoft.Capacity 2022-11-01: reservations listed, read and changed; the catalogue, prices and purchases.

Decided where the facts are silent: a page holds 10; a change is answered when done (recorded) unless the reservation
`changes_slowly`, which is answered as the document has it, with a 202; a change is refused while something accepted
can't be seen yet; an order can only be put under an id that calculatePrice gave out, and putting the same again gives
the order as it stands.
"""

import json
import re
import uuid

from fastapi import APIRouter, Request, Response

from simulator.azure import AzureError, AzureGate
from simulator.booking import cents
from simulator.capacity_filter import filter_of, in_order, told
from simulator.capacity_models import PricedOrder, Reservation, ReservationOrder
from simulator.capacity_money import LOCATIONS, SKUS, Sku, unit_price
from simulator.capacity_orders import SETTLING, VERSION, Orders, subscription_in, tenant_of
from simulator.capacity_requests import (
    AvailableScopesRequest,
    PatchRequest,
    PurchaseRequest,
    asked,
    scope_of,
)
from simulator.capacity_wire import (
    order_body,
    order_id_of,
    payment_schedule,
    plan_information,
    price,
    renew_properties,
    reservation_body,
    reservation_id_of,
)
from simulator.role_assignments import may
from simulator.wire import json_of, reply

PAGE = 10
STATE, SHOWN_STATE = ["properties", "provisioningState"], ["properties", "displayProvisioningState"]
PREFIX = "/providers/microsoft.capacity"
ORDER = PREFIX + "/reservationorders/{order_id}"
RESERVATION = ORDER + "/reservations/{reservation_id}"
RATE, CURRENCY = Reservation.model_fields["rate"].default, Reservation.model_fields["billing_currency"].default


def number(request: Request, name: str, default: int, lowest: int = 0) -> int:
    """A whole number from the query; the SDK writes it as `3.0`. Raises a 400."""
    found = re.fullmatch(r"([0-9]{1,6})(\.0*)?", request.query_params.get(name, str(default)))
    if found is None or int(found[1]) < lowest:
        raise AzureError(400, "BadRequest", f"The value of {name} is not valid.")
    return int(found[1])


def changed(one: Reservation, wanted: PatchRequest, subscriptions: frozenset[str]) -> Reservation:
    """The reservation after a PATCH. Raises the 400s of facts 1.4."""
    change = wanted.properties
    update: dict[str, object] = {}
    if change.applied_scope_type is not None:
        scope = scope_of(change.applied_scope_type, change.applied_scopes, change.applied_scope_properties)
        place = scope.subscription_id or scope.resource_group_id
        if place and subscription_in(place) not in subscriptions:
            raise AzureError(
                400, "AppliedScopesNotAssociatedWithCommerceAccount", "The scope is not of this commerce account."
            )
        update["scope"] = scope
    for name, value in (
        ("display_name", change.name),
        ("renew", change.renew),
        ("instance_flexibility", change.instance_flexibility),
        ("review", change.review_date_time),
        ("renewal", change.renew_properties and change.renew_properties.purchase_properties.terms()),
    ):
        if value is not None:
            update[name] = value
    new = one.model_copy(update=update)
    if new.renewal is not None and unit_price(new.renewal) is None:
        raise AzureError(400, "CalculatePriceFailed", "There is no price for what is to be bought at the renewal.")
    if new == one and list(update) == ["scope"]:
        raise AzureError(400, "AppliedScopesSameAsExisting", "The applied scopes are the same as existing.")
    if new == one:
        raise AzureError(400, "PatchValuesSameAsExisting", "The values are the same as existing.")
    return new


def catalog_item(sku: Sku, location: str) -> dict[str, object]:
    """A SKU of the catalogue; types begin with a small letter here (recorded)."""
    plans = ["Upfront", "Monthly"]
    return {
        "resourceType": sku.resource_type[:1].lower() + sku.resource_type[1:],
        "name": sku.name,
        "terms": list(sku.prices),
        "locations": [location],
        "billingPlans": {term[:1].lower() + term[1:]: plans for term in sku.prices},
        "msrp": {term[:1].lower() + term[1:]: price("USD", amount) for term, amount in sku.prices.items()},
        "skuProperties": [{"name": "ProductTitle", "value": sku.name}],
        "restrictions": [],
    }


def router(orders: Orders, gate: AzureGate) -> APIRouter:
    """The paths of orders, reservations, catalogue and purchases."""
    routes = APIRouter(tags=["Azure reservations"])
    cloud = orders.cloud

    def page(request: Request, items: list[dict[str, object]], skip: str, size: int) -> dict[str, object]:
        start = number(request, skip, 0)
        body: dict[str, object] = {"value": items[start : start + size]}
        if start + size < len(items):
            url = request.url.include_query_params(**{skip: start + size})
            body["nextLink"] = f"{gate.base(request)}{url.path}?{url.query}"
        return body

    @routes.get(PREFIX + "/reservations")
    async def list_all(request: Request) -> Response:
        caller = tenant_of(gate, request)
        passes = filter_of(request.query_params["$filter"]) if request.query_params.get("$filter") else None
        bodies = [
            reservation_body(each, cloud.now(), listed=True)
            for each in cloud.store.listed(Reservation, now=cloud.now())
            if each.customer_id.lower() == caller.tid and may(cloud, caller, each.order_id, "read")
        ]
        found = [each for each in bodies if passes is None or passes(each)]
        summary = {f"{name}Count": 0 for name in ("succeeded", "failed", "expiring", "expired", "pending")}
        summary |= {f"{name}Count": 0 for name in ("cancelled", "processing", "warning", "noBenefit")}
        for each in found:
            word = told(each, SHOWN_STATE)
            summary[f"{word}Count"] = summary.get(f"{word}Count", 0) + 1
        if request.query_params.get("$orderby"):
            found = in_order(found, request.query_params["$orderby"])
        state = request.query_params.get("selectedState", "").lower()
        found = [each for each in found if state in ("", told(each, STATE), told(each, SHOWN_STATE))]
        return reply({**page(request, found, "$skiptoken", number(request, "take", PAGE, 1)), "summary": summary})

    @routes.get(PREFIX + "/reservationorders")
    async def list_orders(request: Request) -> Response:
        caller = tenant_of(gate, request)
        found = cloud.store.listed(ReservationOrder, parent=caller.tid, now=cloud.now())
        return reply(
            {
                "value": [
                    order_body(each, orders.members(each.id), cloud.now())
                    for each in found
                    if may(cloud, caller, each.id, "read")
                ]
            }
        )

    @routes.get(ORDER)
    async def get_order(request: Request, order_id: str) -> Response:
        order = orders.order(tenant_of(gate, request), order_id, "read")
        members = orders.members(order.id)
        body = order_body(order, members, cloud.now())
        if request.query_params.get("$expand") == "schedule" and members:
            properties = body["properties"]
            assert isinstance(properties, dict)
            properties["planInformation"] = plan_information(members, cloud.now())
        return reply(body)

    @routes.get(ORDER + "/reservations")
    async def list_of_order(request: Request, order_id: str) -> Response:
        order = orders.order(tenant_of(gate, request), order_id, "read")
        return reply({"value": [reservation_body(each, cloud.now()) for each in orders.members(order.id)]})

    @routes.get(RESERVATION)
    async def get_reservation(request: Request, order_id: str, reservation_id: str) -> Response:
        order = orders.order(tenant_of(gate, request), order_id, "read")
        one = orders.reservation(order, reservation_id)
        body = reservation_body(one, cloud.now())
        if request.query_params.get("$expand") == "renewProperties" and (one.renew or one.renewal):
            properties = body["properties"]
            assert isinstance(properties, dict)
            properties["renewProperties"] = renew_properties(one, cloud.now())
        return reply(body)

    @routes.patch(RESERVATION)
    async def patch(request: Request, order_id: str, reservation_id: str) -> Response:
        order = orders.order(tenant_of(gate, request), order_id, "change")
        wanted = await asked(request, PatchRequest)
        one = orders.reservation(order, reservation_id)
        if one.state_at(cloud.now()) != "Succeeded" or cloud.store.get(Reservation, one.id) != one:
            raise AzureError(400, "OperationCannotBePerformedInCurrentState", "The reservation can't be changed now.")
        new = changed(one, wanted, orders.subscriptions(order.customer_id))
        new.updated = cloud.now()
        with cloud.store.transaction():
            orders.account("change", order.customer_id, order_id=order.id, reservation_id=one.id)
            if not one.changes_slowly:
                orders.write(new, cloud.now())
                return reply(reservation_body(new, cloud.now()))
            orders.write(one.model_copy(update={"state": "Pending"}), cloud.now())
            orders.write(new, orders.some_time())
        url = f"{gate.base(request)}{reservation_id_of(order.id, one.id)}?api-version={VERSION}"
        headers = {"Azure-AsyncOperation": url, "Location": url, "Retry-After": gate.retry_after(SETTLING)}
        return Response(status_code=202, headers=headers)

    @routes.post(RESERVATION + "/availablescopes")
    async def available_scopes(request: Request, order_id: str, reservation_id: str) -> Response:
        order = orders.order(tenant_of(gate, request), order_id, "read")
        orders.reservation(order, reservation_id)
        wanted = await asked(request, AvailableScopesRequest)
        known = orders.subscriptions(order.customer_id)
        scopes = [{"scope": each, "valid": subscription_in(each) in known} for each in wanted.properties.scopes]
        return reply({"properties": {"scopes": scopes}})

    @routes.get("/subscriptions/{subscription}/providers/microsoft.capacity/catalogs")
    async def catalog(request: Request, subscription: str) -> Response:
        caller = tenant_of(gate, request)
        if subscription.lower() not in orders.subscriptions(caller.tid):
            raise AzureError(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")
        kind = request.query_params.get("reservedResourceType", "").lower()
        location = request.query_params.get("location", LOCATIONS[0])
        items = [catalog_item(sku, location) for sku in SKUS if kind in ("", sku.resource_type.lower())]
        return reply({**page(request, items, "$skip", number(request, "$take", 2, 1)), "totalItems": len(items)})

    @routes.post(PREFIX + "/calculateprice")
    async def calculate_price(request: Request) -> Response:
        caller = tenant_of(gate, request)
        terms = (await asked(request, PurchaseRequest)).terms()
        unit = unit_price(terms)
        if unit is None or terms.location.lower() not in LOCATIONS:
            raise AzureError(400, "CalculatePriceFailed", "There is no price for this SKU, term and location.")
        order_id = str(uuid.uuid4())
        cloud.write_now(PricedOrder(id=order_id, customer_id=caller.tid))
        body: dict[str, object] = {
            "billingCurrencyTotal": price(CURRENCY, cents(unit * terms.quantity * RATE)),
            "netTotal": unit * terms.quantity,
            "taxTotal": 0,
            "grandTotal": unit * terms.quantity,
            "isTaxIncluded": False,
            "isBillingPartnerManaged": True,
            "paymentSchedule": payment_schedule(terms, cloud.now(), unit, RATE, CURRENCY),
            "reservationOrderId": order_id,
            "skuTitle": f"Reserved, {terms.sku}, {terms.location}",
            "skuDescription": terms.sku,
            "pricingCurrencyTotal": price("USD", unit * terms.quantity),
        }
        return reply({"properties": body})

    @routes.put(ORDER)
    async def purchase(request: Request, order_id: str) -> Response:
        caller = tenant_of(gate, request)
        terms = (await asked(request, PurchaseRequest)).terms()
        said = json.dumps(json_of(await request.body()), sort_keys=True)
        before = cloud.store.get(ReservationOrder, order_id, now=cloud.now())
        if before is not None and before.customer_id.lower() == caller.tid:
            if before.purchase != said:
                raise AzureError(409, "ReservationOrderIdAlreadyExists", f"The order {order_id} exists already.")
            return reply(order_body(before, orders.members(order_id), cloud.now()))
        priced = cloud.store.get(PricedOrder, order_id)
        if priced is None or priced.customer_id.lower() != caller.tid:
            raise AzureError(400, "InvalidReservationOrderId", "The order id is none that a price was given for.")
        with cloud.store.transaction():
            order = orders.buy(caller.tid, priced.id, str(uuid.uuid4()), terms, said, orders.some_time(SETTLING))
            orders.account("purchase", caller.tid, order_id=order.id, quantity=terms.quantity)
        shown = order.model_copy(update={"state": "Creating", "etag": 1})
        headers = {
            "Location": f"{gate.base(request)}{order_id_of(order.id)}?api-version={VERSION}",
            "Retry-After": gate.retry_after(SETTLING),
        }
        return reply(order_body(shown, orders.members(order.id), cloud.now()), 202, headers)

    return routes
