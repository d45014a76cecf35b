"""Bodies that are no request, at every path that takes one: each is a 400 in the shape of its host, never a 500."""

from typing import Any

import pytest

from tests.simulator.at_azure import azure_of
from tests.simulator.azure_caller import CAPACITY, Azure
from tests.simulator.conftest import Caller

DEEP, HALF = "[" * 40_000 + "]" * 40_000, '"\\ud800"'
BODIES = {
    "deep": DEEP,
    "deep in an object": '{"properties": ' + "[" * 300 + "]" * 300 + "}",
    "deep objects": '{"properties":' * 500 + "1" + "}" * 500,
    "half a character": '{"properties": {"sessionId": ' + HALF + ', "name": ' + HALF + ', "title": ' + HALF + "}}",
    "half a character as name": "{" + HALF + ": 1}",
    "an endless number": '{"properties": ' + "9" * 5000 + "}",
    "not JSON": "{",
    "not text": "\xff",
    "nothing": "",
    "null": "null",
    "a list": "[]",
}
ORDER = f"{CAPACITY}/reservationOrders/{{order_id}}"
CAPACITY_PATHS = [
    ("POST", f"{ORDER}/calculateRefund"),
    ("POST", f"{ORDER}/return"),
    ("POST", f"{CAPACITY}/calculateExchange"),
    ("POST", f"{CAPACITY}/exchange"),
    ("POST", f"{CAPACITY}/calculatePrice"),
    ("PUT", ORDER),
    ("PATCH", f"{ORDER}/reservations/{{reservation_id}}"),
    ("POST", f"{ORDER}/reservations/{{reservation_id}}/availableScopes"),
]
ROLES = f"{ORDER}/providers/Microsoft.Authorization/roleAssignments/{{order_id}}"
SUPPORT_PATHS = [
    ("POST", "checkNameAvailability"),
    ("PUT", "supportTickets/claim-1"),
    ("PATCH", "supportTickets/claim-1"),
    ("PUT", "supportTickets/claim-1/communications/message-1"),
    ("POST", "supportTickets/claim-1/checkNameAvailability"),
    ("PUT", "fileWorkspaces/claim-1/files/form.pdf"),
    ("POST", "fileWorkspaces/claim-1/files/form.pdf/upload"),
]


def bad(name: str) -> bytes:
    return BODIES[name].encode("latin-1")


every = pytest.mark.parametrize("name", list(BODIES))


@every
async def test_at_reservations(cloud: Caller, name: str) -> None:
    azure = Azure(cloud)
    one: dict[str, Any] = azure.seed["vm_upfront"]
    token = await azure.call(one["customer_id"], "GET", f"{CAPACITY}/reservations")
    headers = {"Authorization": token.request.headers["Authorization"]}
    for method, path in [*CAPACITY_PATHS, ("PUT", ROLES)]:
        version = "2022-04-01" if path == ROLES else "2022-11-01"
        url = f"{path.format(**one)}?api-version={version}"
        got = await cloud.http.request(method, url, content=bad(name), headers=headers)
        assert (got.status_code, got.json()["error"]["code"]) == (400, "InvalidRequestContent"), path


@every
async def test_at_tickets(cloud: Caller, name: str) -> None:
    azure = await azure_of(cloud)
    for method, path in SUPPORT_PATHS:
        url = f"/subscriptions/{azure.subscription}/providers/Microsoft.Support/{path}?api-version=2024-04-01"
        got = await cloud.http.request(method, url, content=bad(name), headers=azure.headers)
        assert got.status_code in (400, 404), path
        assert "Error" in got.json() or "error" in got.json()


@every
async def test_at_partner_center(cloud: Caller, name: str) -> None:
    number = await cloud.ticket()
    for path in (cloud.subscription_path("azure_plan"), f"/v1/servicerequests/{number}"):
        got = await cloud.call("PATCH", path, content=bad(name))
        assert got.status_code == 400, path
        assert got.json()["source"] == "PartnerFD"
