"""Our client of Microsoft.Capacity against the simulated Azure over real HTTP: what gives reservations back."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest

from microsoft.errors import NotFound, Rejected
from microsoft.reservation_models import Order, Returned, returned
from microsoft.reservation_quotes import ExchangeState
from microsoft.reservations import Reservations, exchange_url
from tests.microsoft.reservations import CUSTOMER, Add, happened, purchase, quoted, until
from tests.simulated import Simulator

pytestmark = pytest.mark.usefixtures("soon")


async def test_a_refund_quote_in_both_currencies(azure: Reservations, add: Add) -> None:
    one = add(purchased=(datetime.now(UTC) - timedelta(days=10)).isoformat(), unit_price="3650.00", rate="0.50")
    days = Decimal((datetime.now(UTC).date() - datetime.fromisoformat(one["purchased"]).date()).days)
    quote = await azure.refund_quote(CUSTOMER, one["order_id"], one["id"], 2)
    assert quote.policy_errors == ()
    assert quote.refund is not None
    assert (quote.quantity, quote.refund.currency) == (2, "EUR")
    assert quote.priced_refund is not None
    assert quote.priced_refund.currency == "USD"
    assert quote.billing is not None
    assert quote.billing.paid is not None
    assert quote.billing.consumed is not None
    assert quote.billing.paid.amount == Decimal("3650.00")
    assert quote.refund.amount == quote.billing.paid.amount - quote.billing.consumed.amount
    # Half a percent for a year that has a leap day.
    assert abs(quote.priced_refund.amount - (Decimal(7300) - 20 * days)) < 1
    assert quote.limit is not None
    assert (quote.limit.currency, quote.limit.amount) == ("USD", Decimal(50000))


@pytest.mark.parametrize(
    ("traits", "quantity", "code"),
    [
        ({"resource_type": "RedHat"}, 1, "selfservicerefundnotsupported"),
        ({"is_refundable": False}, 1, "selfservicerefundnotsupported"),
        ({"unit_price": "50001"}, 1, "refundlimitexceeded"),
        ({"purchased": "2020-01-01T00:00:00Z"}, 1, "operationcannotbeperformedincurrentstate"),
        ({}, 6, "invalidrefundquantity"),
    ],
)
async def test_policy_errors_are_part_of_the_quote(
    azure: Reservations, add: Add, simulator: Simulator, traits: dict[str, object], quantity: int, code: str
) -> None:
    """Recorded and documented: HTTP 200. Who returns all the same is refused."""
    one = add(**traits)
    quote = await azure.refund_quote(CUSTOMER, one["order_id"], one["id"], quantity)
    assert [each.code for each in quote.policy_errors] == [code]
    with pytest.raises(Rejected) as refused:
        await azure.give_back(CUSTOMER, one["order_id"], one["id"], quantity, quote.session_id, "no need")
    assert refused.value.code.lower() == code
    assert happened(simulator, "return", order_id=one["order_id"]) == 0


@pytest.mark.parametrize(("quantity", "left"), [(2, 3), (5, 0)])
async def test_a_return_is_done_when_order_and_reservations_say_so(
    azure: Reservations, add: Add, simulator: Simulator, quantity: int, left: int
) -> None:
    """Recorded: the order answers 200 and `Pending` at once, which the document's own poller takes for the end."""
    one = add()
    [before] = await azure.of_order(CUSTOMER, one["order_id"])
    quote = await azure.refund_quote(CUSTOMER, one["order_id"], one["id"], quantity)
    simulator.door.put("/behaviour", json={"time_scale": 0.009})
    pause = await azure.give_back(CUSTOMER, one["order_id"], one["id"], quantity, quote.session_id, "too many")
    assert pause == timedelta(seconds=1)

    async def look() -> tuple[Order, Returned | None]:
        order = await azure.order(CUSTOMER, one["order_id"])
        now = await azure.of_order(CUSTOMER, one["order_id"])
        return order, returned(before, quantity, {before.reservation_id}, order, now)

    order, done = await look()
    assert (order.state, done) == ("pending", None)
    order, done = await until(look, lambda each: each[1] is not None)
    assert done is not None
    assert order.state == ("succeeded" if left else "cancelled")
    if left:
        kept = await azure.reservation(CUSTOMER, one["order_id"], done.successor)
        assert (kept.quantity, kept.split_source.rpartition("/")[2]) == (left, one["id"])
    else:
        assert done.successor == ""
    assert happened(simulator, "return", order_id=one["order_id"]) == 1
    with pytest.raises(Rejected):
        await azure.give_back(CUSTOMER, one["order_id"], one["id"], quantity, quote.session_id, "too many")


