"""What Microsoft.Capacity says in its many ways, read as one; what we send it; and when a return is done.

Where an official document and recorded traffic differ, both are read; the test names them.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import httpx
import pytest
from pydantic import SecretStr, ValidationError

from microsoft.answers import parse_json
from microsoft.errors import Ambiguous, Malformed, MicrosoftError, NotFound, Rejected, Unavailable
from microsoft.identity import Identity
from microsoft.reservation_models import LAG, Order, Reservation, Returned, Seen, fate, order_and_reservation, returned
from microsoft.reservation_quotes import CatalogItem, Exchange, RefundQuote
from microsoft.reservation_requests import Change, Purchase, Scope
from microsoft.reservations import Reservations, exchange_url
from tests.microsoft.stand_ins import Reply, Script

TENANT = "44444444-aaaa-4bbb-8ccc-dddddddddddd"
ORDER, ONE, TWO, THREE = (f"{number}0000000-aaaa-4bbb-8ccc-dddddddddddd" for number in (1, 2, 3, 4))
BUY = Purchase(
    sku="Standard_D2s_v3",
    location="westeurope",
    resource_type="VirtualMachines",
    billing_scope="/subscriptions/1",
    term="P1Y",
    billing_plan="Monthly",
    quantity=2,
    name="web",
)


def full_id(reservation: str, provider: str = "Microsoft.Capacity/reservationOrders") -> str:
    return f"/providers/{provider}/{ORDER}/reservations/{reservation}"


def client(*replies: Reply) -> tuple[Reservations, Script]:
    """Our client on a script: a token, then these answers."""
    script = Script([httpx.Response(200, json={"access_token": "access", "expires_in": 3600}), *replies])
    http = script.transport()
    return Reservations(http, Identity(http, tenant="t", client_id="c", client_secret=SecretStr("s"))), script


@pytest.mark.parametrize(
    ("told", "ids"),
    [
        (full_id(ONE), (ORDER, ONE)),
        (full_id(ONE.upper(), "microsoft.capacity/reservationorders"), (ORDER, ONE)),
        (full_id(ONE, "Microsoft.Capacity/ReservationOrders") + "/revisions/3", (ORDER, ONE)),
        (f"/providers/Microsoft.Capacity/reservationOrders/{ORDER}", (ORDER, "")),
        (f"{ORDER}/{ONE}", ("", "")),
        ("", ("", "")),
    ],
)
def test_ids_come_in_any_case_and_only_the_id_names_a_thing(told: str, ids: tuple[str, str]) -> None:
    assert order_and_reservation(told) == ids


@pytest.mark.parametrize("name", [ONE, f"{ORDER}/{ONE}", "", None])
def test_a_reservation_is_known_by_its_id_whatever_its_name(name: str | None) -> None:
    """Recorded: the name is the reservation where one is read, order and reservation in lists."""
    found = Reservation.model_validate({"id": full_id(ONE.upper()), "name": name})
    assert (found.order_id, found.reservation_id) == (ORDER, ONE)
    with pytest.raises(ValidationError):
        Reservation.model_validate({"id": f"/providers/Microsoft.Capacity/reservationOrders/{ORDER}", "name": name})


def test_unknown_words_nulls_and_fields_nobody_declared() -> None:
    """Recorded: `Pending` and `PendingCapacity` are in no enumeration, billing accounts in no model."""
    found = Order.model_validate(
        {
            "id": f"/providers/microsoft.capacity/reservationOrders/{ORDER}",
            "etag": 18,
            "systemData": {"createdBy": "x"},
            "properties": {
                "provisioningState": "PendingCapacity",
                "billingPlan": "Fortnightly",
                "term": "P7Y",
                "expiryDate": "2024-03-04",
                "expiryDateTime": "2024-03-04T03:37:33.9364708Z",
                "billingAccountId": "/providers/Microsoft.Billing/billingAccounts/1",
                "reservations": [{"id": full_id(ONE)}, {"id": full_id(TWO.upper()), "name": "x", "properties": {}}],
                "planInformation": None,
            },
        }
    )
    assert (found.state, found.billing_plan, found.term) == ("pendingcapacity", "fortnightly", "p7y")
    assert (found.expires_on, found.expires) == (
        date(2024, 3, 4),
        datetime(2024, 3, 4, 3, 37, 33, 936470, tzinfo=UTC),
    )
    assert (found.reservation_ids, found.payments, found.total) == ((ONE, TWO), (), None)


def test_scopes_in_the_older_and_in_the_newer_way() -> None:
    """The document keeps both; recorded answers have only the newer one, and neither for a shared scope."""
    older = {"appliedScopes": ["/subscriptions/A"], "appliedScopeType": "Single"}
    newer = {"appliedScopes": None, "appliedScopeProperties": {"subscriptionId": "/subscriptions/A"}}
    found = [Reservation.model_validate({"id": full_id(ONE), "properties": each}) for each in (older, newer, {})]
    assert [each.scopes for each in found] == [("/subscriptions/a",), (), ()]
    assert [each.scope.subscription if each.scope else None for each in found] == [None, "/subscriptions/a", None]


@pytest.mark.parametrize(
    ("policy", "codes"),
    [
        ({"properties": {"policyErrors": []}}, []),
        ({"properties": {"policyErrors": None}}, []),
        ({"properties": {}}, []),
        (None, []),
        ({"properties": {"policyErrors": [{"code": "RefundLimitExceeded", "message": "m"}]}}, ["refundlimitexceeded"]),
        ({"properties": {"policyErrors": [{"code": "SomethingNew"}, {}]}}, ["somethingnew", ""]),
    ],
)
def test_a_refunds_policy_errors(policy: object, codes: list[str]) -> None:
    properties = {
        "sessionId": "S",
        "quantity": 1,
        "billingRefundAmount": {"currencyCode": "GBP", "amount": Decimal("1.83")},
        "policyResult": policy,
    }
    found = RefundQuote.model_validate({"id": full_id(ONE), "properties": properties})
    assert [each.code for each in found.policy_errors] == codes


@pytest.mark.parametrize(
    ("policy", "codes"),
    [
        ({"policyErrors": None}, []),
        ({"policyErrors": []}, []),
        (None, []),
        ({"policyErrors": [{"code": "New", "message": None}]}, ["new"]),
    ],
)
def test_an_exchanges_policy_errors_stand_one_level_higher(policy: object, codes: list[str]) -> None:
    """Recorded: null where there are none."""
    found = Exchange.model_validate({"sessionId": "S", "policyResult": policy})
    assert [each.code for each in found.policy_errors] == codes


def test_money_keeps_its_digits_in_two_currencies() -> None:
    text = (
        '{"properties": {"sessionId": "S", "quantity": 1,'
        ' "billingRefundAmount": {"currencyCode": "GBP", "amount": 1234567890123.10},'
        ' "pricingRefundAmount": {"currencyCode": "USD", "amount": 0.1},'
        ' "policyResult": {"properties": {"maxRefundLimit": {"currencyCode": "USD", "amount": 50000.0},'
        ' "consumedRefundsTotal": {"currencyCode": "USD", "amount": 431.93}}}}}'
    )
    found = RefundQuote.model_validate(parse_json(text.encode()))
    assert found.refund is not None
    assert (found.refund.currency, str(found.refund.amount)) == ("GBP", "1234567890123.10")
    assert found.priced_refund is not None
    assert (found.priced_refund.currency, str(found.priced_refund.amount)) == ("USD", "0.1")
    assert found.limit is not None
    assert found.consumed_total is not None
    assert (found.limit.amount, found.consumed_total.amount) == (Decimal(50000), Decimal("431.93"))


def test_what_an_exchange_bought_is_named_in_full_or_by_ids_alone() -> None:
    """Recorded: full ids, and no reservation before it is there; the document's types allow ids alone."""
    full = {"reservationOrderId": f"/providers/Microsoft.Capacity/reservationOrders/{ORDER}", "status": "Pending"}
    alone = {"reservationOrderId": ORDER.upper(), "reservationId": ONE, "status": "Succeeded"}
    both = {**full, "reservationId": full_id(ONE)}
    found = Exchange.model_validate({"sessionId": "S", "reservationsToPurchase": [full, alone, both]})
    assert [(each.order_id, each.reservation_id) for each in found.bought] == [(ORDER, ""), (ORDER, ONE), (ORDER, ONE)]


