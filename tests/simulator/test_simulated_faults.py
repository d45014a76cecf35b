"""Faults: each in the shape of the host it hits, at the calls it is meant for, and down to the byte."""

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from simulator.faults import template

if TYPE_CHECKING:
    from tests.simulator.conftest import Caller, Server

HOSTS: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    ("/v1/customers", lambda body: (body["code"], sorted(body))),
    ("/providers/Microsoft.Capacity/reservationOrders", lambda body: (body["error"]["code"], sorted(body["error"]))),
    ("/subscriptions/1/providers/Microsoft.Support", lambda body: (body["error"]["code"], sorted(body["error"]))),
    ("/v1.0/reports/partners", lambda body: (body["error"]["code"], sorted(body["error"]))),
    ("/3b1e5c6a-7d0f-4b52-9f6d-0c5a1e9b7a11/oauth2/token", lambda body: (body["error"], body["error_codes"])),
]
PARTNER_CENTER = ["code", "data", "description", "source"]


@pytest.mark.parametrize(
    ("path", "shape", "expected"),
    [
        (*HOSTS[0], ("503", PARTNER_CENTER)),
        (*HOSTS[1], ("ServiceUnavailable", ["code", "message"])),
        (*HOSTS[2], ("ServiceUnavailable", ["code", "message"])),
        (*HOSTS[3], ("ServiceUnavailable", ["code", "innerError", "message"])),
        (*HOSTS[4], ("temporarily_unavailable", [90033])),
    ],
)
async def test_an_error_has_the_shape_of_the_host_it_hits(
    cloud: "Caller", path: str, shape: Callable[[dict[str, Any]], object], expected: object
) -> None:
    await cloud.door("POST", "/faults", {"kind": "error", "path": path})
    got = await cloud.call("GET", path)
    assert (got.status_code, shape(got.json())) == (503, expected)


@pytest.mark.parametrize(
    ("path", "shape", "expected"),
    [
        (*HOSTS[0], ("429", PARTNER_CENTER)),
        (*HOSTS[1], ("TooManyRequests", ["code", "message"])),
        (*HOSTS[2], ("TooManyRequests", ["code", "message"])),
        (*HOSTS[3], ("TooManyRequests", ["code", "innerError", "message"])),
        (*HOSTS[4], ("temporarily_unavailable", [90033])),
    ],
)
async def test_a_throttle_has_the_shape_of_the_service_it_hits(
    cloud: "Caller", path: str, shape: Callable[[dict[str, Any]], object], expected: object
) -> None:
    """Partner Center's other shape, its gateway's, is in test_simulator_process."""
    await cloud.door("POST", "/faults", {"kind": "throttle", "path": path, "seconds": 57, "throttledBy": "service"})
    got = await cloud.call("GET", path)
    assert (got.status_code, got.headers["Retry-After"], shape(got.json())) == (429, "57", expected)


async def test_a_fault_befalls_only_the_calls_of_its_method_and_pattern(cloud: "Caller") -> None:
    ours, another = await cloud.ticket(), await cloud.ticket()
    fault = {"kind": "error", "method": "PATCH", "path": "/V1/.+/\\d*" + ours[-4:] + "$", "times": None}
    await cloud.door("POST", "/faults", fault)
    note = {"NewNote": {"Text": "Hello"}}
    for method, number, expected in (("GET", ours, 200), ("PATCH", another, 200), ("PATCH", ours, 503)):
        got = await cloud.call(method, f"/v1/servicerequests/{number}", json=note)
        assert got.status_code == expected
    [left] = (await cloud.http.get("/_simulator/faults")).json()
    assert left["path"] == fault["path"]


@pytest.mark.parametrize("wrong", [{"kind": "error", "at_byte": 3}, {"kind": "drop", "path": "/v1/("}])
async def test_a_fault_that_cannot_happen_is_refused(cloud: "Caller", wrong: dict[str, object]) -> None:
    got = await cloud.http.post("/_simulator/faults", json=wrong)
    assert got.status_code == 422
    assert (await cloud.http.get("/_simulator/faults")).json() == []


