"""The side door to reservations: adds them, plays the person at the portal and the administrator who gives and takes
rights, and tells what really happened."""

import uuid
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, HTTPException
from pydantic import Field

from simulator.capacity_models import (
    Effect,
    ExchangeSession,
    RefundSession,
    Reservation,
    ReservationOrder,
    ReservationTraits,
)
from simulator.capacity_refunds import Refunds
from simulator.capacity_seed import add, azure_subscription
from simulator.models import Customer, Instant, Model
from simulator.role_assignments import grant_admin_agents, revoke_all


class ReservationIn(ReservationTraits):
    """A reservation to add, in an order of its own. Bought now, and paid for by the customer's Azure subscription,
    unless something else is said."""

    customer_id: str
    purchased: Instant | None = None
    has_right: bool = True


class Quantity(Model):
    """How much of a reservation somebody returns at the portal."""

    quantity: Annotated[int, Field(ge=1)]


class Granted(Model):
    """Whether the partner's Admin agents own the order."""

    granted: bool


class RefundBefore(Model):
    """A return of days ago: what it took of the customer's limit, in US dollars."""

    customer_id: str
    cancelled_commitment: Decimal
    days_ago: Annotated[int, Field(ge=0)]


class Effects(Model):
    """What happened, and how often. `return` is by API, `portal_return` by a person at the portal."""

    counts: dict[str, int]
    effects: list[Effect]


def router(refunds: Refunds) -> APIRouter:
    """The paths of the side door to reservations."""
    routes = APIRouter(prefix="/_simulator", tags=["Side door"])
    cloud = refunds.cloud

    def order_of(order_id: str) -> ReservationOrder:
        found = cloud.store.get(ReservationOrder, order_id)
        if found is None:
            raise HTTPException(404, f"There is no reservation order {order_id}.")
        return found

    def reservation_of(reservation_id: str) -> Reservation:
        found = cloud.store.get(Reservation, reservation_id)
        if found is None:
            raise HTTPException(404, f"There is no reservation {reservation_id}, visible or not.")
        return found

    @routes.post("/reservations", status_code=201)
    async def add_reservation(wanted: ReservationIn) -> Reservation:
        """Adds a reservation, and with it its order."""
        if cloud.store.get(Customer, wanted.customer_id) is None:
            raise HTTPException(
                422, f"There is no customer {wanted.customer_id}; add it first at /_simulator/customers."
            )
        traits = ReservationTraits.model_validate(wanted.model_dump(exclude={"customer_id", "purchased", "has_right"}))
        if not traits.billing_subscription:
            traits.billing_subscription = azure_subscription(cloud, wanted.customer_id)
        ids = (str(uuid.uuid4()), str(uuid.uuid4()))
        with cloud.store.transaction():
            one = add(cloud, wanted.customer_id, wanted.purchased or cloud.now(), traits, ids)
            if wanted.has_right:
                grant_admin_agents(cloud, one.order_id)
        return one

    @routes.get("/reservations/{reservation_id}")
    async def whole_truth(reservation_id: str) -> Reservation:
        """A reservation as it is, seen already or not."""
        return reservation_of(reservation_id)

    @routes.post("/reservations/{reservation_id}/return")
    async def return_at_portal(reservation_id: str, wanted: Quantity) -> Reservation:
        """Somebody returns it at the portal."""
        one = reservation_of(reservation_id)
        if one.state != "Succeeded" or wanted.quantity > one.quantity:
            raise HTTPException(422, "That much can't be returned of it now.")
        with cloud.store.transaction():
            refunds.give_back(order_of(one.order_id), one, wanted.quantity, "")
        return reservation_of(reservation_id)

    @routes.post("/reservation-orders/{order_id}/rights")
    async def set_rights(order_id: str, wanted: Granted) -> Granted:
        """An administrator gives the Admin agents the order, or takes every right on it away."""
        order = order_of(order_id)
        with cloud.store.transaction():
            revoke_all(cloud, order.id)
            if wanted.granted:
                grant_admin_agents(cloud, order.id)
        return wanted

    @routes.post("/reservation-quotes/outdate", status_code=204)
    async def outdate_quotes() -> None:
        """No session quoted so far is good any more."""
        for refund in cloud.store.listed(RefundSession):
            cloud.write_now(refund.model_copy(update={"is_outdated": True}))
        for exchange in cloud.store.listed(ExchangeSession):
            cloud.write_now(exchange.model_copy(update={"is_outdated": True}))

    @routes.post("/reservation-refunds", status_code=201)
    async def add_refund_before(wanted: RefundBefore) -> Effect:
        """A return of long ago, that counts to the limit of 12 months."""
        effect = Effect(
            id=str(uuid.uuid4()),
            what="earlier_return",
            customer_id=wanted.customer_id,
            at=cloud.now() - timedelta(days=wanted.days_ago),
            cancelled_commitment=wanted.cancelled_commitment,
        )
        cloud.write_now(effect)
        return effect

    @routes.get("/reservation-effects")
    async def effects(customer_id: str | None = None, order_id: str | None = None) -> Effects:
        """What really happened to the reservations of a customer, on an order, or at all."""
        found = [
            each
            for each in cloud.store.listed(Effect, parent=customer_id)
            if order_id is None or each.order_id.lower() == order_id.lower()
        ]
        return Effects(counts=dict(Counter(each.what for each in found)), effects=found)

    return routes
