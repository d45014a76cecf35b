"""Refunds: calculateRefund and return.

Recorded: policy errors come with HTTP 200; a return is accepted with the quote's own answer and the address of its
order, which at once answers 200 and `Pending`. A return has no id that would make it repeatable: two accepted calls
with two sessions are two returns, also while the first can't be seen yet.

Decided where the facts are silent: a session is good for one return (for more, where the side door made the reservation
so) and as long as the state lives, or until the side door makes it outdated; a return that policy or state forbids is a
400 with the policy's code.
"""

import uuid

from fastapi import APIRouter, Request, Response

from simulator.azure import AzureError, AzureGate
from simulator.capacity import ORDER
from simulator.capacity_models import NEVER_REFUNDED, RefundSession, Reservation, ReservationOrder
from simulator.capacity_money import REFUND_LIMIT, Sums, consumed_limit, sums
from simulator.capacity_orders import SETTLING, VERSION, Orders, tenant_of
from simulator.capacity_requests import AskedReturn, RefundRequest, asked
from simulator.capacity_wire import billing_information, order_id_of, price, reservation_id_of
from simulator.wire import json_text

MESSAGES = {
    "ReservationIdNotInReservationOrder": "The reservation is not in the reservation order.",
    "SelfServiceRefundNotSupported": "The reservation can't be refunded by self service; contact support.",
    "OperationCannotBePerformedInCurrentState": "The reservation is not in a state in which it can be returned.",
    "InvalidRefundQuantity": "The quantity to return is not valid.",
    "RefundLimitExceeded": "The refund would exceed the limit of 12 months.",
}


class Refunds:
    """Quotes and returns."""

    def __init__(self, orders: Orders) -> None:
        self.orders, self.cloud = orders, orders.cloud

    def errors(self, order: ReservationOrder, one: Reservation | None, quantity: int) -> list[str]:
        """The codes of everything that forbids the return now."""
        if one is None:
            return ["ReservationIdNotInReservationOrder"]
        found = []
        if not one.is_refundable or one.resource_type.lower() in NEVER_REFUNDED:
            found.append("SelfServiceRefundNotSupported")
        if one.state_at(self.cloud.now()) != "Succeeded":
            found.append("OperationCannotBePerformedInCurrentState")
        if not 1 <= quantity <= one.quantity:
            found.append("InvalidRefundQuantity")
        told = self.told(one, quantity, billing=False)
        if consumed_limit(self.cloud, order.customer_id) + told.refund + told.remaining > REFUND_LIMIT:
            found.append("RefundLimitExceeded")
        return found

    def told(self, one: Reservation, quantity: int, *, billing: bool) -> Sums:
        """What the return would give, for a quantity that makes sense."""
        return sums(one, max(0, min(quantity, one.quantity)), self.cloud.now(), billing=billing)

    def quote(self, order: ReservationOrder, wanted: AskedReturn) -> str:
        """The answer to calculateRefund; remembers its session."""
        order_id, reservation_id = wanted.ids()
        is_here = order_id.lower() == order.id.lower()
        one = self.orders.member(order.id, reservation_id) if is_here else None
        codes = self.errors(order, one, wanted.quantity)
        session = str(uuid.uuid4())
        properties: dict[str, object] = {"sessionId": session, "quantity": wanted.quantity}
        if one is not None:
            billed, priced = (self.told(one, wanted.quantity, billing=billing) for billing in (True, False))
            properties["billingRefundAmount"] = price(billed.currency, billed.refund)
            properties["pricingRefundAmount"] = price(priced.currency, priced.refund)
            properties["billingInformation"] = {
                "billingPlan": one.billing_plan,
                "completedTransactions": billed.payments_made,
                "totalTransactions": billed.payments,
                **billing_information(billed),
            }
        properties["policyResult"] = {
            "properties": {
                "consumedRefundsTotal": price("USD", consumed_limit(self.cloud, order.customer_id)),
                "maxRefundLimit": price("USD", REFUND_LIMIT),
                "policyErrors": [{"code": code, "message": MESSAGES[code]} for code in codes],
            }
        }
        body = json_text({"id": reservation_id_of(order_id, reservation_id), "properties": properties})
        self.cloud.write_now(
            RefundSession(
                id=session,
                customer_id=order.customer_id,
                order_id=order.id,
                reservation_id=reservation_id,
                quantity=wanted.quantity,
                body=body,
            )
        )
        return body

    def accept(self, order: ReservationOrder, session_id: str, wanted: AskedReturn) -> str:
        """Takes a return. Gives the quote's answer once more. Raises a 400."""
        session = self.cloud.store.get(RefundSession, session_id)
        order_id, reservation_id = (each.lower() for each in wanted.ids())
        if session is None or (session.order_id.lower(), session.reservation_id.lower(), session.quantity) != (
            order_id,
            reservation_id,
            wanted.quantity,
        ):
            raise AzureError(400, "InvalidRequestContent", "The session is not of this return.")
        one = self.orders.member(order.id, reservation_id)
        if (session.is_used and not (one and one.reuses_sessions)) or session.is_outdated:
            raise AzureError(400, "OperationCannotBePerformedInCurrentState", "The session can't be used any more.")
        codes = self.errors(order, one, wanted.quantity)
        if one is None or codes:
            raise AzureError(400, codes[0], MESSAGES[codes[0]])
        self.cloud.write_now(session.model_copy(update={"is_used": True}))
        self.give_back(order, one, wanted.quantity, session.id)
        return session.body

    def give_back(self, order: ReservationOrder, one: Reservation, quantity: int, session_id: str) -> None:
        """A return by API (with a session) or at the portal: money moves now, and it is seen a while later."""
        told = self.told(one, quantity, billing=False)
        self.orders.account(
            "return" if session_id else "portal_return",
            order.customer_id,
            order_id=order.id,
            reservation_id=one.id,
            session_id=session_id,
            quantity=quantity,
            cancelled_commitment=told.refund + told.remaining,
        )
        self.orders.take(one, quantity, self.orders.some_time())
        self.orders.settle(order.id, self.orders.some_time(SETTLING))


def router(refunds: Refunds, gate: AzureGate) -> APIRouter:
    """The paths of refunds."""
    routes = APIRouter(tags=["Azure reservations"])
    orders = refunds.orders

    @routes.post(ORDER + "/calculaterefund")
    async def calculate_refund(request: Request, order_id: str) -> Response:
        order = orders.order(tenant_of(gate, request), order_id, "give_back")
        wanted = await asked(request, RefundRequest)
        return json_response(refunds.quote(order, wanted.properties.reservation_to_return))

    @routes.post(ORDER + "/return")
    async def give_back(request: Request, order_id: str) -> Response:
        order = orders.order(tenant_of(gate, request), order_id, "give_back")
        wanted = (await asked(request, RefundRequest)).properties
        with refunds.cloud.store.transaction():
            body = refunds.accept(order, wanted.session_id, wanted.reservation_to_return)
        answer = json_response(body, 202)
        answer.headers["Location"] = f"{gate.base(request)}{order_id_of(order.id)}?api-version={VERSION}"
        answer.headers["Retry-After"] = gate.retry_after(SETTLING)
        return answer

    return routes


def json_response(body: str, status: int = 200) -> Response:
    """An answer whose JSON is ready."""
    return Response(body, status, media_type="application/json; charset=utf-8")