@pytest.mark.parametrize(
    ("path", "counted"),
    [
        (
            "/v1/customers/1/subscriptions/2/azureEntitlements",
            "/v1/customers/{id}/subscriptions/{id}/azureEntitlements",
        ),
        ("/v1.0/reports/partners/billing/operations/1", "/v1.0/reports/partners/billing/operations/{id}"),
        ("/v1.0/reports/partners/billing/manifests/1", "/v1.0/reports/partners/billing/manifests/{id}"),
        (
            "/providers/microsoft.capacity/reservationorders/1/reservations/2",
            "/providers/microsoft.capacity/reservationorders/{id}/reservations/{id}",
        ),
        (
            "/providers/Microsoft.Capacity/reservationOrders/1/return",
            "/providers/Microsoft.Capacity/reservationOrders/{id}/return",
        ),
        ("/providers/Microsoft.Capacity/operationResults/1", "/providers/Microsoft.Capacity/operationResults/{id}"),
        (
            "/providers/Microsoft.Support/services/1/problemClassifications",
            "/providers/Microsoft.Support/services/{id}/problemClassifications",
        ),
        (
            "/subscriptions/1/providers/Microsoft.Support/supportTickets/2/communications/3",
            "/subscriptions/{id}/providers/Microsoft.Support/supportTickets/{id}/communications/{id}",
        ),
        (
            "/subscriptions/1/providers/Microsoft.Support/fileWorkspaces/2/files/3/upload",
            "/subscriptions/{id}/providers/Microsoft.Support/fileWorkspaces/{id}/files/{id}/upload",
        ),
        (
            "/subscriptions/1/providers/Microsoft.Support/operationsStatus/2",
            "/subscriptions/{id}/providers/Microsoft.Support/operationsStatus/{id}",
        ),
    ],
)
def test_calls_to_one_endpoint_count_as_one(path: str, counted: str) -> None:
    assert template(path) == counted


def received(url: str) -> bytes:
    """The whole answer of the device page to the byte, as far as it came."""
    address = httpx.URL(url)
    with socket.create_connection((address.host, address.port or 80), 10) as wire:
        wire.sendall(b"GET /device HTTP/1.1\r\nHost: simulator\r\nConnection: close\r\n\r\n")
        parts = []
        while part := wire.recv(65536):
            parts.append(part)
    return b"".join(parts)


def test_an_answer_is_cut_at_the_byte_and_its_work_is_done(serve: Callable[[], "Server"]) -> None:
    url = serve().url
    whole = received(url)
    head = whole.index(b"\r\n\r\n") + 4
    for at_byte in (0, 1, 17, head - 1, head, head + 1, len(whole) - 1, len(whole)):
        fault = {"kind": "drop", "path": "/device$", "at_byte": at_byte}
        httpx.post(f"{url}/_simulator/faults", json=fault).raise_for_status()
        assert len(received(url)) == at_byte
    assert len(received(url)) == len(whole)

    names = httpx.get(f"{url}/_simulator/seed").json()
    form = {key: names[key] for key in ("client_id", "client_secret", "refresh_token", "resource")}
    token = httpx.post(f"{url}/{names['tenant']}/oauth2/token", data=form | {"grant_type": "refresh_token"}).json()
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    ticket = {"customer_id": names["customers"]["contoso"]["id"]}
    path = f"{url}/v1/servicerequests/" + httpx.post(f"{url}/_simulator/service-requests", json=ticket).json()["id"]
    note = {"NewNote": {"Text": "Hello"}}
    troubles: list[tuple[dict[str, object], type[Exception]]] = [
        ({"kind": "drop", "at_byte": 0}, httpx.RemoteProtocolError),
        ({"kind": "drop", "at_byte": 40}, httpx.RemoteProtocolError),
        ({"kind": "slow", "when": "after", "seconds": 30}, httpx.ReadTimeout),
    ]
    for written, (trouble, lost) in enumerate(troubles, 1):
        httpx.post(f"{url}/_simulator/faults", json=trouble | {"method": "PATCH"}).raise_for_status()
        with pytest.raises(lost):
            httpx.patch(path, headers=headers, json=note, timeout=1)
        assert len(httpx.get(path, headers=headers).json()["notes"]) == written


async def test_in_process_an_answer_cut_at_a_byte_is_lost_whole(cloud: "Caller") -> None:
    path = f"/v1/servicerequests/{await cloud.ticket()}"
    await cloud.door("POST", "/faults", {"kind": "drop", "method": "PATCH", "at_byte": 40})
    with pytest.raises(ConnectionResetError):
        await cloud.call("PATCH", path, json={"NewNote": {"Text": "Hello"}})
    assert len((await cloud.get(path))["notes"]) == 1
