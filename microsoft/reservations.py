"""Azure reservations (Microsoft.Capacity 2022-11-01), on behalf of a customer (facts 1).

Reservations belong to a tenant, and the token's tenant says to which: every call takes the customer's.

What moves money is sent once. After Ambiguous, or when a process died after it had noted that it would send:
- a `purchase` may be sent again: its order id makes it the same one;
- an `exchange` is looked for by its session (`exchange_url`), whose id its operation has. NotFound is proof that it was
  never accepted only once `LAG` is over;
- a `give_back` has no such id: keep what was `seen` before it, look again, and let `reservation_models.fate` decide.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Annotated
from urllib.parse import quote

from pydantic import AfterValidator, Field

from microsoft.answers import Answer, Call, failed_operation, read
from microsoft.fields import Id, Items, Raw, Resource, Word, in_path
from microsoft.identity import AZURE, Identity
from microsoft.operations import PAUSE_UNSAID, OperationError, accepted
from microsoft.paging import by_next_link
from microsoft.reservation_models import Order, Reservation, Seen, inside, last_id, order_path, reservation_path
from microsoft.reservation_quotes import CatalogItem, Exchange, ExchangeState, PriceQuote, RefundQuote
from microsoft.reservation_requests import Change, Purchase
from microsoft.transport import TokenSource, Transport

VERSION = {"api-version": "2022-11-01"}
_ROLES_VERSION = {"api-version": "2022-04-01"}

OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
RESERVATIONS_ADMINISTRATOR = "a8889054-8d42-49c9-bc1c-52486c10e7cd"
RESERVATIONS_CONTRIBUTOR = "b4ebc951-a0c2-41f7-a3cd-a57fe27c8e3a"
RESERVATIONS_READER = "582fc458-8989-419f-a480-75249bc5db7e"
"""Roles (facts 4.2). Returning and exchanging wants one of the first two, on the order itself."""


class _Scope(Resource):
    scope: Id
    valid: bool


class _Scopes(Resource):
    properties: "_ScopeList"


class _ScopeList(Resource):
    scopes: Items[_Scope] = ()


class _ExchangeResult(Resource):
    status: Word = ""
    properties: Exchange | None = None
    error: OperationError | None = None


class RoleAssignment(Resource):
    """Who (`principal_id`) has which role (`role`, a role's id) on what (`scope`, which may lie above the order)."""

    name: Annotated[Id, Field(min_length=1)]
    role: Annotated[Id, AfterValidator(last_id), Field(validation_alias=inside("roleDefinitionId"))]
    principal_id: Annotated[Id, Field(validation_alias=inside("principalId"))]
    scope: Annotated[Id, Field(validation_alias=inside("scope"))] = ""


def exchange_url(session_id: str) -> str:
    """Where an exchange is asked for by its session, which is the id of its operation (recorded; facts 1.6)."""
    session = quote(session_id, safe="")
    return f"/providers/Microsoft.Capacity/operationResults/{session}?api-version={VERSION['api-version']}"


class Reservations:
    """Microsoft.Capacity. `http` is the transport of management.azure.com.

    `tenant` is the customer's tenant id. Reads raise NotFound, Forbidden (no right on the order), Throttled, Rejected,
    Unavailable, Malformed, ConsentExpired and ConsentMissing; writes also Conflict and Ambiguous. A write gives how
    long Microsoft asks to wait before the first look at what it changes; zero where that is done already.
    """

    def __init__(self, http: Transport, identity: Identity) -> None:
        self._http = http
        self._identity = identity

    def _token(self, tenant: str, call: Call) -> TokenSource:
        # Without a tenant it would be the partner's own reservations.
        return partial(self._identity.token, AZURE, tenant=in_path(tenant, call))

    async def all(self, tenant: str, where: str = "") -> AsyncIterator[list[Reservation]]:
        """Every reservation that we may see in the tenant, page by page. `where` is an OData filter of `eq`, `and` and
        `or` only, as `properties/archived eq false`: no dates can be compared there."""
        call = self._http.call("list reservations")
        params = {**VERSION, **({"$filter": where} if where else {})}
        path = "/providers/Microsoft.Capacity/reservations"
        async for items in by_next_link(self._http, call, path, self._token(tenant, call), params):
            yield [read(Reservation, item, call) for item in items]

    async def of_order(self, tenant: str, order_id: str) -> list[Reservation]:
        """Every reservation of an order, the cancelled ones too. Raises NotFound."""
        call = self._http.call("list reservations of order")
        path = f"{order_path(in_path(order_id, call))}/reservations"
        pages = by_next_link(self._http, call, path, self._token(tenant, call), VERSION)
        return [read(Reservation, item, call) async for items in pages for item in items]

    async def seen(self, tenant: str, order_id: str) -> Seen:
        """An order with its reservations, to know what a return did. Raises NotFound."""
        return Seen(await self.order(tenant, order_id), await self.of_order(tenant, order_id))

    async def reservation(self, tenant: str, order_id: str, reservation_id: str) -> Reservation:
        """One reservation, with what its renewal would cost. Raises NotFound."""
        call = self._http.call("read reservation")
        path = reservation_path(in_path(order_id, call), in_path(reservation_id, call))
        params = {**VERSION, "$expand": "renewProperties"}
        return (await self._http.get(call, path, params=params, token=self._token(tenant, call))).read(Reservation)

    async def order(self, tenant: str, order_id: str) -> Order:
        """An order with its payments. Raises NotFound."""
        call = self._http.call("read reservation order")
        params = {**VERSION, "$expand": "schedule"}
        path = order_path(in_path(order_id, call))
        return (await self._http.get(call, path, params=params, token=self._token(tenant, call))).read(Order)

    async def available_scopes(
        self, tenant: str, order_id: str, reservation_id: str, scopes: Sequence[str]
    ) -> dict[str, bool]:
        """Whether each of `scopes` (`/subscriptions/…`) could take the benefit; scopes come back in lower case."""
        call = self._http.call("ask for available scopes")
        path = f"{reservation_path(in_path(order_id, call), in_path(reservation_id, call))}/availableScopes"
        answer = await self._ask(tenant, call, path, {"properties": {"scopes": list(scopes)}})
        return {each.scope: each.valid for each in answer.read(_Scopes).properties.scopes}

    async def update(self, tenant: str, order_id: str, reservation_id: str, change: Change) -> timedelta:
        """Changes scope, name, renewal or flexibility. One that takes its time is done once the reservation's `state`
        is `succeeded` again: its polling address is the reservation's own, which has no status of an operation.
        Recorded changes were answered when done, after 7 to 13 seconds. Raises Rejected for a change that is none.
        """
        call = self._http.call("change reservation")
        path = reservation_path(in_path(order_id, call), in_path(reservation_id, call))
        return _pause(await self._write(tenant, call, "PATCH", path, change.body()))

    async def refund_quote(self, tenant: str, order_id: str, reservation_id: str, quantity: int) -> RefundQuote:
        """What giving back `quantity` would pay. It may hold policy errors instead of being refused."""
        call = self._http.call("quote refund")
        path = order_path(in_path(order_id, call))
        body: Raw = {"id": order_path(order_id), "properties": _to_return(order_id, reservation_id, quantity)}
        return (await self._ask(tenant, call, f"{path}/calculateRefund", body)).read(RefundQuote)

    async def give_back(
        self, tenant: str, order_id: str, reservation_id: str, quantity: int, session_id: str, reason: str
    ) -> timedelta:
        """Returns `quantity` of a reservation as quoted. Sent once, never again: two accepted calls are two returns.

        Done is what `reservation_models.returned` finds in the order and its reservations.
        """
        call = self._http.call("return reservation")
        path = f"{order_path(in_path(order_id, call))}/return"
        body: Raw = {
            "properties": {
                "sessionId": session_id,
                **_to_return(order_id, reservation_id, quantity),
                "returnReason": reason,
            }
        }
        return _pause(await self._write(tenant, call, "POST", path, body, once=True))

    async def exchange_quote(
        self, tenant: str, given_up: Sequence[tuple[str, str, int]], bought: Sequence[Purchase]
    ) -> ExchangeState:
        """Asks what an exchange would cost: `given_up` are order id, reservation id and quantity. Mostly the answer is
        pending, and `look_at_quote` gives it later. A quote may hold policy errors instead of being refused."""
        call = self._http.call("quote exchange")
        body: Raw = {
            "properties": {
                "reservationsToExchange": [
                    {"reservationId": reservation_path(order, reservation), "quantity": quantity}
                    for order, reservation, quantity in given_up
                ],
                "reservationsToPurchase": [each.body() for each in bought],
            }
        }
        answer = await self._ask(tenant, call, "/providers/Microsoft.Capacity/calculateExchange", body)
        operation = accepted(answer)
        if operation is not None:
            return ExchangeState(operation.url, operation.status, operation.pause, None)
        return _succeeded(call, _state(answer, ""))

    async def look_at_quote(self, tenant: str, url: str) -> ExchangeState:
        """One look at the quote that is made at `url`. Raises Rejected, or Ambiguous for a failure of Microsoft's own,
        where it failed: it changed nothing, so ask for another."""
        call = self._http.call("look at exchange quote")
        return _succeeded(call, _state(await self._http.get(call, url, token=self._token(tenant, call)), url))

    async def exchange(self, tenant: str, session_id: str) -> ExchangeState:
        """Carries out a quoted exchange; look at it by the address of what is given. Sent once, never again."""
        call = self._http.call("exchange reservations")
        body: Raw = {"properties": {"sessionId": session_id}}
        answer = await self._write(tenant, call, "POST", "/providers/Microsoft.Capacity/exchange", body, once=True)
        url = answer.headers.get("azure-asyncoperation") or answer.headers.get("location") or exchange_url(session_id)
        return ExchangeState(url, "accepted", _pause(answer), None)

    async def look_at_exchange(self, tenant: str, url: str) -> ExchangeState:
        """One look at an exchange, which was recorded to take 18 minutes. A failed one is told, not raised: a part of
        it may be done. Raises NotFound for one that was never accepted, or can't be seen yet."""
        call = self._http.call("look at exchange")
        return _state(await self._http.get(call, url, token=self._token(tenant, call)), url)

    async def catalog(
        self, tenant: str, subscription_id: str, resource_type: str, location: str = ""
    ) -> AsyncIterator[list[CatalogItem]]:
        """What can be reserved for a subscription, page by page."""
        call = self._http.call("list catalogue")
        path = f"/subscriptions/{in_path(subscription_id, call)}/providers/Microsoft.Capacity/catalogs"
        params = {**VERSION, "reservedResourceType": resource_type, **({"location": location} if location else {})}
        async for items in by_next_link(self._http, call, path, self._token(tenant, call), params):
            yield [read(CatalogItem, item, call) for item in items]

    async def price(self, tenant: str, purchase: Purchase) -> PriceQuote:
        """What a purchase would cost, and the id of the order it would be."""
        call = self._http.call("calculate price")
        answer = await self._ask(tenant, call, "/providers/Microsoft.Capacity/calculatePrice", purchase.body())
        return answer.read(PriceQuote)

    async def purchase(self, tenant: str, order_id: str, purchase: Purchase) -> timedelta:
        """Buys what was priced under `order_id`; the same again buys nothing more. Done once the order is settled."""
        call = self._http.call("purchase reservation")
        return _pause(await self._write(tenant, call, "PUT", order_path(in_path(order_id, call)), purchase.body()))

    async def role_assignments(self, tenant: str, order_id: str) -> list[RoleAssignment]:
        """Who may do what with an order, rights from above it included."""
        call = self._http.call("list role assignments")
        path = _assignments(order_id, call)
        pages = by_next_link(self._http, call, path, self._token(tenant, call), _ROLES_VERSION)
        return [read(RoleAssignment, item, call) async for items in pages for item in items]

    async def assign_role(self, tenant: str, order_id: str, assignment_id: str, role: str, principal_id: str) -> None:
        """Gives a role on an order. `assignment_id` is a GUID of our choice: the same again changes nothing. Raises
        Conflict where the principal has the role already by another assignment."""
        call = self._http.call("assign role")
        path = f"{_assignments(order_id, call)}/{in_path(assignment_id, call)}"
        definition = f"/providers/Microsoft.Authorization/roleDefinitions/{role}"
        body: Raw = {"properties": {"roleDefinitionId": definition, "principalId": principal_id}}
        await self._http.write(call, "PUT", path, body, params=_ROLES_VERSION, token=self._token(tenant, call))

    async def unassign_role(self, tenant: str, order_id: str, assignment_id: str) -> None:
        """Takes a role away again. Harmless when that was done before."""
        call = self._http.call("unassign role")
        path = f"{_assignments(order_id, call)}/{in_path(assignment_id, call)}"
        await self._http.write(call, "DELETE", path, params=_ROLES_VERSION, token=self._token(tenant, call))

    async def _ask(self, tenant: str, call: Call, path: str, body: Raw) -> Answer:
        return await self._http.ask(call, path, body, params=VERSION, token=self._token(tenant, call))

    async def _write(self, tenant: str, call: Call, method: str, path: str, body: Raw, *, once: bool = False) -> Answer:
        token = self._token(tenant, call)
        return await self._http.write(call, method, path, body, params=VERSION, token=token, once=once)


def _assignments(order_id: str, call: Call) -> str:
    return f"{order_path(in_path(order_id, call))}/providers/Microsoft.Authorization/roleAssignments"


def _pause(answer: Answer) -> timedelta:
    # Nothing else of the answer counts: it is done or under way, whatever is wrong with how that is told.
    if answer.status != 202:
        return timedelta()
    return PAUSE_UNSAID if answer.retry_after is None else answer.retry_after


def _to_return(order_id: str, reservation_id: str, quantity: int) -> Raw:
    reservation = {"reservationId": reservation_path(order_id, reservation_id), "quantity": quantity}
    return {"scope": "Reservation", "reservationToReturn": reservation}


def _state(answer: Answer, url: str) -> ExchangeState:
    result = answer.read(_ExchangeResult)
    if not result.status:
        raise answer.call.malformed("an operation without a status", answer.status)
    pause = PAUSE_UNSAID if answer.retry_after is None else answer.retry_after
    error = result.error or OperationError()
    return ExchangeState(url, result.status, pause, result.properties, error.code, error.message)


def _succeeded(call: Call, state: ExchangeState) -> ExchangeState:
    if state.is_over and state.status != "succeeded":
        raise failed_operation(call, state.code, state.message)
    return state
