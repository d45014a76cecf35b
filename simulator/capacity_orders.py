"""What the paths of Microsoft.Capacity share: orders and reservations as a caller may see them, the time that effects
take, and the account of what really happened.

Recorded: an order is still pending two minutes after a return was accepted. Decided: it is settled within the third;
what happens to reservations is seen 0 to 60 seconds after it was accepted, drawn from a seeded dice. An order is not
found in another tenant, and a 403 without a right on it; a list leaves out what the caller has no right on.
"""

import random
import uuid
from datetime import datetime, timedelta
from decimal import Decimal

from fastapi import Request

from simulator.azure import AzureError, AzureGate
from simulator.capacity_models import Effect, Reservation, ReservationOrder, Terms, What
from simulator.capacity_money import unit_price
from simulator.models import Subscription
from simulator.role_assignments import Right, grant_admin_agents, may
from simulator.state import Cloud
from simulator.tokens import Claims

VERSION = "2022-11-01"
LONGEST_LAG = 60.0
"""Seconds after which an effect is seen at the latest."""
SETTLING = 120.0
"""Seconds for which an order is pending at least, and that its caller is asked to wait."""


class Orders:
    """Orders and reservations of the simulated Azure."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self._dice = random.Random(20221101)  # noqa: S311 - repeatable is the point

    def after(self, seconds: float) -> datetime:
        """The instant so many recorded seconds from now."""
        return self.cloud.now() + timedelta(seconds=seconds * self.cloud.config.time_scale)

    def some_time(self, at_least: float = 0.0) -> datetime:
        """The instant at which an effect of now is seen, not before so many recorded seconds."""
        return self.after(at_least + self._dice.uniform(0, LONGEST_LAG))

    def write(self, document: Reservation | ReservationOrder, at: datetime) -> None:
        """Writes what is seen from `at` on, with the next etag."""
        document.etag += 1
        self.cloud.store.write(document, visible_at=at, now=self.cloud.now())

    def order(self, caller: Claims, order_id: str, right: Right) -> ReservationOrder:
        """The order, if it is of the caller's tenant and the caller may. Raises a 404 or 403."""
        order = self.cloud.store.get(ReservationOrder, order_id, now=self.cloud.now())
        if order is None or order.customer_id.lower() != caller.tid:
            raise AzureError(404, "ReservationOrderNotFound", f"The reservation order {order_id} was not found.")
        if not may(self.cloud, caller, order.id, right):
            raise AzureError(
                403, "AuthorizationFailed", f"The client does not have authorization over the order {order.id}."
            )
        return order

    def members(self, order_id: str) -> list[Reservation]:
        """The reservations of an order that can be seen."""
        return self.cloud.store.listed(Reservation, parent=order_id, now=self.cloud.now())

    def member(self, order_id: str, reservation_id: str) -> Reservation | None:
        """A reservation of the order as it is seen."""
        found = self.cloud.store.get(Reservation, reservation_id, now=self.cloud.now())
        return found if found is not None and found.order_id.lower() == order_id.lower() else None

    def reservation(self, order: ReservationOrder, reservation_id: str) -> Reservation:
        """The same. Raises a 404."""
        found = self.member(order.id, reservation_id)
        if found is None:
            raise AzureError(
                404, "ReservationIdNotInReservationOrder", f"The order {order.id} has no such reservation."
            )
        return found

    def subscriptions(self, customer_id: str) -> frozenset[str]:
        """The Azure subscriptions of the customer's Azure plans, and those that pay for its reservations."""
        store = self.cloud.store
        plans = store.listed(Subscription, parent=customer_id)
        reservations = [each for each in store.listed(Reservation) if each.customer_id.lower() == customer_id.lower()]
        return frozenset(
            [one.id.lower() for plan in plans for one in plan.azure_subscriptions]
            + [each.billing_subscription.lower() for each in reservations]
        )

    def account(self, what: What, customer_id: str, **more: str | int | Decimal) -> None:
        """Writes down that something happened."""
        self.cloud.write_now(
            Effect.model_validate(
                {"id": str(uuid.uuid4()), "what": what, "customer_id": customer_id, "at": self.cloud.now(), **more}
            )
        )

    def take(self, seen: Reservation, quantity: int, at: datetime) -> None:
        """Cancels a reservation as of `at`; what is kept of it becomes a new one in the same order.

        Until then the old one is seen as it was, and may be taken from again: the rest then comes from the successor.
        """
        one = self.cloud.store.get(Reservation, seen.id) or seen
        while one.state == "Cancelled" and one.successor:
            one = self.cloud.store.get(Reservation, one.successor) or one
        kept = 0 if one.state == "Cancelled" else max(0, one.quantity - quantity)
        gone = one.model_copy(update={"state": "Cancelled", "updated": self.cloud.now()})
        if kept:
            rest = one.model_copy(update={"id": str(uuid.uuid4()), "quantity": kept, "split_source": one.id, "etag": 1})
            gone.successor = rest.id
            self.write(rest, at)
        self.write(gone, at)

    def settle(self, order_id: str, settled_at: datetime) -> None:
        """Lets an order be pending, and settled later: cancelled where none of its reservations is left."""
        order = self.cloud.store.get(ReservationOrder, order_id)
        if order is None:
            return
        left = [each for each in self.cloud.store.listed(Reservation, parent=order_id) if each.state != "Cancelled"]
        pending = order.model_copy(update={"state": "Pending"})
        self.write(pending, self.cloud.now())
        self.write(pending.model_copy(update={"state": "Succeeded" if left else "Cancelled"}), settled_at)

    def buy(
        self, customer_id: str, order_id: str, reservation_id: str, terms: Terms, request: str, at: datetime
    ) -> ReservationOrder:
        """A new order with its reservation, at work until `at`. Gives the order as it is seen at first."""
        now = self.cloud.now()
        order = ReservationOrder(
            id=order_id,
            customer_id=customer_id,
            display_name=terms.display_name,
            requested=now,
            original_quantity=terms.quantity,
            term=terms.term,
            billing_plan=terms.billing_plan,
            state="PendingCapacity",
            etag=3,
            purchase=request,
        )
        one = Reservation(
            id=reservation_id,
            order_id=order_id,
            customer_id=customer_id,
            purchased=now,
            updated=now,
            state="Creating",
            etag=0,
            unit_price=unit_price(terms) or Decimal(0),
            **terms.model_dump(),
        )
        for document in (order, one):
            self.write(document, now)
            self.write(document.model_copy(update={"state": "Succeeded"}), at)
        grant_admin_agents(self.cloud, order_id)
        return order


def subscription_in(resource_id: str) -> str:
    """The subscription that a resource's id begins with."""
    return resource_id.lower().removeprefix("/subscriptions/").partition("/")[0]


def tenant_of(gate: AzureGate, request: Request) -> Claims:
    """Who calls Microsoft.Capacity; the token's tenant is whose reservations are meant."""
    return gate.check(request, VERSION)
