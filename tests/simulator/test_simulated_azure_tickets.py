"""Azure support tickets: recorded behaviour and traps."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
import pytest

from simulator.app import create_app
from simulator.state import Config
from tests.simulator.at_azure import BILLING, PLAN, SLEPT, Azure, azure_of, azure_token, wire_error
from tests.simulator.conftest import Caller

if TYPE_CHECKING:
    from tests.simulator.conftest import Clock


@pytest.fixture
async def azure(cloud: Caller) -> Azure:
    return await azure_of(cloud)


async def test_the_catalogue_has_the_services_and_the_problems_of_each(azure: Azure) -> None:
    services = (await azure.get("/providers/Microsoft.Support/services"))["value"]
    assert (BILLING, "Billing") in [(one["id"], one["properties"]["displayName"]) for one in services]
    problems = (await azure.get(f"{BILLING}/problemClassifications"))["value"]
    names = {one["properties"]["displayName"]: one["id"] for one in problems}
    assert {"Refund request", "Reservation Management / Exchanges and Refunds"} <= set(names)
    one = await azure.get(names["Refund request"])
    assert one["properties"]["displayName"] == "Refund request"
    nobody = BILLING.replace("517f2da6", "00000000")
    assert wire_error(await azure.send("GET", f"{nobody}/problemClassifications"))[0] == 404


async def test_a_ticket_is_accepted_then_made_and_listed_only_later(azure: Azure, clock: "Clock") -> None:
    got = await azure.send("PUT", "supportTickets/claim-1", {"properties": azure.ticket()})
    assert (got.status_code, got.content) == (202, b"")
    assert "retry-after" not in got.headers  # none was recorded
    poll = got.headers["azure-asyncoperation"]
    assert len(poll) > 3000
    assert "/operationResults/" in got.headers["location"]
    assert (await azure.get(poll))["status"] == "InProgress"
    assert wire_error(await azure.send("GET", "supportTickets/claim-1"))[0] == 404
    clock.advance(seconds=20)
    assert (await azure.get(poll))["status"] == "Succeeded"
    ticket = await azure.get("supportTickets/claim-1")
    assert (await azure.get("supportTickets"))["value"] == []
    clock.advance(seconds=60)
    properties = ticket["properties"]
    assert ticket["id"].endswith("/providers/Microsoft.Support/supportTickets/claim-1")
    assert (len(properties["supportTicketId"]), properties["supportTicketId"].isdecimal()) == (15, True)
    assert (properties["severity"], properties["status"]) == ("Minimal", "Open")
    assert properties["contactDetails"]["preferredContactMethod"] == "Email"
    assert properties["createdDate"] == "2026-03-10T09:30:15.1230000Z"
    assert properties["problemClassificationDisplayName"] == "Refund request"
    assert [one["name"] for one in (await azure.get("supportTickets"))["value"]] == ["claim-1"]


async def test_a_signed_address_is_good_to_the_letter_only(azure: Azure) -> None:
    got = await azure.send("PUT", "supportTickets/claim-1", {"properties": azure.ticket()})
    poll = got.headers["azure-asyncoperation"]
    assert (await azure.send("GET", poll)).status_code == 200
    for changed in (
        poll[:-1],
        poll.replace("%2f", "/"),
        poll + "&x=1",
        poll.partition("&t=")[0],
        poll.replace("Microsoft", "microsoft"),
    ):
        assert wire_error(await azure.send("GET", changed))[0] == 400, changed[-20:]


async def test_without_the_partners_token_the_operation_fails_inside_a_200(azure: Azure, clock: "Clock") -> None:
    customers = azure.headers["Authorization"]
    for auxiliary in ("", customers):
        got = await azure.send(
            "PUT",
            "supportTickets/claim-1",
            {"properties": azure.ticket()},
            **{"x-ms-authorization-auxiliary": auxiliary},
        )
        assert got.status_code == 202
        clock.advance(seconds=SLEPT)
        looked = await azure.send("GET", got.headers["azure-asyncoperation"])
        assert (looked.status_code, looked.json()["status"]) == (200, "Failed")
        assert "support plan type is CSP" in looked.json()["error"]["message"]
    assert (await azure.cloud.door("GET", "/azure-tickets"))["tickets"] == []
    # The name is free still.
    assert (await azure.file("claim-1", clock))["name"] == "claim-1"


async def test_an_invalid_auxiliary_token_is_named_in_a_401(azure: Azure) -> None:
    got = await azure.send("GET", "supportTickets", **{"x-ms-authorization-auxiliary": "Bearer nonsense"})
    assert got.status_code == 401
    assert "number 1" in got.json()["error"]["message"]


async def test_plan_and_rights_can_be_taken_from_a_customer_and_given_back(azure: Azure, clock: "Clock") -> None:
    await azure.cloud.door("POST", "/azure-tickets/access", {"of": azure.tenant, "plan_is_too_low": True})
    got = await azure.send("PUT", "supportTickets/claim-1", {"properties": azure.ticket()})
    clock.advance(seconds=SLEPT)
    assert (await azure.get(got.headers["azure-asyncoperation"]))["status"] == "Failed"
    await azure.cloud.door("POST", "/azure-tickets/access", {"of": azure.subscription, "has_rights": False})
    assert wire_error(await azure.send("GET", "supportTickets")) == (403, "AuthorizationFailed")
    await azure.cloud.door("POST", "/azure-tickets/access", {"of": azure.subscription})
    await azure.file("claim-1", clock)


async def test_a_subscription_of_somebody_else_isnt_found(cloud: Caller, azure: Azure) -> None:
    others = cloud.names["subscriptions"]["northwind_azure_plan"]["azure_subscriptions"][0]
    path = f"/subscriptions/{others}/providers/Microsoft.Support/supportTickets"
    got = await cloud.http.get(path, params={"api-version": "2024-04-01"}, headers=azure.headers)
    assert wire_error(got) == (404, "SubscriptionNotFound")


async def test_a_legacy_azure_subscription_is_one_itself(cloud: Caller, clock: "Clock") -> None:
    azure = await azure_of(cloud, "azure_legacy")
    assert azure.subscription == cloud.names["subscriptions"]["azure_legacy"]["id"]
    await azure.file("claim-1", clock)


async def test_what_is_missing_or_wrong_is_refused_in_pascal_case(azure: Azure) -> None:
    for wrong in (
        {"title": None},
        {"description": ""},
        {"severity": "urgent"},
        {"advancedDiagnosticConsent": None},
        {"contactDetails": {"firstName": "Ana"}},
        {"serviceId": BILLING[:-1] + "0"},
        {"problemClassificationId": f"{BILLING}/problemClassifications/0"},
        {"fileWorkspaceName": "never-made"},
    ):
        properties = {key: value for key, value in (azure.ticket() | wrong).items() if value is not None}
        got = await azure.send("PUT", "supportTickets/claim-1", {"properties": properties})
        assert wire_error(got) == (400, "InvalidData"), wrong
        assert set(got.json()["Error"]) == {"Code", "Message", "Target", "InnerError", "Details"}
    flat = await azure.send("PUT", "supportTickets/claim-1", azure.ticket())
    assert wire_error(flat) == (400, "InvalidData")


async def test_names_that_a_ticket_cant_have(azure: Azure) -> None:
    for name in ("123456", "tmp-1", "a<b", "x" * 256):
        got = await azure.send("PUT", f"supportTickets/{quote(name)}", {"properties": azure.ticket()})
        assert wire_error(got) == (400, "InvalidData"), name
        asked = {"name": name, "type": "Microsoft.Support/supportTickets"}
        checked = (await azure.send("POST", "checkNameAvailability", asked)).json()
        assert (checked["nameAvailable"], checked["reason"]) == (False, "Invalid"), name
    free = {"name": "claim-1", "type": "Microsoft.Support/supportTickets"}
    assert (await azure.send("POST", "checkNameAvailability", free)).json() == {"nameAvailable": True}


async def test_a_name_is_one_ticket_however_often_it_is_put(azure: Azure, clock: "Clock") -> None:
    body = {"properties": azure.ticket()}
    first = await azure.send("PUT", "supportTickets/claim-1", body)
    again = await azure.send("PUT", "supportTickets/claim-1", body)
    assert (again.status_code, again.headers["azure-asyncoperation"]) == (202, first.headers["azure-asyncoperation"])
    other = await azure.send("PUT", "supportTickets/claim-1", {"properties": azure.ticket(title="Another")})
    assert wire_error(other) == (409, "Conflict")
    asked = {"name": "claim-1", "type": "Microsoft.Support/supportTickets"}
    assert (await azure.send("POST", "checkNameAvailability", asked)).json()["nameAvailable"] is False
    clock.advance(seconds=SLEPT)
    seen = await azure.send("PUT", "supportTickets/claim-1", body)
    assert (seen.status_code, seen.json()["name"]) == (200, "claim-1")
    assert (await azure.cloud.door("GET", "/azure-tickets"))["effects"]["tickets"] == 1


async def test_tickets_are_listed_in_pages_and_filtered(azure: Azure, clock: "Clock") -> None:
    for number in range(5):
        await azure.file(f"claim-{number}", clock)
    page = await azure.get("supportTickets?$top=2")
    names = [one["name"] for one in page["value"]]
    while "nextLink" in page:
        page = await azure.get(page["nextLink"])
        names += [one["name"] for one in page["value"]]
    assert names == [f"claim-{number}" for number in range(5)]
    await azure.send("PATCH", "supportTickets/claim-3", {"status": "closed"})

    async def found(filters: str) -> list[str]:
        return [one["name"] for one in (await azure.get(f"supportTickets?$filter={filters}"))["value"]]

    assert await found("Status eq 'Closed'") == ["claim-3"]
    third = (await azure.get("supportTickets/claim-2"))["properties"]["createdDate"]
    assert await found(f"createdDate ge {third} and status eq 'open'") == ["claim-2", "claim-4"]
    assert await found(f"CreatedDate gt {third}") == ["claim-3", "claim-4"]
    assert await found("ServiceId eq '517f2da6-78fd-0498-4e22-ad26996b1dfc'") == names
    for refused in ("Title eq 'x'", "Status gt 'Open'", "createdDate ge yesterday"):
        assert wire_error(await azure.send("GET", f"supportTickets?$filter={refused}"))[0] == 400
    assert wire_error(await azure.send("GET", "supportTickets?$top=101"))[0] == 400


async def test_a_patch_is_flat_and_a_wrapped_one_changes_nothing(azure: Azure, clock: "Clock") -> None:
    before = await azure.file("claim-1", clock)
    wrapped = await azure.send("PATCH", "supportTickets/claim-1", {"properties": {"severity": "critical"}})
    assert (wrapped.status_code, wrapped.json()) == (200, before)
    change = {"severity": "moderate", "contactDetails": {"phoneNumber": "+41 44 000 00 00"}}
    after = (await azure.send("PATCH", "supportTickets/claim-1", change)).json()["properties"]
    assert (after["severity"], after["contactDetails"]["phoneNumber"]) == ("Moderate", "+41 44 000 00 00")
    assert after["contactDetails"]["lastName"] == "Admin"
    assert after["modifiedDate"] > before["properties"]["modifiedDate"]
    assert wire_error(await azure.send("PATCH", "supportTickets/claim-1", {"status": "updating"}))[0] == 400


async def test_messages_of_ours_come_back_as_inbound(azure: Azure, clock: "Clock") -> None:
    """Recorded; Microsoft's own example has such a message as outbound."""
    await azure.file("claim-1", clock)
    path = "supportTickets/claim-1/communications"
    body = {"properties": {"subject": "Form", "body": "Here it is.", "sender": "ana@partner.example"}}
    got = await azure.send("PUT", f"{path}/reply-1", body)
    assert got.status_code == 202
    clock.advance(seconds=SLEPT)
    assert (await azure.get(got.headers["azure-asyncoperation"]))["status"] == "Succeeded"
    message = (await azure.get(f"{path}/reply-1"))["properties"]
    assert (message["communicationDirection"], message["communicationType"]) == ("Inbound", "Web")
    assert (await azure.get(path))["value"] == [await azure.get(f"{path}/reply-1")]
    assert (await azure.send("PUT", f"{path}/reply-1", body)).status_code == 200
    body["properties"]["body"] = "Something else."
    assert wire_error(await azure.send("PUT", f"{path}/reply-1", body)) == (409, "Conflict")
    guid = "7f0c6b1e-5a57-4c0e-8f47-0a8f0a0b0c0d"
    assert wire_error(await azure.send("PUT", f"{path}/{guid}", body)) == (400, "InvalidData")
    asked = {"name": guid, "type": "Microsoft.Support/communications"}
    got = await azure.send("POST", "supportTickets/claim-1/checkNameAvailability", asked)
    assert wire_error(got) == (400, "InvalidData")


