"""What Microsoft.Capacity says of reservations and their orders, and when a return is done.

Where its own words differ (facts 1.1-1.7, traps 1-13): an `id` comes in any case and is what names a thing, a `name` is
`{reservation}` here and `{order}/{reservation}` there; an end is a date in one field and an instant in another; states
come that no document lists (`Pending`, `PendingCapacity`). So every word of Microsoft's is in lower case here, and an
unknown one is just another word.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, AliasPath, BeforeValidator, Field

from microsoft.fields import Id, Items, MaybeInstant, MaybeNumber, Number, Resource, Text, Word, instant

_ORDER = re.compile(r"/reservationorders/([^/]+)(?:/reservations/([^/]+))?", re.IGNORECASE)

LAG = timedelta(minutes=3)
"""After which what was accepted is seen: the two minutes that a return asks to wait (recorded, facts 1.5), and the
minute in which effects show."""

CANCELLED = frozenset({"cancelled", "canceled"})
SETTLED = frozenset({"succeeded", *CANCELLED})
"""States of an order in which nothing is under way: all else, the unknown included, is still moving."""


def order_and_reservation(resource_id: str) -> tuple[str, str]:
    """The two ids inside a resource's id, in lower case; "" for one that isn't named."""
    found = _ORDER.search(resource_id)
    return (found[1].lower(), (found[2] or "").lower()) if found else ("", "")


def order_path(order_id: str) -> str:
    """An order as Azure names it, everywhere below it and in bodies."""
    return f"/providers/Microsoft.Capacity/reservationOrders/{order_id}"


def reservation_path(order_id: str, reservation_id: str) -> str:
    """A reservation as Azure names it."""
    return f"{order_path(order_id)}/reservations/{reservation_id}"


def last_id(resource_id: str) -> str:
    """The id at the end of a resource's id, which may also be told alone."""
    return resource_id.rpartition("/")[2]


def _of_a_reservation(value: str) -> str:
    if not order_and_reservation(value)[1]:
        raise ValueError("not the id of a reservation")
    return value


def _of_an_order(value: str) -> str:
    if not order_and_reservation(value)[0]:
        raise ValueError("not the id of an order")
    return value


def _day(value: object) -> object:
    """A date, given as such or as an instant."""
    at = instant(value)
    return at.date() if isinstance(at, datetime) else at


def _members(value: object) -> object:
    """The reservations of an order, mostly told as `[{"id": …}]`, by their own ids."""
    if not isinstance(value, list):
        return value
    ids = [str(each.get("id", "")) if isinstance(each, dict) else "" for each in value]
    return [last_id(_of_a_reservation(each)) for each in ids]


def inside(*names: str) -> AliasPath:
    """Where a field stands below `properties`."""
    return AliasPath("properties", *names)


MaybeDay = Annotated[date | None, BeforeValidator(_day)]
ReservationName = Annotated[Id, AfterValidator(_of_a_reservation)]
OrderName = Annotated[Id, AfterValidator(_of_an_order)]


class Price(Resource):
    """An amount in `currency` (ISO 4217). What is billed and what is priced may be in two currencies."""

    currency: Annotated[Text, Field(validation_alias="currencyCode")]
    amount: Number


class AppliedScope(Resource):
    """What a reservation's benefit goes to; ids are fully qualified (`/subscriptions/…`)."""

    subscription: Annotated[Id, Field(validation_alias="subscriptionId")] = ""
    resource_group: Annotated[Id, Field(validation_alias="resourceGroupId")] = ""
    management_group: Annotated[Id, Field(validation_alias="managementGroupId")] = ""
    tenant: Annotated[Id, Field(validation_alias="tenantId")] = ""
    name: Annotated[Text, Field(validation_alias="displayName")] = ""


class Utilization(Resource):
    """How much of a reservation was used in the last `grain` days, in percent."""

    grain: MaybeNumber = None
    value: MaybeNumber = None


class Renewal(Resource):
    """What a renewal will cost; known from 30 days before the end on."""

    priced: Annotated[Price | None, Field(validation_alias="pricingCurrencyTotal")] = None
    billed: Annotated[Price | None, Field(validation_alias="billingCurrencyTotal")] = None


