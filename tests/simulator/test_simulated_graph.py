"""Microsoft Graph's export of an invoice's lines: who may ask, how long it takes, and where the files lie."""

import gzip
import json
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest

if TYPE_CHECKING:
    from tests.simulator.conftest import Caller, Clock, Json

GRAPH = "https://graph.microsoft.com"
EXPORT = "/v1.0/reports/partners/billing/reconciliation/billed/export"


@pytest.fixture
async def graph(cloud: "Caller") -> "Caller":
    """Signed in to Graph as the partner's administrator."""
    got = await cloud.token(grant_type="refresh_token", refresh_token=cloud.names["refresh_token"], resource=GRAPH)
    cloud.headers = {"Authorization": f"Bearer {got.json()['access_token']}"}
    return cloud


async def invoice(cloud: "Caller", amounts: list[str], provider: str = "one_time", **more: object) -> str:
    customer, subscription = cloud.subscription("nce_active_past_window")
    line = {"customer_id": customer, "subscription_id": subscription, "charge_type": "new", "tax": "0.10"}
    body = {"billing_provider": provider, "lines": [line | {"amount": amount} for amount in amounts], **more}
    return str((await cloud.door("POST", "/invoices", body))["id"])


async def asked(cloud: "Caller", number: str, attributes: str = "full") -> httpx.Response:
    return await cloud.call("POST", EXPORT, json={"invoiceId": number, "attributeSet": attributes})


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


async def manifest(cloud: "Caller", clock: "Clock", number: str, attributes: str = "full") -> "Json":
    where = path_of((await asked(cloud, number, attributes)).headers["Location"])
    clock.advance(seconds=10)
    operation = await cloud.get(where)
    assert operation["status"] == "succeeded"
    return await cloud.get(path_of(operation["resourceLocation@odata.navigationLink"]))


def addresses(told: "Json") -> list[str]:
    return [path_of(f"{told['rootDirectory']}/{blob['name']}?{told['sasToken']}") for blob in told["blobs"]]


async def lines(cloud: "Caller", told: "Json") -> list["Json"]:
    found: list[Json] = []
    for address in addresses(told):
        got = await cloud.http.get(address)
        assert got.status_code == 200, got.text
        text = gzip.decompress(got.content).decode()
        found += [json.loads(line, parse_float=Decimal) for line in text.splitlines()]
    return found


async def test_an_export_is_accepted_begins_runs_and_succeeds_in_its_time(graph: "Caller", clock: "Clock") -> None:
    accepted = await asked(graph, await invoice(graph, ["1"]))
    assert (accepted.status_code, accepted.json()["status"]) == (202, "notStarted")
    assert accepted.headers["Retry-After"] == "10"
    where = path_of(accepted.headers["Location"])
    clock.advance(seconds=2)
    assert (await graph.get(where))["status"] == "notStarted"
    clock.advance(seconds=7)
    running = await graph.call("GET", where)
    assert (running.status_code, running.json()["status"], running.headers["Retry-After"]) == (200, "running", "10")
    clock.advance(seconds=1)
    done = await graph.call("GET", where)
    assert (done.json()["status"], "Retry-After" in done.headers) == ("succeeded", False)
    assert not done.json()["createdDateTime"].endswith("Z")


async def test_its_times_are_scaled(graph: "Caller") -> None:
    await graph.door("PUT", "/behaviour", {"time_scale": 0})
    accepted = await asked(graph, await invoice(graph, ["1"]))
    assert (accepted.json()["status"], accepted.headers["Retry-After"]) == ("notStarted", "0")
    assert (await graph.get(path_of(accepted.headers["Location"])))["status"] == "succeeded"


@pytest.mark.parametrize(
    "what", [{"provider": "recurring"}, {"amounts": []}, {"invoice_date": "2023-08-31T23:59:59Z"}, {"unknown": True}]
)
async def test_what_has_no_data_fails_inside_a_200(graph: "Caller", clock: "Clock", what: "Json") -> None:
    unknown = what.pop("unknown", False)
    number = "G999999999" if unknown else await invoice(graph, what.pop("amounts", ["1"]), **what)
    where = path_of((await asked(graph, number)).headers["Location"])
    clock.advance(seconds=10)
    got = await graph.call("GET", where)
    assert (got.status_code, got.json()["status"]) == (200, "failed")
    assert got.json()["error"] == {"code": "5000", "message": "No data available"}


