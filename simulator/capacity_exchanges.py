"""Exchanges: calculateExchange, exchange, and their operations.

Recorded: both are accepted with a 202 without a body, whose two addresses are one. A quote's operation has an id of its
own, an exchange's that of its session. An exchange is PendingRefunds for about 90 seconds (without properties at first;
asks to wait 5), then PendingPurchases (asks to wait 30), and done after 18 minutes; each item has a status of its own.

Decided where the facts are silent: the codes of an exchange's policy errors are made up here, but for those that a
refund knows; a session carried out before is accepted again and does nothing more, unless the side door made a
reservation so; no savings plans.
"""

import json
import uuid
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal

from fastapi import APIRouter, Request, Response

from simulator.azure import AzureError, AzureGate
from simulator.booking import cents
from simulator.capacity import CURRENCY, PREFIX, RATE
from simulator.capacity_models import (
    NEVER_REFUNDED,
    Bought,
    ExchangeOutcome,
    ExchangeSession,
    Given,
    Reservation,
    Terms,
)
from simulator.capacity_money import Sums, sums, unit_price
from simulator.capacity_orders import LONGEST_LAG, VERSION, Orders, tenant_of
from simulator.capacity_requests import CalculateExchangeRequest, ExchangeRequest, PurchaseRequest, asked
from simulator.capacity_wire import billing_information, price, purchase_body, reservation_id_of
from simulator.tokens import Claims
from simulator.wire import json_text, reply

QUOTE_SECONDS, BARE_SECONDS, REFUND_SECONDS, EXCHANGE_SECONDS = 20, 20, 90, 1070
FAMILIES = ({"virtualmachines", "dedicatedhost", "avs"}, {"sqldatabases", "sqlazurehybridbenefit"})
MESSAGES = {
    "OperationCannotBePerformedInCurrentState": "A reservation is not in a state in which it can be exchanged.",
    "InvalidRefundQuantity": "A quantity to exchange is not valid.",
    "ExchangeNotSupported": "A reservation is of a type that can't be exchanged.",
    "ExchangeProductFamilyMismatch": "An exchange must stay in one product family.",
    "ExchangeCommitmentTooLow": "The new commitment is less than what is left of the old one.",
}


def family(kind: str) -> str:
    """The product family of a type; a type of no family is its own."""
    return next((min(each) for each in FAMILIES if kind.lower() in each), kind.lower())