class Reservation(Resource):
    """A reservation. `capabilities` says what can be done by API (`apireturnenabled`), where Microsoft says it at all;
    what a refund would give only a quote says. `scopes` is the older way to tell `scope`; either may be missing."""

    id: ReservationName
    etag: int | None = None
    location: Word = ""
    sku: Annotated[Text, Field(validation_alias=AliasPath("sku", "name"))] = ""
    resource_type: Annotated[Word, Field(validation_alias=inside("reservedResourceType"))] = ""
    name: Annotated[Text, Field(validation_alias=inside("displayName"))] = ""
    description: Annotated[Text, Field(validation_alias=inside("skuDescription"))] = ""
    state: Annotated[Word, Field(validation_alias=inside("provisioningState"))] = ""
    display_state: Annotated[Word, Field(validation_alias=inside("displayProvisioningState"))] = ""
    status_code: Annotated[Word, Field(validation_alias=inside("extendedStatusInfo", "statusCode"))] = ""
    status_message: Annotated[Text, Field(validation_alias=inside("extendedStatusInfo", "message"))] = ""
    capabilities: Annotated[Word, Field(validation_alias=inside("capabilities"))] = ""
    quantity: Annotated[int, Field(validation_alias=inside("quantity"))] = 0
    term: Annotated[Word, Field(validation_alias=inside("term"))] = ""
    billing_plan: Annotated[Word, Field(validation_alias=inside("billingPlan"))] = ""
    billing_scope: Annotated[Id, Field(validation_alias=inside("billingScopeId"))] = ""
    scope_type: Annotated[Word, Field(validation_alias=inside("appliedScopeType"))] = ""
    scopes: Annotated[Items[Id], Field(validation_alias=inside("appliedScopes"))] = ()
    scope: Annotated[AppliedScope | None, Field(validation_alias=inside("appliedScopeProperties"))] = None
    instance_flexibility: Annotated[Word, Field(validation_alias=inside("instanceFlexibility"))] = ""
    archived: Annotated[bool | None, Field(validation_alias=inside("archived"))] = None
    renew: Annotated[bool | None, Field(validation_alias=inside("renew"))] = None
    renew_source: Annotated[Id, Field(validation_alias=inside("renewSource"))] = ""
    renew_destination: Annotated[Id, Field(validation_alias=inside("renewDestination"))] = ""
    renewal: Annotated[Renewal | None, Field(validation_alias=inside("renewProperties"))] = None
    split_source: Annotated[Id, Field(validation_alias=inside("splitProperties", "splitSource"))] = ""
    purchased: Annotated[MaybeInstant, Field(validation_alias=inside("purchaseDateTime"))] = None
    effective: Annotated[MaybeInstant, Field(validation_alias=inside("effectiveDateTime"))] = None
    benefit_start: Annotated[MaybeInstant, Field(validation_alias=inside("benefitStartTime"))] = None
    expires: Annotated[MaybeInstant, Field(validation_alias=inside("expiryDateTime"))] = None
    expires_on: Annotated[MaybeDay, Field(validation_alias=inside("expiryDate"))] = None
    review: Annotated[MaybeInstant, Field(validation_alias=inside("reviewDateTime"))] = None
    updated: Annotated[MaybeInstant, Field(validation_alias=inside("lastUpdatedDateTime"))] = None
    utilization: Annotated[Items[Utilization], Field(validation_alias=inside("utilization", "aggregates"))] = ()

    @property
    def order_id(self) -> str:
        return order_and_reservation(self.id)[0]

    @property
    def reservation_id(self) -> str:
        return order_and_reservation(self.id)[1]


class Payment(Resource):
    """A payment of an order, made or to come. `status`: succeeded, failed, scheduled or cancelled."""

    due: Annotated[MaybeDay, Field(validation_alias="dueDate")] = None
    paid: Annotated[MaybeDay, Field(validation_alias="paymentDate")] = None
    priced: Annotated[Price | None, Field(validation_alias="pricingCurrencyTotal")] = None
    billed: Annotated[Price | None, Field(validation_alias="billingCurrencyTotal")] = None
    status: Word = ""