def test_the_catalogues_prices_by_term() -> None:
    """Recorded: keys begin with a small letter, and a term may have no price."""
    price = {"currencyCode": "USD", "amount": Decimal("63.0")}
    found = CatalogItem.model_validate({"name": "B1s", "terms": ["P1Y", "P5Y"], "msrp": {"p1Y": price, "p5Y": None}})
    assert ({key: each.amount for key, each in found.prices.items()}, found.terms) == (
        {"p1y": Decimal(63)},
        ("p1y", "p5y"),
    )
    assert CatalogItem.model_validate({"name": "B1s"}).prices == {}


def one_of(key: str, state: str, quantity: int) -> Reservation:
    properties = {"provisioningState": state, "quantity": quantity}
    return Reservation.model_validate({"id": full_id(key), "properties": properties})


@pytest.mark.parametrize(
    ("quantity", "order", "now", "found"),
    [
        (5, "Succeeded", [(ONE, "Succeeded", 5)], None),
        (5, "Pending", [(ONE, "Succeeded", 5)], None),
        (5, "Pending", [(ONE, "Cancelled", 5)], None),
        (5, "Cancelled", [(ONE, "Succeeded", 5)], None),
        (5, "SomethingNew", [(ONE, "Cancelled", 5)], None),
        (5, "Cancelled", [(ONE, "Cancelled", 5)], Returned("")),
        (5, "Canceled", [(ONE, "Canceled", 0)], Returned("")),
        (2, "Succeeded", [(ONE, "Cancelled", 5)], None),
        (2, "Pending", [(ONE, "Cancelled", 5), (TWO, "Succeeded", 3)], None),
        (2, "Succeeded", [(ONE, "Cancelled", 5), (TWO, "Succeeded", 3)], Returned(TWO)),
        (2, "Succeeded", [(ONE, "Succeeded", 3)], Returned(ONE)),
        (2, "Succeeded", [(ONE, "Succeeded", 4)], None),
        (2, "Succeeded", [(ONE, "Cancelled", 5), (TWO, "Succeeded", 4)], None),
        (2, "Succeeded", [(ONE, "Cancelled", 5), (TWO, "Failed", 3)], None),
        (2, "Succeeded", [(ONE, "Cancelled", 5), (TWO, "Succeeded", 3), (THREE, "Succeeded", 3)], None),
        (2, "Succeeded", [(ONE, "Cancelled", 5), (TWO, "Failed", 3), (THREE, "Succeeded", 3)], Returned(THREE)),
        (2, "Succeeded", [(TWO, "Succeeded", 3)], None),
        (2, "Succeeded", [], None),
    ],
)
def test_when_a_return_is_done(
    quantity: int, order: str, now: Sequence[tuple[str, str, int]], found: Returned | None
) -> None:
    """Order and reservation must both say so: an order answers 200 at once, first as it was or `Pending` (recorded)."""
    before = one_of(ONE, "Succeeded", 5)
    told = Order.model_validate(
        {
            "id": f"/providers/Microsoft.Capacity/reservationOrders/{ORDER}",
            "properties": {"provisioningState": order},
        }
    )
    members = [one_of(*each) for each in now]
    assert returned(before, quantity, {ONE}, told, members) == found


