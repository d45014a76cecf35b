"""The simulator as a process: what it remembers after SIGKILL, and the trouble it makes when asked to."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.simulator.conftest import Caller, Server


def test_everything_is_remembered_after_a_sigkill(serve: Callable[[], "Server"]) -> None:
    first = serve()
    names = httpx.get(f"{first.url}/_simulator/seed").json()
    form = {
        "grant_type": "refresh_token",
        "client_id": names["client_id"],
        "client_secret": names["client_secret"],
        "refresh_token": names["refresh_token"],
        "resource": names["resource"],
    }
    token = httpx.post(f"{first.url}/{names['tenant']}/oauth2/token", data=form).json()
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    customer = names["customers"]["contoso"]["id"]
    ticket = {
        "customer_id": customer,
        "persona": "approve",
        "amount": "5.00",
        "subscription_id": names["subscriptions"]["legacy_active"]["id"],
    }
    number = httpx.post(f"{first.url}/_simulator/service-requests", json=ticket).json()["id"]
    before = [
        httpx.get(f"{first.url}/v1/{path}", headers=headers).text
        for path in (f"servicerequests/{number}", "invoices", f"customers/{customer}/subscriptions")
    ]
    first.kill()

    second = serve()
    after = [
        httpx.get(f"{second.url}/v1/{path}", headers=headers).text
        for path in (f"servicerequests/{number}", "invoices", f"customers/{customer}/subscriptions")
    ]
    assert after == before
    assert httpx.get(f"{second.url}/_simulator/seed").json() == names
    rotated = httpx.post(
        f"{second.url}/{names['tenant']}/oauth2/token", data=form | {"refresh_token": token["refresh_token"]}
    )
    assert rotated.status_code == 200


def test_a_dropped_connection_is_one_before_or_after_the_work(serve: Callable[[], "Server"]) -> None:
    url = serve().url
    form = {"client_id": httpx.get(f"{url}/_simulator/seed").json()["client_id"], "scope": "api://claimdesk/.default"}
    tenant = httpx.get(f"{url}/_simulator/seed").json()["tenant"]
    fault = {"kind": "drop", "path": f"/{tenant}", "method": "POST"}
    httpx.post(f"{url}/_simulator/faults", json=fault).raise_for_status()
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        httpx.post(f"{url}/{tenant}/oauth2/v2.0/devicecode", data=form)
    assert httpx.post(f"{url}/{tenant}/oauth2/v2.0/devicecode", data=form).status_code == 200
    httpx.post(f"{url}/_simulator/faults", json={"kind": "slow", "path": "/device", "seconds": 5}).raise_for_status()
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{url}/device", timeout=0.2)


def test_what_was_done_before_the_connection_broke_is_done(serve: Callable[[], "Server"]) -> None:
    url = serve().url
    names = httpx.get(f"{url}/_simulator/seed").json()
    form = {
        "grant_type": "refresh_token",
        "client_id": names["client_id"],
        "client_secret": names["client_secret"],
        "refresh_token": names["refresh_token"],
    }
    token = httpx.post(f"{url}/{names['tenant']}/oauth2/token", data=form).json()["access_token"]
    ticket = {"customer_id": names["customers"]["contoso"]["id"]}
    number = httpx.post(f"{url}/_simulator/service-requests", json=ticket).json()["id"]
    path = f"{url}/v1/servicerequests/{number}"
    headers = {"Authorization": f"Bearer {token}", "MS-RequestId": "5a1c0e0e-0000-4000-8000-000000000003"}
    for when, written in (("before", 0), ("after", 1)):
        fault = {"kind": "drop", "method": "PATCH", "when": when}
        httpx.post(f"{url}/_simulator/faults", json=fault).raise_for_status()
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            httpx.patch(path, headers=headers, json={"NewNote": {"Text": "Hello"}})
        assert len(httpx.get(path, headers=headers).json()["notes"]) == written
    retried = httpx.patch(path, headers=headers, json={"NewNote": {"Text": "Hello"}})
    assert len(retried.json()["notes"]) == 1


async def test_throttling_has_a_shape_of_its_own_and_ends_after_its_times(cloud: "Caller") -> None:
    await cloud.door("POST", "/faults", {"kind": "throttle", "path": "/v1/customers", "seconds": 57, "times": 2})
    for _ in range(2):
        got = await cloud.call("GET", "/v1/customers")
        assert (got.status_code, got.headers["Retry-After"]) == (429, "57")
        assert got.json() == {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 57 seconds."}
        assert (await cloud.call("GET", "/v1/invoices")).status_code == 200
    assert (await cloud.call("GET", "/v1/customers")).status_code == 200


async def test_an_error_may_hide_that_the_work_was_done(cloud: "Caller") -> None:
    number = await cloud.ticket()
    path = f"/v1/servicerequests/{number}"
    await cloud.door("POST", "/faults", {"kind": "error", "status": 502, "method": "PATCH", "when": "after"})
    got = await cloud.call("PATCH", path, json={"NewNote": {"Text": "Hello"}})
    assert (got.status_code, got.json()["code"]) == (502, "502")
    assert len((await cloud.get(path))["notes"]) == 1


async def test_a_rate_repeats_with_its_seed_until_it_is_cleared(cloud: "Caller") -> None:
    async def weather() -> list[int]:
        fault = {"kind": "error", "rate": 0.5, "seed": 7, "times": None}
        await cloud.door("POST", "/faults", fault)
        seen = [(await cloud.call("GET", "/v1/customers")).status_code for _ in range(40)]
        await cloud.door("DELETE", "/faults")
        return seen

    first, second = await weather(), await weather()
    assert first == second
    assert 8 < first.count(503) < 32
    assert (await cloud.call("GET", "/v1/customers")).status_code == 200


async def test_calls_are_counted_by_endpoint_and_begin_anew(cloud: "Caller") -> None:
    await cloud.http.delete("/_simulator/calls")
    for name in ("legacy_active", "azure_plan"):
        await cloud.get(cloud.subscription_path(name))
    await cloud.get("/v1/servicerequests")
    await cloud.door("POST", "/faults", {"kind": "error"})
    await cloud.call("GET", "/v1/servicerequests")
    await cloud.sign_in()
    counted = await cloud.door("GET", "/calls")
    assert counted["partner_center"] == 4
    assert counted["calls"] == {
        "GET /v1/customers/{id}/subscriptions/{id}": 2,
        "GET /v1/servicerequests": 2,
        "POST /{tenant}/oauth2/token": 1,
    }
    await cloud.http.delete("/_simulator/calls")
    assert (await cloud.door("GET", "/calls")) == {"calls": {}, "partner_center": 0}


async def test_customers_and_subscriptions_of_any_kind_can_be_added(cloud: "Caller") -> None:
    customer = {"id": "c0a1b2d3-0099-4f5e-8a6b-1c2d3e4f5a99", "companyName": "Lamna", "domain": "lamna.example"}
    subscription = {
        "id": "5b000000-0000-4000-8000-000000000001",
        "customerId": customer["id"],
        "commerce": "new_commerce",
        "offerId": "CFQ7TTC0LH18:0001:CFQ7TTC0K971",
        "offerName": "Microsoft 365 Business Basic",
        "creationDate": "2026-03-01T12:00:00Z",
        "effectiveStartDate": "2026-03-01T14:00:00+02:00",
        "commitmentEndDate": "2027-02-28T00:00:00Z",
        "cancellationAllowedUntilDate": "2026-03-08T12:00:00Z",
        "orderId": "34b37d7340cc",
    }
    refused = await cloud.http.post("/_simulator/subscriptions", json=subscription)
    assert (refused.status_code, "add it first" in refused.json()["detail"]) == (422, True)
    await cloud.door("POST", "/customers", customer)
    await cloud.door("POST", "/subscriptions", subscription)
    path = f"/v1/customers/{customer['id']}/subscriptions/{subscription['id']}"
    got = await cloud.get(path)
    assert got["cancellationAllowedUntilDate"] == "2026-03-08T12:00:00Z"
    assert got["effectiveStartDate"] == "2026-03-01T12:00:00.000000Z"
    await cloud.door("POST", f"/subscriptions/{subscription['id']}/status", {"status": "deleted"})
    assert (await cloud.get(path))["status"] == "deleted"