async def test_an_exchange_by_its_session(azure: Reservations, add: Add, simulator: Simulator) -> None:
    """Recorded: a quote's operation has an id of its own, an exchange's that of the session, so that it is found again
    after a crash; without policy errors there is a null, where the document has a list."""
    one = add(billing_plan="Monthly", unit_price="730.00")
    quote = (await quoted(azure, one, 2, purchase(one))).exchange
    assert quote is not None
    assert quote.policy_errors == ()
    assert quote.purchases is not None
    assert quote.refunds is not None
    assert quote.net_payable is not None
    assert quote.purchases.amount == Decimal("6044.40")
    assert quote.net_payable.amount == quote.purchases.amount - quote.refunds.amount
    [given_up] = quote.given_up
    assert (given_up.reservation, given_up.quantity, given_up.status) == (
        f"/providers/microsoft.capacity/reservationorders/{one['order_id']}/reservations/{one['id']}",
        2,
        "",
    )
    assert given_up.billing is not None
    assert given_up.billing.remaining is not None
    # Eleven payments to come, two of EUR 55.97 each.
    assert given_up.billing.remaining.amount == Decimal("1231.34")

    url = exchange_url(quote.session_id)
    with pytest.raises(NotFound):
        await azure.look_at_exchange(CUSTOMER, url)
    for _ in range(2):
        await azure.exchange(CUSTOMER, quote.session_id)
    seen = dict[str, None]()

    async def look() -> ExchangeState:
        state = await azure.look_at_exchange(CUSTOMER, url)
        seen[state.status] = None
        return state

    over = await until(look, lambda state: state.is_over)
    # The refunds last a twentieth of a second here: a slow machine may miss them.
    assert [*seen][-2:] == ["pendingpurchases", "succeeded"]
    assert set(seen) <= {"pendingrefunds", "pendingpurchases", "succeeded"}
    assert over.exchange is not None
    [bought] = over.exchange.bought
    assert (bought.status, bought.quantity, over.exchange.given_up[0].status) == ("succeeded", 9, "succeeded")
    new = await until(
        lambda: azure.reservation(CUSTOMER, bought.order_id, bought.reservation_id),
        lambda each: each.state == "succeeded",
    )
    assert new.quantity == 9
    assert happened(simulator, "exchange", session_id=quote.session_id) == 1


async def test_the_pause_between_looks_is_microsofts(azure: Reservations, add: Add, simulator: Simulator) -> None:
    """Recorded: 5 seconds while the refunds are under way, 30 while the purchases are."""
    one = add()
    session = (await quoted(azure, one, 1, purchase(one))).exchange
    assert session is not None
    simulator.door.put("/behaviour", json={"time_scale": 1.0})
    accepted = await azure.exchange(CUSTOMER, session.session_id)
    assert (accepted.status, accepted.pause) == ("accepted", timedelta(seconds=5))
    state = await azure.look_at_exchange(CUSTOMER, accepted.url)
    assert (state.status, state.pause, state.exchange) == ("pendingrefunds", timedelta(seconds=5), None)


async def test_an_exchange_that_failed_in_part_is_told_with_what_was_done(azure: Reservations, add: Add) -> None:
    for outcome, status, statuses in (
        ("purchase_fails", "failed", ("succeeded", "failed")),
        ("refund_fails", "cancelled", ("failed", "cancelled")),
    ):
        one = add(exchange_outcome=outcome)
        quote = (await quoted(azure, one, 5, purchase(one))).exchange
        assert quote is not None
        await azure.exchange(CUSTOMER, quote.session_id)
        url = exchange_url(quote.session_id)
        over = await until(partial(azure.look_at_exchange, CUSTOMER, url), lambda state: state.is_over)
        assert (over.status, bool(over.code), bool(over.message)) == (status, True, True)
        assert over.exchange is not None
        assert (over.exchange.given_up[0].status, over.exchange.bought[0].status) == statuses


async def test_an_exchange_that_the_policy_forbids(azure: Reservations, add: Add) -> None:
    one = add(unit_price="5000.00")
    quote = (await quoted(azure, one, 5, purchase(one, quantity=1))).exchange
    assert quote is not None
    assert len(quote.policy_errors) == 1
    with pytest.raises(Rejected):
        await azure.exchange(CUSTOMER, quote.session_id)