def order_of(state: str, etag: int = 7) -> Order:
    key = f"/providers/Microsoft.Capacity/reservationOrders/{ORDER}"
    return Order.model_validate({"id": key, "etag": etag, "properties": {"provisioningState": state}})


def test_a_reservation_known_before_is_nobodys_successor() -> None:
    members = [one_of(ONE, "Cancelled", 5), one_of(TWO, "Succeeded", 3)]
    assert returned(one_of(ONE, "Succeeded", 5), 2, {ONE, TWO}, order_of("Succeeded"), members) is None


SAME, MADE = [(ONE, "Succeeded", 5)], [(ONE, "Cancelled", 5), (TWO, "Succeeded", 3)]


@pytest.mark.parametrize(
    ("passed", "order", "now", "found"),
    [
        (timedelta(), order_of("Succeeded"), SAME, "open"),
        (LAG - timedelta(seconds=1), order_of("Succeeded"), SAME, "open"),
        (LAG, order_of("Succeeded"), SAME, "not done"),
        (timedelta(), order_of("Succeeded", 9), MADE, Returned(TWO)),
        (LAG * 2, order_of("Succeeded", 9), MADE, Returned(TWO)),
        (LAG * 9, order_of("Pending", 8), SAME, "open"),
        (LAG * 9, order_of("SomethingNew", 8), MADE, "open"),
        # It was at work meanwhile, and its reservations can't be seen yet.
        (LAG, order_of("Succeeded", 9), SAME, "undecided"),
        (LAG, order_of("Cancelled"), SAME, "undecided"),
        (LAG, order_of("Succeeded"), [(ONE, "Cancelled", 5), (TWO, "Succeeded", 4)], "undecided"),
        (LAG, order_of("Succeeded"), [(ONE, "Succeeded", 5), (TWO, "Succeeded", 3)], "undecided"),
        (LAG, order_of("Succeeded"), [], "undecided"),
    ],
)
def test_what_became_of_a_return_that_was_perhaps_sent(
    passed: timedelta, order: Order, now: Sequence[tuple[str, str, int]], found: object
) -> None:
    before = Seen(order_of("Succeeded"), [one_of(ONE, "Succeeded", 5)])
    after = Seen(order, [one_of(*each) for each in now])
    assert fate(ONE, 2, before, after, passed) == found