async def test_an_application_alone_must_name_a_sender(azure: Azure, clock: "Clock") -> None:
    await azure.file("claim-1", clock)
    alone = await azure_token(
        azure.cloud, azure.tenant, grant_type="client_credentials", client_id=azure.cloud.names["client_id"]
    )
    path = "supportTickets/claim-1/communications"
    body = {"subject": "Form", "body": "Here it is."}
    authorization = f"Bearer {alone}"
    got = await azure.send("PUT", f"{path}/reply-1", {"properties": body}, Authorization=authorization)
    assert wire_error(got) == (400, "InvalidData")
    body["sender"] = "ana@partner.example"
    got = await azure.send("PUT", f"{path}/reply-1", {"properties": body}, Authorization=authorization)
    assert got.status_code == 202


async def test_without_a_subscription_there_are_billing_tickets_only(azure: Azure, clock: "Clock") -> None:
    path = "/providers/Microsoft.Support/supportTickets/claim-1"
    got = await azure.send("PUT", path, {"properties": azure.ticket()})
    assert got.status_code == 202
    clock.advance(seconds=SLEPT)
    assert (await azure.get(got.headers["azure-asyncoperation"]))["status"] == "Succeeded"
    assert (await azure.get(path))["id"] == path
    assert (await azure.get("supportTickets"))["value"] == []
    service = "/providers/Microsoft.Support/services/06bfd9d3-516b-d5c6-5802-169c800dec89"
    problem = (await azure.get(f"{service}/problemClassifications"))["value"][0]["id"]
    quota = azure.ticket(serviceId=service, problemClassificationId=problem)
    assert wire_error(await azure.send("PUT", f"{path}-2", {"properties": quota})) == (400, "InvalidData")