class Exchanges:
    """Quotes of exchanges, and exchanges under way."""

    def __init__(self, orders: Orders) -> None:
        self.orders, self.cloud = orders, orders.cloud

    def errors(self, given: Iterable[tuple[Reservation, int]], bought: list[Terms], left: Decimal) -> list[str]:
        """The codes of everything that forbids the exchange; `left` is what the new commitment lacks."""
        found = set[str]()
        families = {family(each.resource_type) for each in bought}
        for one, quantity in given:
            if one.state_at(self.cloud.now()) != "Succeeded":
                found.add("OperationCannotBePerformedInCurrentState")
            if not 1 <= quantity <= one.quantity:
                found.add("InvalidRefundQuantity")
            if one.resource_type.lower() in NEVER_REFUNDED:
                found.add("ExchangeNotSupported")
            families.add(family(one.resource_type))
        if len(families) > 1:
            found.add("ExchangeProductFamilyMismatch")
        if left > 0:
            found.add("ExchangeCommitmentTooLow")
        return sorted(found)

    def quote(self, caller: Claims, wanted: CalculateExchangeRequest) -> ExchangeSession:
        """Quotes an exchange. Raises a 403, 404 or 400."""
        given, items = list[tuple[Reservation, int]](), list[dict[str, object]]()
        refunds, purchases = Decimal(0), Decimal(0)
        outcome: ExchangeOutcome = "succeeds"
        for each in wanted.properties.reservations_to_exchange:
            order_id, reservation_id = each.ids()
            one = self.orders.reservation(self.orders.order(caller, order_id, "give_back"), reservation_id)
            told = sums(one, max(0, min(each.quantity, one.quantity)), self.cloud.now(), billing=True)
            given.append((one, each.quantity))
            items.append(given_up(one, each.quantity, told))
            refunds += told.refund + told.remaining
            outcome = one.exchange_outcome if one.exchange_outcome != "succeeds" else outcome
        bought, goods = list[Bought](), list[dict[str, object]]()
        for request in wanted.properties.reservations_to_purchase:
            one_bought, total = bought_one(request)
            purchases += total
            bought.append(one_bought)
            goods.append(
                {
                    "properties": purchase_body(one_bought.terms),
                    "billingCurrencyTotal": price(CURRENCY, total),
                    "paymentSchedule": None,
                    "pricingCurrencyTotal": None,
                }
            )
        codes = self.errors(given, [each.terms for each in bought], refunds - purchases)
        session = str(uuid.uuid4())
        body: dict[str, object] = {
            "sessionId": session,
            "netPayable": price(CURRENCY, purchases - refunds),
            "refundsTotal": price(CURRENCY, refunds),
            "purchasesTotal": price(CURRENCY, purchases),
            "policyResult": {
                "policyErrors": [{"code": code, "message": MESSAGES[code]} for code in codes] if codes else None
            },
            "reservationsToPurchase": goods,
            "savingsPlansToPurchase": [],
            "reservationsToExchange": items,
        }
        quoted = ExchangeSession(
            id=session,
            quote_id=str(uuid.uuid4()),
            customer_id=caller.tid,
            quoted=self.cloud.now(),
            given=[Given(order_id=one.order_id, reservation_id=one.id, quantity=count) for one, count in given],
            bought=bought,
            body=json_text(body),
            is_forbidden=bool(codes),
            outcome=outcome,
        )
        self.cloud.write_now(quoted)
        return quoted

    def accept(self, caller: Claims, session_id: str) -> ExchangeSession:
        """Begins an exchange; one that was begun is only found again. Raises a 400."""
        session = self.cloud.store.get(ExchangeSession, session_id)
        if session is None or session.customer_id.lower() != caller.tid:
            raise AzureError(400, "InvalidRequestContent", "There is no such session.")
        seen = [
            self.orders.reservation(self.orders.order(caller, each.order_id, "give_back"), each.reservation_id)
            for each in session.given
        ]
        if session.started is not None and not any(one.reuses_sessions for one in seen):
            return session
        if session.is_forbidden or session.is_outdated:
            raise AzureError(400, "OperationCannotBePerformedInCurrentState", "The session can't be carried out.")
        pairs = [(one, each.quantity) for one, each in zip(seen, session.given, strict=True)]
        codes = self.errors(pairs, [each.terms for each in session.bought], Decimal(0))
        if codes:
            raise AzureError(400, codes[0], MESSAGES[codes[0]])
        found_at = self.orders.after(LONGEST_LAG if any(one.exchanges_late for one in seen) else 0)
        begun = session.model_copy(update={"started": self.cloud.now(), "found_at": found_at})
        self.cloud.write_now(begun)
        self.orders.account("exchange", session.customer_id, session_id=session.id)
        self.carry_out(begun, pairs)
        return begun

    def carry_out(self, session: ExchangeSession, given: list[tuple[Reservation, int]]) -> None:
        """What the exchange does, as far as it succeeds: each is seen when its part is due, and a lag after it."""
        if session.outcome == "refund_fails":
            return
        for one, quantity in given:
            at = self.orders.some_time(REFUND_SECONDS)
            self.orders.take(one, quantity, at)
            self.orders.settle(one.order_id, at)
        if session.outcome == "purchase_fails":
            return
        for each in session.bought:
            at = self.orders.some_time(EXCHANGE_SECONDS)
            self.orders.buy(session.customer_id, each.order_id, each.reservation_id, each.terms, "", at)

    def told(self, operation_id: str, caller: Claims) -> tuple[dict[str, object], int]:
        """An operation as it stands, and the seconds it asks to wait; 0 once it is over. Raises a 404."""
        session = self.cloud.store.get(ExchangeSession, operation_id)
        if session is not None and session.customer_id.lower() == caller.tid and self.is_found(session):
            return self.exchange_told(session)
        quotes = self.cloud.store.listed(ExchangeSession, parent=operation_id)
        if not quotes or quotes[0].customer_id.lower() != caller.tid:
            raise AzureError(404, "NotFound", f"The operation {operation_id} was not found.")
        quoted = quotes[0]
        if self.cloud.now() < quoted.quoted + self.scaled(QUOTE_SECONDS):
            return operation(quoted.quote_id, "Pending"), 5
        body = json.loads(quoted.body, parse_float=Decimal)
        return operation(quoted.quote_id, "Succeeded", properties=body), 0

    def is_found(self, session: ExchangeSession) -> bool:
        """Whether an exchange was accepted and can be seen."""
        return session.found_at is not None and session.found_at <= self.cloud.now()

    def exchange_told(self, session: ExchangeSession) -> tuple[dict[str, object], int]:
        """An exchange as it stands."""
        assert session.started is not None
        passed = self.cloud.now() - session.started
        refunded, over = passed >= self.scaled(REFUND_SECONDS), passed >= self.scaled(EXCHANGE_SECONDS)
        refund = bought = "Pending"
        status, wait, error = "PendingRefunds", 5, None
        if refunded:
            refund, status, wait = "Succeeded", "PendingPurchases", 30
        if refunded and session.outcome == "refund_fails":
            refund, bought, status, wait = "Failed", "Cancelled", "Cancelled", 0
            error = ("OperationFailed", "The refunds failed; nothing was purchased.")
        elif over and session.outcome == "purchase_fails":
            bought, status, wait = "Failed", "Failed", 0
            error = ("PurchaseError", "The purchase failed after the refunds were made.")
        elif over:
            bought, status, wait = "Succeeded", "Succeeded", 0
        if passed < self.scaled(BARE_SECONDS):
            return operation(session.id, status), wait
        body = json.loads(session.body, parse_float=Decimal)
        for item in body["reservationsToExchange"]:
            item["status"] = refund
        for item, each in zip(body["reservationsToPurchase"], session.bought, strict=True):
            item["status"] = bought
            full = reservation_id_of(each.order_id, each.reservation_id)
            item["reservationOrderId"] = full.partition("/reservations/")[0]
            if refunded and bought != "Cancelled":
                item["reservationId"] = full
        return operation(session.id, status, properties=body, error=error), wait

    def scaled(self, seconds: float) -> timedelta:
        """So many recorded seconds."""
        return self.orders.after(seconds) - self.cloud.now()