def test_a_reservation_that_was_changed_meanwhile_is_not_as_it_was() -> None:
    before = Seen(order_of("Succeeded"), [one_of(ONE, "Succeeded", 5)])
    now = Seen(before.order, [before.reservations[0].model_copy(update={"etag": 9})])
    assert fate(ONE, 2, before, now, LAG) == "undecided"


@pytest.mark.parametrize("more", [{}, {"sessionId": None, "quantity": None, "billingRefundAmount": None}])
def test_a_refund_that_is_only_forbidden_needs_no_session_and_no_amount(more: dict[str, object]) -> None:
    policy = {"properties": {"policyErrors": [{"code": "ReservationIdNotInReservationOrder"}]}}
    found = RefundQuote.model_validate({"properties": {**more, "policyResult": policy}})
    assert [each.code for each in found.policy_errors] == ["reservationidnotinreservationorder"]
    assert (found.session_id, found.refund) == ("", None)
    exchange = {"sessionId": None, "policyResult": {"policyErrors": [{"code": "x"}]}}
    assert Exchange.model_validate(exchange).session_id == ""


@pytest.mark.parametrize("missing", ["sessionId", "quantity", "billingRefundAmount"])
def test_a_quote_that_nothing_forbids_is_whole(missing: str) -> None:
    whole = {"sessionId": "S", "quantity": 1, "billingRefundAmount": {"currencyCode": "GBP", "amount": Decimal(1)}}
    RefundQuote.model_validate({"properties": whole})
    with pytest.raises(ValidationError):
        RefundQuote.model_validate({"properties": whole | {missing: None}})
    with pytest.raises(ValidationError):
        Exchange.model_validate({"sessionId": None, "netPayable": None})


@pytest.mark.parametrize(
    ("headers", "url"),
    [
        ({"Azure-AsyncOperation": "/a?sig=%2f", "Location": "/b"}, "/a?sig=%2f"),
        ({"Location": "/b"}, "/b"),
        ({}, exchange_url("session")),
    ],
)
async def test_an_exchange_is_looked_at_where_microsoft_says(headers: dict[str, str], url: str) -> None:
    it, _ = client(httpx.Response(202, headers=headers))
    assert (await it.exchange(TENANT, "session")).url == url


async def test_what_moves_money_is_not_sent_again_for_a_refused_token() -> None:
    writes: list[Callable[[Reservations], Awaitable[object]]] = [
        lambda it: it.give_back(TENANT, ORDER, ONE, 1, "session", "reason"),
        lambda it: it.exchange(TENANT, "session"),
    ]
    for write in writes:
        it, script = client(httpx.Response(401), httpx.Response(200, json={"access_token": "b", "expires_in": 3600}))
        with pytest.raises(Unavailable):
            await write(it)
        sent = [request for request in script.requests if "Microsoft.Capacity" in request.url.path]
        assert len(sent) == 1


@pytest.mark.parametrize(
    ("answer", "pause"),
    [
        (httpx.Response(202, headers={"Location": "x", "Retry-After": "120"}), 120),
        (httpx.Response(202, json={"id": "something else"}), 30),
        (httpx.Response(200, json={"id": "order"}), 0),
        (httpx.Response(200), 0),
    ],
)
async def test_what_was_accepted_is_never_taken_for_malformed(answer: httpx.Response, pause: int) -> None:
    """Money has moved, or is moving: whatever is missing in how that is told, it isn't an error."""
    it, _ = client(answer)
    assert (await it.exchange(TENANT, "session")).pause == timedelta(seconds=pause)
    writes: list[Callable[[Reservations], Awaitable[timedelta]]] = [
        lambda it: it.give_back(TENANT, ORDER, ONE, 1, "session", "reason"),
        lambda it: it.purchase(TENANT, ORDER, BUY),
        lambda it: it.update(TENANT, ORDER, ONE, Change(name="x")),
    ]
    for write in writes:
        it, _ = client(answer)
        assert await write(it) == timedelta(seconds=pause)