async def test_entitlements_are_the_azure_subscriptions_of_a_plan(cloud: Caller) -> None:
    items = (await cloud.get(f"{cloud.subscription_path(PLAN)}/azureEntitlements"))["items"]
    assert [one["id"] for one in items] == cloud.names["subscriptions"][PLAN]["azure_subscriptions"]
    assert {one["status"] for one in items} == {"active"}
    assert (await cloud.get(f"{cloud.subscription_path('azure_legacy')}/azureEntitlements"))["items"] == []


@pytest.fixture
async def scaled() -> AsyncIterator[Caller]:
    """A cloud in which Azure's times are gone."""
    transport = httpx.ASGITransport(create_app(Config(time_scale=0)))
    async with httpx.AsyncClient(transport=transport, base_url="http://simulator.test") as http:
        yield Caller(http, (await http.get("/_simulator/seed")).json())


async def test_where_times_are_scaled_the_pause_is_said(scaled: Caller) -> None:
    azure = await azure_of(scaled)
    got = await azure.send("PUT", "supportTickets/claim-1", {"properties": azure.ticket()})
    assert (got.status_code, got.headers["retry-after"]) == (202, "0")
    assert (await azure.get(got.headers["azure-asyncoperation"]))["status"] == "Succeeded"
    seen = (await azure.get("supportTickets/claim-1"))["properties"]["createdDate"]
    assert datetime.fromisoformat(seen) > datetime.fromisoformat("2026-01-01T00:00:00Z")


async def test_a_path_in_any_case_and_a_name_in_its_own(azure: Azure, clock: "Clock") -> None:
    await azure.file("Claim-1", clock)
    for path in ("SUPPORTTICKETS/Claim-1", "supporttickets/claim-1"):
        assert (await azure.get(path))["name"] == "Claim-1"
    root = f"/Subscriptions/{azure.subscription.upper()}/Providers/microsoft.support/supportTickets/CLAIM-1"
    assert (await azure.send("GET", f"http://simulator.test{root}")).json()["name"] == "Claim-1"
    missing = await azure.send("GET", "http://simulator.test/PROVIDERS/Microsoft.Support/nothing")
    assert wire_error(missing) == (404, "NotFound")


async def test_a_page_that_is_no_number_is_refused(azure: Azure) -> None:
    for query in (f"$skiptoken={'9' * 5000}", "$skiptoken=x", f"$top={'9' * 5000}", "$top=0"):
        assert wire_error(await azure.send("GET", f"supportTickets?{query}")) == (400, "InvalidData")
