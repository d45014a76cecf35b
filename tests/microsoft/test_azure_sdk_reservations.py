"""Microsoft's own SDK (azure-mgmt-reservations), unmodified, drives the simulated reservations.

It is given two things it has parameters for: the address, and a policy that adds our token (its own refuses plain
HTTP). Its pollers wait `polling_interval` where Retry-After, scaled down, is 0.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.reservations import ReservationsMgmtClient
from azure.mgmt.reservations.models import (
    AvailableScopeRequest,
    AvailableScopeRequestProperties,
    CalculateExchangeRequest,
    CalculateExchangeRequestProperties,
    CalculateRefundRequest,
    CalculateRefundRequestProperties,
    ExchangeRequest,
    ExchangeRequestProperties,
    Patch,
    PatchProperties,
    PatchPropertiesRenewProperties,
    PurchaseRequest,
    PurchaseRequestProperties,
    RefundRequest,
    RefundRequestProperties,
    ReservationToReturn,
    SkuName,
)

from tests.microsoft.azure_sdk import Bearer, Unasked, token
from tests.simulated import Simulator

pytestmark = pytest.mark.usefixtures("soon")
CUSTOMER = "c0a1b2d3-0005-4f5e-8a6b-1c2d3e4f5a05"


@pytest.fixture
def sdk(simulator: Simulator) -> Iterator[ReservationsMgmtClient]:
    with ReservationsMgmtClient(
        Unasked(),
        base_url=simulator.url,
        authentication_policy=Bearer(token(simulator, CUSTOMER)),
        polling_interval=0.02,
    ) as client:
        yield client


@pytest.fixture
def one(simulator: Simulator) -> dict[str, Any]:
    """A reservation of five, in an order of its own."""
    return simulator.post("/reservations", {"customer_id": CUSTOMER, "quantity": 5, "display_name": "five"})


def reservation_id(one: dict[str, Any]) -> str:
    return f"/providers/Microsoft.Capacity/reservationOrders/{one['order_id']}/reservations/{one['id']}"


def purchase(one: dict[str, Any], quantity: int) -> PurchaseRequest:
    return PurchaseRequest(
        sku=SkuName(name="Standard_D2s_v3"),
        location="westeurope",
        properties=PurchaseRequestProperties(
            reserved_resource_type="VirtualMachines",
            billing_scope_id=f"/subscriptions/{one['billing_subscription']}",
            term="P1Y",
            billing_plan="Monthly",
            quantity=quantity,
            display_name="bought by the SDK",
            applied_scope_type="Shared",
        ),
    )


def test_reservations_are_listed_and_read(sdk: ReservationsMgmtClient, one: dict[str, Any]) -> None:
    found = [each for each in sdk.reservation.list_all() if each.id and one["id"] in each.id]
    assert [(each.name, each.etag) for each in found] == [(f"{one['order_id']}/{one['id']}", one["etag"])]
    read = sdk.reservation.get(one["order_id"], one["id"], expand="renewProperties")
    assert read.properties is not None
    assert (read.name, read.properties.quantity, read.properties.display_name) == (one["id"], 5, "five")
    order = sdk.reservation_order.get(one["order_id"], expand="schedule")
    assert order.provisioning_state == "Succeeded"
    assert order.plan_information is not None
    assert order.plan_information.transactions
    assert [each.name for each in sdk.reservation.list(one["order_id"])] == [one["id"]]
    assert one["order_id"] in [each.name for each in sdk.reservation_order.list()]


def test_a_list_by_every_parameter_of_its(sdk: ReservationsMgmtClient, simulator: Simulator) -> None:
    """The document has numbers there, which the SDK writes as `3.0`."""
    where = "properties/displayName eq 'by number' or properties/displayName eq 'By number'"
    customer: dict[str, object] = {"customer_id": CUSTOMER}
    for number in range(1, 8):
        name = "by number" if number % 2 else "By number"
        simulator.post("/reservations", {**customer, "display_name": name, "quantity": number})
    simulator.post("/reservations", {**customer, "display_name": "by number", "purchased": "2020-01-01T00:00:00Z"})

    def listed(**more: Any) -> list[int | None]:
        every = sdk.reservation.list_all(filter=where, **more)
        return [each.properties.quantity if each.properties else None for each in every]

    assert listed(take=3) == [1, 2, 3, 4, 5, 6, 7, 1]
    assert listed(take=3, skiptoken=5, refresh_summary="true") == [6, 7, 1]
    assert listed(orderby="properties/quantity desc", selected_state="Succeeded") == [7, 6, 5, 4, 3, 2, 1]
    assert listed(selected_state="expired") == [1]


def test_a_return_is_quoted_and_carried_out(
    simulator: Simulator, sdk: ReservationsMgmtClient, one: dict[str, Any]
) -> None:
    """The poller takes the order's first 200 for the end, whatever its state is (recorded of Microsoft's command line
    too); so the end is looked for in order and reservations."""
    to_return = ReservationToReturn(reservation_id=reservation_id(one), quantity=2)
    quote = sdk.calculate_refund.post(
        one["order_id"],
        CalculateRefundRequest(
            id=one["order_id"],
            properties=CalculateRefundRequestProperties(scope="Reservation", reservation_to_return=to_return),
        ),
    ).properties
    assert quote is not None
    assert quote.policy_result is not None
    assert quote.policy_result.properties is not None
    assert quote.policy_result.properties.policy_errors == []
    assert quote.billing_refund_amount is not None
    assert quote.billing_refund_amount.amount == 671.6
    request = RefundRequest(
        properties=RefundRequestProperties(
            session_id=quote.session_id,
            scope="Reservation",
            reservation_to_return=to_return,
            return_reason="PurchasedWrongProduct",
        )
    )
    order = sdk.return_operations.begin_post(one["order_id"], request).result()
    assert order.provisioning_state in ("Pending", "Succeeded")
    until = time.monotonic() + 10
    while True:
        members = list(sdk.reservation.list(one["order_id"]))
        if [each.properties.quantity for each in members if each.properties] == [5, 3]:
            break
        assert time.monotonic() < until, "the return wasn't seen"
        time.sleep(0.01)
    states = [each.properties.provisioning_state for each in members if each.properties]
    assert states == ["Cancelled", "Succeeded"]
    effects = simulator.door.get("/reservation-effects", params={"order_id": one["order_id"]}).json()
    assert effects["counts"] == {"return": 1}
    with pytest.raises(HttpResponseError) as again:
        sdk.return_operations.begin_post(one["order_id"], request)
    assert again.value.error is not None
    assert again.value.error.code == "OperationCannotBePerformedInCurrentState"


def test_an_exchange_is_quoted_and_carried_out_by_its_poller(
    simulator: Simulator, sdk: ReservationsMgmtClient, one: dict[str, Any]
) -> None:
    quoted = sdk.calculate_exchange.begin_post(
        CalculateExchangeRequest(
            properties=CalculateExchangeRequestProperties(
                reservations_to_exchange=[ReservationToReturn(reservation_id=reservation_id(one), quantity=5)],
                reservations_to_purchase=[purchase(one, 9)],
            )
        )
    ).result()
    assert quoted.status == "Succeeded"
    assert quoted.properties is not None
    assert quoted.properties.policy_result is not None
    assert quoted.properties.policy_result.policy_errors is None
    session = quoted.properties.session_id
    done = sdk.exchange.begin_post(ExchangeRequest(properties=ExchangeRequestProperties(session_id=session))).result()
    assert (done.status, done.name) == ("Succeeded", session)
    assert done.properties is not None
    [bought] = done.properties.reservations_to_purchase or []
    [given_up] = done.properties.reservations_to_exchange or []
    assert (bought.status, given_up.status) == ("Succeeded", "Succeeded")
    assert bought.reservation_id
    effects = simulator.door.get("/reservation-effects").json()["effects"]
    assert [each["what"] for each in effects if each["session_id"] == session] == ["exchange"]


def test_an_exchange_that_fails_inside_a_200_raises(sdk: ReservationsMgmtClient, simulator: Simulator) -> None:
    one = simulator.post("/reservations", {"customer_id": CUSTOMER, "exchange_outcome": "purchase_fails"})
    quoted = sdk.calculate_exchange.begin_post(
        CalculateExchangeRequest(
            properties=CalculateExchangeRequestProperties(
                reservations_to_exchange=[ReservationToReturn(reservation_id=reservation_id(one), quantity=1)],
                reservations_to_purchase=[purchase(one, 9)],
            )
        )
    ).result()
    assert quoted.properties is not None
    session = ExchangeRequestProperties(session_id=quoted.properties.session_id)
    with pytest.raises(HttpResponseError):
        sdk.exchange.begin_post(ExchangeRequest(properties=session)).result()


def test_a_purchase_a_change_scopes_and_the_catalogue(sdk: ReservationsMgmtClient, one: dict[str, Any]) -> None:
    priced = sdk.reservation_order.calculate(purchase(one, 3)).properties
    assert priced is not None
    assert priced.reservation_order_id is not None
    order = sdk.reservation_order.begin_purchase(priced.reservation_order_id, purchase(one, 3)).result()
    assert (order.name, order.original_quantity) == (priced.reservation_order_id, 3)
    changed = sdk.reservation.begin_update(
        one["order_id"], one["id"], Patch(properties=PatchProperties(name="renamed"))
    ).result()
    assert changed.properties is not None
    assert changed.properties.display_name == "renamed"
    review = datetime(2026, 12, 31, 8, tzinfo=UTC)
    renewal = PatchPropertiesRenewProperties(purchase_properties=purchase(one, 2))
    change = Patch(properties=PatchProperties(review_date_time=review, renew_properties=renewal))
    reviewed = sdk.reservation.begin_update(one["order_id"], one["id"], change).result().properties
    assert reviewed is not None
    assert reviewed.review_date_time == review
    read = sdk.reservation.get(one["order_id"], one["id"], expand="renewProperties").properties
    assert read is not None
    assert read.renew_properties is not None
    assert read.renew_properties.purchase_properties is not None
    assert read.renew_properties.purchase_properties.quantity == 2
    scope = f"/subscriptions/{one['billing_subscription']}"
    scopes = sdk.reservation.begin_available_scopes(
        one["order_id"],
        one["id"],
        AvailableScopeRequest(properties=AvailableScopeRequestProperties(scopes=[scope])),
    ).result()
    assert scopes.properties is not None
    assert [each.valid for each in scopes.properties.scopes or []] == [True]
    catalog = sdk.get_catalog(one["billing_subscription"], reserved_resource_type="VirtualMachines", location="eastus")
    names = [each.name for each in catalog]
    assert len(set(names)) == 4
    rest = sdk.get_catalog(one["billing_subscription"], reserved_resource_type="VirtualMachines", skip=1, take=3)
    assert [each.name for each in rest] == names[1:]
    with pytest.raises(ResourceNotFoundError):
        sdk.reservation_order.get("00000000-0000-4000-8000-000000000000")