@pytest.mark.parametrize("trouble", [httpx.Response(503), httpx.ReadTimeout("late"), httpx.Response(200, content=b"<")])
async def test_a_return_is_sent_once_and_a_quote_again(trouble: Reply) -> None:
    it, script = client(trouble)
    with pytest.raises(Ambiguous):
        await it.give_back(TENANT, ORDER, ONE, 1, "session", "reason")
    assert len(script.requests) == 2
    it, script = client(*[httpx.Response(503)] * 3)
    with pytest.raises(Unavailable):
        await it.refund_quote(TENANT, ORDER, ONE, 1)
    assert len(script.requests) == 4


async def test_what_is_sent_for_a_return_an_exchange_and_a_change() -> None:
    it, script = client(*[httpx.Response(202, headers={"Location": "https://api.partnercenter.example/x"})] * 5)
    await it.give_back(TENANT, ORDER, ONE, 2, "session", "too many")
    await it.exchange_quote(TENANT, [(ORDER, ONE, 2)], [BUY])
    await it.exchange(TENANT, "session")
    group = Scope(type="Single", subscription="/subscriptions/1", resource_group="/subscriptions/1/resourcegroups/2")
    review = datetime(2026, 1, 2, tzinfo=UTC)
    await it.update(TENANT, ORDER, ONE, Change(scope=group, renew=False, review=review))
    await it.update(TENANT, ORDER, ONE, Change(renewal=BUY, name="x"))
    bodies = [json.loads(request.content) for request in script.requests[1:]]
    to_return = {"reservationId": full_id(ONE), "quantity": 2}
    bought = {
        "sku": {"name": "Standard_D2s_v3"},
        "location": "westeurope",
        "properties": {
            "reservedResourceType": "VirtualMachines",
            "billingScopeId": "/subscriptions/1",
            "term": "P1Y",
            "billingPlan": "Monthly",
            "quantity": 2,
            "displayName": "web",
            "renew": False,
            "appliedScopeType": "Shared",
        },
    }
    assert bodies == [
        {
            "properties": {
                "sessionId": "session",
                "scope": "Reservation",
                "reservationToReturn": to_return,
                "returnReason": "too many",
            }
        },
        {"properties": {"reservationsToExchange": [to_return], "reservationsToPurchase": [bought]}},
        {"properties": {"sessionId": "session"}},
        {
            "properties": {
                "appliedScopeType": "Single",
                "appliedScopeProperties": {"resourceGroupId": "/subscriptions/1/resourcegroups/2"},
                "renew": False,
                "reviewDateTime": "2026-01-02T00:00:00+00:00",
            }
        },
        {"properties": {"name": "x", "renewProperties": {"purchaseProperties": bought}}},
    ]
    assert {request.url.params["api-version"] for request in script.requests[1:]} == {"2022-11-01"}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": "InvalidReservationId", "message": "m"}, Rejected),
        ({"code": "InternalServerError", "message": "m"}, Ambiguous),
        (None, Rejected),
    ],
)
async def test_a_quote_that_failed_inside_a_200_is_raised(error: object, kind: type[MicrosoftError]) -> None:
    for status in ("Failed", "Cancelled", "Canceled"):
        it, _ = client(httpx.Response(200, json={"status": status, "error": error}))
        with pytest.raises(kind):
            await it.look_at_quote(TENANT, exchange_url("operation"))


async def test_a_quote_may_come_at_once_and_an_exchange_without_status_is_none() -> None:
    """The document allows 200 for both; only 202 was recorded."""
    it, _ = client(httpx.Response(200, json={"status": "Succeeded", "properties": {"sessionId": "S"}}))
    state = await it.exchange_quote(TENANT, [(ORDER, ONE, 1)], [BUY])
    assert state.is_over
    assert state.exchange is not None
    assert state.exchange.session_id == "s"
    it, _ = client(httpx.Response(200, json={"properties": None}))
    with pytest.raises(Malformed):
        await it.look_at_exchange(TENANT, exchange_url("operation"))


@pytest.mark.parametrize("tenant", ["", " ", ".."])
async def test_without_a_tenant_nothing_is_asked(tenant: str) -> None:
    """It would be the partner's own reservations."""
    it, script = client()
    with pytest.raises(NotFound):
        await it.order(tenant, ORDER)
    with pytest.raises(NotFound):
        await it.give_back(tenant, ORDER, ONE, 1, "session", "reason")
    assert script.requests == []