def bought_one(request: PurchaseRequest) -> tuple[Bought, Decimal]:
    """A purchase with the ids it will have, and what it costs in the billing currency. Raises a 400."""
    terms = request.terms()
    unit = unit_price(terms)
    if unit is None:
        raise AzureError(400, "CreateQuoteFailed", "There is no price for this SKU and term.")
    bought = Bought(order_id=str(uuid.uuid4()), reservation_id=str(uuid.uuid4()), terms=terms)
    return bought, cents(unit * terms.quantity * RATE)


def given_up(one: Reservation, quantity: int, told: Sums) -> dict[str, object]:
    """A reservation to exchange, as quotes and operations tell it."""
    return {
        "reservationId": reservation_id_of(one.order_id, one.id),
        "quantity": quantity,
        "billingRefundAmount": price(told.currency, told.refund),
        "billingInformation": billing_information(told),
    }


def operation(
    key: str, status: str, *, properties: object = None, error: tuple[str, str] | None = None
) -> dict[str, object]:
    """An operation's body."""
    body: dict[str, object] = {
        "id": f"/providers/Microsoft.Capacity/operationResults/{key}",
        "name": key,
        "status": status,
    }
    if properties is not None:
        body["properties"] = properties
    if error is not None:
        body["error"] = {"code": error[0], "message": error[1]}
    return body


def router(exchanges: Exchanges, gate: AzureGate) -> APIRouter:
    """The paths of exchanges and of their operations."""
    routes = APIRouter(tags=["Azure reservations"])

    def polling(request: Request, key: str, seconds: int) -> dict[str, str]:
        url = f"{gate.base(request)}/providers/Microsoft.Capacity/operationResults/{key}?api-version={VERSION}"
        return {"Azure-AsyncOperation": url, "Location": url, "Retry-After": gate.retry_after(seconds)}

    @routes.post(PREFIX + "/calculateexchange")
    async def calculate_exchange(request: Request) -> Response:
        caller = tenant_of(gate, request)
        quoted = exchanges.quote(caller, await asked(request, CalculateExchangeRequest))
        return Response(status_code=202, headers=polling(request, quoted.quote_id, 5))

    @routes.post(PREFIX + "/exchange")
    async def exchange(request: Request) -> Response:
        caller = tenant_of(gate, request)
        wanted = await asked(request, ExchangeRequest)
        with exchanges.cloud.store.transaction():
            session = exchanges.accept(caller, wanted.properties.session_id)
        return Response(status_code=202, headers=polling(request, session.id, 5))

    @routes.get(PREFIX + "/operationresults/{key}")
    async def operation_result(request: Request, key: str) -> Response:
        body, wait = exchanges.told(key, tenant_of(gate, request))
        return reply(body, headers=polling(request, key, wait) if wait else None)

    return routes