async def test_the_lines_in_several_files_under_the_exports_names(graph: "Caller", clock: "Clock") -> None:
    number = await invoice(graph, ["0.1", "90071992547409.93", "-3"])
    told = await manifest(graph, clock, number)
    assert (told["dataFormat"], told["blobCount"], len(told["blobs"])) == ("compressedJSONLines", 2, 2)
    found = await lines(graph, told)
    assert sorted(line["Subtotal"] for line in found) == [-3, Decimal("0.1"), Decimal("90071992547409.93")]
    first = found[0]
    assert first["Total"] - first["Subtotal"] == first["TaxTotal"] == Decimal("0.10")
    assert {"Tier2MpnId", "Unit", "PCToBCExchangeRate", "CustomerName"} <= set(first)
    assert not [name for name in first if name[0].islower()]
    assert first["InvoiceNumber"] == number
    assert first["ChargeStartDate"].endswith("Z")
    basic = await lines(graph, await manifest(graph, clock, number, "basic"))
    assert [line["Subtotal"] for line in basic] == [line["Subtotal"] for line in found]
    assert "CustomerName" not in basic[0]


async def test_the_etag_is_that_of_the_data(graph: "Caller", clock: "Clock") -> None:
    one, other = await invoice(graph, ["1"]), await invoice(graph, ["1"])
    tags = [(await manifest(graph, clock, number))["eTag"] for number in (one, one, other)]
    assert tags[0] == tags[1] != tags[2]


async def test_a_file_is_opened_by_its_signature_alone_and_for_hours_only(graph: "Caller", clock: "Clock") -> None:
    told = await manifest(graph, clock, await invoice(graph, ["1"]))
    other = await manifest(graph, clock, await invoice(graph, ["1"]))
    [address] = addresses(told)
    assert (await graph.http.get(address)).status_code == 200
    assert (await graph.call("GET", address)).status_code == 403  # a token beside it
    file, _, _ = address.partition("?")
    for wrong in (file, address + "0", address.replace("sig=", "sig=0"), f"{file}?{other['sasToken']}"):
        got = await graph.http.get(wrong)
        assert (got.status_code, "<Code>AuthenticationFailed</Code>" in got.text) == (403, True), wrong
    assert (await graph.http.get(address.replace("part-00000", "part-00007"))).status_code == 404
    clock.advance(hours=12)
    assert (await graph.http.get(address)).status_code == 403


async def test_who_has_no_right_is_told_in_graphs_shape(graph: "Caller") -> None:
    number = await invoice(graph, ["1"])
    scope = f"{GRAPH}/.default"
    for upn, status in (
        ("finn@partner.example", 202),
        ("hana@partner.example", 403),
        ("carl@contoso.example", 403),
    ):
        graph.headers = {"Authorization": f"Bearer {(await graph.device_token(upn, scope))['access_token']}"}
        assert (await asked(graph, number)).status_code == status, upn
    got = await graph.call("POST", EXPORT, json={}, headers={"client-request-id": "mine"})
    error = got.json()["error"]
    assert (set(error), error["innerError"]["client-request-id"]) == ({"code", "message", "innerError"}, "mine")
    assert error["innerError"]["request-id"] == got.headers["request-id"]
    await graph.sign_in()  # at Partner Center: another audience
    for headers in (graph.headers, {}, {"Authorization": "Bearer nonsense"}):
        got = await graph.http.post(EXPORT, json={"invoiceId": number}, headers=headers)
        assert (got.status_code, got.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")


async def test_what_is_wrong_or_isnt_there_is_told_in_graphs_shape(graph: "Caller") -> None:
    for body in ({}, {"invoiceId": ""}, {"invoiceId": "G1", "attributeSet": "some"}, {"invoiceId": "G1", "x": 1}):
        got = await graph.call("POST", EXPORT, json=body)
        assert (got.status_code, got.json()["error"]["code"]) == (400, "BadRequest")
    for path in ("/operations/none", "/manifests/none", "/elsewhere"):
        got = await graph.call("GET", f"/v1.0/reports/partners/billing{path}")
        assert (got.status_code, "innerError" in got.json()["error"]) == (404, True)