class Order(Resource):
    """A reservation order. While a return, a purchase or an exchange works on it, `state` isn't in SETTLED.

    `payments`, `total` and `next_payment` are there when they were asked for.
    """

    id: OrderName
    etag: int | None = None
    name: Annotated[Text, Field(validation_alias=inside("displayName"))] = ""
    state: Annotated[Word, Field(validation_alias=inside("provisioningState"))] = ""
    term: Annotated[Word, Field(validation_alias=inside("term"))] = ""
    billing_plan: Annotated[Word, Field(validation_alias=inside("billingPlan"))] = ""
    original_quantity: Annotated[int | None, Field(validation_alias=inside("originalQuantity"))] = None
    requested: Annotated[MaybeInstant, Field(validation_alias=inside("requestDateTime"))] = None
    created: Annotated[MaybeInstant, Field(validation_alias=inside("createdDateTime"))] = None
    expires: Annotated[MaybeInstant, Field(validation_alias=inside("expiryDateTime"))] = None
    expires_on: Annotated[MaybeDay, Field(validation_alias=inside("expiryDate"))] = None
    reservation_ids: Annotated[
        Items[Id], BeforeValidator(_members), Field(validation_alias=inside("reservations"))
    ] = ()
    total: Annotated[Price | None, Field(validation_alias=inside("planInformation", "pricingCurrencyTotal"))] = None
    next_payment: Annotated[MaybeDay, Field(validation_alias=inside("planInformation", "nextPaymentDueDate"))] = None
    payments: Annotated[Items[Payment], Field(validation_alias=inside("planInformation", "transactions"))] = ()

    @property
    def order_id(self) -> str:
        return order_and_reservation(self.id)[0]


@dataclass(frozen=True)
class Returned:
    """A return that is done. `successor` is the reservation that holds what was kept, "" after a whole return."""

    successor: str


def returned(
    before: Reservation, quantity: int, known: Collection[str], order: Order, now: Sequence[Reservation]
) -> Returned | None:
    """What became of the return of `quantity` from `before`; None while it isn't done, or nothing was done.

    `known` are the order's reservation ids before the return, `order` and `now` how order and reservations are told
    after it. Done is: the order settled, and `before` cancelled or smaller. The order alone answers at once, first with
    its old state or `Pending`: a poller that takes HTTP 200 for the end is wrong (facts 1.5). What is kept of a part
    given back comes as a new reservation, or it stays in the old one; several that could be it decide nothing.
    """
    old = next((each for each in now if each.reservation_id == before.reservation_id), None)
    if order.state not in SETTLED or old is None:
        return None
    if old.state not in CANCELLED:
        return Returned(old.reservation_id) if old.quantity == before.quantity - quantity else None
    if quantity >= before.quantity:
        return Returned("")
    new = [each for each in now if each.reservation_id not in known and each.state == "succeeded"]
    kept = [each.reservation_id for each in new if each.quantity == before.quantity - quantity]
    return Returned(kept[0]) if len(kept) == 1 else None


@dataclass(frozen=True)
class Seen:
    """An order and its reservations, as they were told at one time."""

    order: Order
    reservations: Sequence[Reservation]


def fate(
    reservation_id: str, quantity: int, before: Seen, now: Seen, passed: timedelta, lag: timedelta = LAG
) -> Returned | Literal["open", "not done", "undecided"]:
    """What became of a return that was perhaps sent: its answer was lost (Ambiguous), or the process died after it had
    noted that it would send.

    `before` is what was kept before that note: the reservation, in an order with nothing under way (SETTLED). `passed`
    is the time from the last instant at which the return can have been sent to the beginning of the look. Look again
    after `open`: `lag` isn't over, or the order is at work, which the caller bounds. Send again only after `not done`:
    everything is as it was before, to the etag. `undecided` is for a person: something changed, but not to what this
    return would have made of it. A return of as much by somebody else, at the portal, can't be told from ours.
    """
    old = next(each for each in before.reservations if each.reservation_id == reservation_id)
    known = {each.reservation_id for each in before.reservations}
    done = returned(old, quantity, known, now.order, now.reservations)
    if done is not None:
        return done
    if passed < lag or now.order.state not in SETTLED:
        return "open"
    return "not done" if _marks(before) == _marks(now) else "undecided"


def _marks(seen: Seen) -> object:
    members = {each.reservation_id: (each.state, each.quantity, each.etag) for each in seen.reservations}
    return seen.order.state, seen.order.etag, members
