"""Azure support tickets: recorded behaviour and traps, file workspaces, and who plays Microsoft."""

import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest

from simulator.app import create_app
from simulator.state import Config
from tests.simulator.conftest import Caller

if TYPE_CHECKING:
    from tests.simulator.conftest import Clock, Server

Json = dict[str, Any]
AZURE = "https://management.azure.com"
BILLING = "/providers/Microsoft.Support/services/517f2da6-78fd-0498-4e22-ad26996b1dfc"
PLAN = "azure_plan"
SLEPT = 90  # seconds: 20 for an operation, up to 60 until what it made is listed


@dataclass
class Azure:
    """Azure as the partner sees it, in one customer's tenant, on one of its Azure subscriptions."""

    cloud: Caller
    tenant: str
    subscription: str
    headers: dict[str, str]
    problem: str = ""

    async def send(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """Sends to a path below the subscription's Microsoft.Support, or to a path from the root."""
        if not path.startswith(("/providers", "http")):
            path = f"/subscriptions/{self.subscription}/providers/Microsoft.Support/{path}"
        if "api-version" not in path:
            path += ("&" if "?" in path else "?") + "api-version=2024-04-01"
        given = {name: value for name, value in (self.headers | headers).items() if value}
        return await self.cloud.http.request(method, path, headers=given, json=body)

    async def get(self, path: str) -> Json:
        got = await self.send("GET", path)
        assert got.status_code == 200, got.text
        return dict(got.json())

    def ticket(self, **more: object) -> Json:
        contact = {
            "firstName": "Ana",
            "lastName": "Admin",
            "preferredContactMethod": "email",
            "primaryEmailAddress": "ana@partner.example",
            "preferredTimeZone": "W. Europe Standard Time",
            "country": "CHE",
            "preferredSupportLanguage": "en-us",
        }
        return {
            "serviceId": BILLING,
            "problemClassificationId": self.problem,
            "title": "Credit for the outage",
            "description": "Virtual machines were down.",
            "severity": "minimal",
            "advancedDiagnosticConsent": "No",
            "contactDetails": contact,
        } | more

    async def file(self, name: str, clock: "Clock", **more: object) -> Json:
        """Files a ticket and lets the time pass until it is listed."""
        got = await self.send("PUT", f"supportTickets/{name}", {"properties": self.ticket(**more)})
        assert got.status_code == 202, got.text
        clock.advance(seconds=SLEPT)
        return await self.get(f"supportTickets/{name}")

    async def truth(self, number: str) -> Json:
        return await self.cloud.door("GET", f"/azure-tickets/{number}")


async def azure_token(cloud: Caller, tenant: str, **form: str) -> str:
    given = form or {"grant_type": "refresh_token", "refresh_token": cloud.names["refresh_token"]}
    return str((await cloud.token(tenant=tenant, resource=AZURE, **given)).json()["access_token"])


async def azure_of(cloud: Caller, name: str = PLAN) -> Azure:
    plan = cloud.names["subscriptions"][name]
    tenant, subscription = plan["customer_id"], plan["azure_subscriptions"][0]
    headers = {
        "Authorization": f"Bearer {await azure_token(cloud, tenant)}",
        "x-ms-authorization-auxiliary": f"Bearer {await azure_token(cloud, cloud.names['tenant'])}",
    }
    azure = Azure(cloud, tenant, subscription, headers)
    problems = (await azure.get(f"{BILLING}/problemClassifications"))["value"]
    azure.problem = next(one["id"] for one in problems if one["properties"]["displayName"] == "Refund request")
    return azure


@pytest.fixture
async def azure(cloud: Caller) -> Azure:
    return await azure_of(cloud)


def wire_error(got: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal, in either shape."""
    body = got.json()
    return got.status_code, str(body["Error"]["Code"] if "Error" in body else body["error"]["code"])


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
    for changed in (poll[:-1], poll.replace("%2f", "/"), poll + "&x=1", poll.partition("&t=")[0]):
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


async def uploaded(azure: Azure, workspace: str, name: str, content: bytes, size: int = 2_621_440) -> None:
    chunks = [content[start : start + size] for start in range(0, len(content), size)]
    sizes = {"fileSize": len(content), "chunkSize": len(chunks[0]), "numberOfChunks": len(chunks)}
    path = f"fileWorkspaces/{workspace}/files/{name}"
    assert (await azure.send("PUT", path, {"properties": sizes})).status_code == 201
    for index, chunk in enumerate(chunks):
        body = {"content": base64.b64encode(chunk).decode(), "chunkIndex": index}
        assert (await azure.send("POST", f"{path}/upload", body)).status_code == 204


async def test_a_ticket_has_the_files_that_were_uploaded_whole(azure: Azure, clock: "Clock") -> None:
    made = await azure.send("PUT", "fileWorkspaces/claim-1")
    assert made.status_code == 201
    assert made.json()["properties"]["expirationTime"] == "2026-03-11T09:30:15.1230000Z"
    await uploaded(azure, "claim-1", "form.pdf", b"%PDF-1.7 all of it")
    half = {"properties": {"fileSize": 10, "chunkSize": 5, "numberOfChunks": 2}}
    await azure.send("PUT", "fileWorkspaces/claim-1/files/half.pdf", half)
    body = {"content": base64.b64encode(b"%PDF-").decode(), "chunkIndex": 0}
    await azure.send("POST", "fileWorkspaces/claim-1/files/half.pdf/upload", body)
    ticket = await azure.file("claim-1", clock, fileWorkspaceName="claim-1")
    assert ticket["properties"]["fileWorkspaceName"] == "claim-1"
    truth = await azure.truth(ticket["properties"]["supportTicketId"])
    digest = hashlib.sha256(b"%PDF-1.7 all of it").hexdigest()
    assert truth["files"] == [{"name": "form.pdf", "size": 18, "sha256": digest}]
    listed = (await azure.get("fileWorkspaces/claim-1/files"))["value"]
    assert [one["name"] for one in listed] == ["form.pdf", "half.pdf"]


async def test_an_expired_workspace_takes_no_file_and_goes_with_no_ticket(azure: Azure, clock: "Clock") -> None:
    await azure.send("PUT", "fileWorkspaces/claim-1")
    await uploaded(azure, "claim-1", "form.pdf", b"%PDF-1.7")
    await azure.send("PUT", "fileWorkspaces/claim-2")
    wanted = {"subscription_id": azure.subscription, "name": "claim-2"}
    await azure.cloud.door("POST", "/azure-tickets/workspaces/expire", wanted)
    ticket = {"properties": azure.ticket(fileWorkspaceName="claim-2")}
    assert wire_error(await azure.send("PUT", "supportTickets/claim-2", ticket)) == (400, "InvalidData")
    clock.advance(hours=24)
    azure = await azure_of(azure.cloud)
    body = {"content": base64.b64encode(b"%PDF-1.7").decode(), "chunkIndex": 0}
    got = await azure.send("POST", "fileWorkspaces/claim-1/files/form.pdf/upload", body)
    assert wire_error(got) == (400, "InvalidData")
    # Made again, it is the one that expired.
    again = (await azure.send("PUT", "fileWorkspaces/claim-1")).json()
    assert again["properties"]["expirationTime"] == "2026-03-11T09:30:15.1230000Z"


async def test_files_that_arent_taken(azure: Azure) -> None:
    await azure.send("PUT", "fileWorkspaces/claim-1")
    for name, size, chunk, chunks in (
        ("form.pdf", 5_242_881, 2_621_440, 3),
        ("form.pdf", 5_242_880, 5_242_880, 1),
        ("form.pdf", 0, 1, 0),
        ("form.pdf", 10, 5, 1),
        ("form.EXE", 10, 10, 1),
        ("f" * 107 + ".pdf", 10, 10, 1),
    ):
        sizes = {"properties": {"fileSize": size, "chunkSize": chunk, "numberOfChunks": chunks}}
        got = await azure.send("PUT", f"fileWorkspaces/claim-1/files/{name}", sizes)
        assert wire_error(got) == (400, "InvalidData"), (name, size, chunk, chunks)


async def test_pieces_that_arent_taken(azure: Azure) -> None:
    await azure.send("PUT", "fileWorkspaces/claim-1")
    sizes = {"properties": {"fileSize": 10, "chunkSize": 5, "numberOfChunks": 2}}
    await azure.send("PUT", "fileWorkspaces/claim-1/files/form.pdf", sizes)
    for content, index in (("not base64", 0), (base64.b64encode(b"12345").decode(), 2), ("MTIzNA==", 0)):
        chunk = {"content": content, "chunkIndex": index}
        got = await azure.send("POST", "fileWorkspaces/claim-1/files/form.pdf/upload", chunk)
        assert wire_error(got) == (400, "InvalidData"), chunk
    taken = {"content": base64.b64encode(b"12345").decode(), "chunkIndex": 1}
    got = await azure.send("POST", "fileWorkspaces/claim-1/files/form.pdf/upload", taken)
    assert got.status_code == 204


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


@pytest.mark.parametrize(
    ("persona", "status", "credit"),
    [
        ("approve", "Closed", "-240.00"),
        ("half_credit", "Closed", "-120.00"),
        ("deny", "Closed", ""),
        ("silence", "Open", ""),
    ],
)
async def test_personas_close_write_and_credit(
    azure: Azure, clock: "Clock", persona: str, status: str, credit: str
) -> None:
    before = (await azure.cloud.get("/v1/invoices"))["totalCount"]
    wanted = {"of": azure.subscription, "persona": persona, "amount": "240.00"}
    await azure.cloud.door("POST", "/azure-tickets/persona", wanted)
    ticket = await azure.file("claim-1", clock)
    messages = (await azure.get("supportTickets/claim-1/communications"))["value"]
    assert ticket["properties"]["status"] == status
    directions = [one["properties"]["communicationDirection"] for one in messages]
    assert directions == ([] if persona == "silence" else ["Outbound"])
    invoices = await azure.cloud.get("/v1/invoices?size=500")
    assert invoices["totalCount"] == before + bool(credit)
    if credit:
        path = f"/v1/invoices/{invoices['items'][-1]['id']}/lineitems/onetime/billinglineitems"
        line = (await azure.cloud.get(path))["items"][0]
        assert (str(line["subtotal"]), line["customerId"].lower()) == (credit, azure.tenant)


async def test_who_asks_for_more_is_content_with_an_answer(azure: Azure, clock: "Clock") -> None:
    wanted = {"of": azure.tenant, "persona": "ask_for_more", "amount": "240.00"}
    await azure.cloud.door("POST", "/azure-tickets/persona", wanted)
    asked = await azure.file("claim-1", clock)
    path = "supportTickets/claim-1/communications"
    assert asked["properties"]["status"] == "Open"
    assert asked["properties"]["modifiedDate"] > asked["properties"]["createdDate"]
    assert len((await azure.get(path))["value"]) == 1
    answer = {"properties": {"subject": "Re:", "body": "vm-1 and vm-2.", "sender": "ana@partner.example"}}
    await azure.send("PUT", f"{path}/reply-1", answer)
    clock.advance(seconds=SLEPT)
    assert (await azure.get("supportTickets/claim-1"))["properties"]["status"] == "Closed"
    directions = [one["properties"]["communicationDirection"] for one in (await azure.get(path))["value"]]
    assert directions == ["Outbound", "Inbound", "Outbound"]


async def test_the_side_door_plays_the_portal_and_microsoft(azure: Azure) -> None:
    filed = {"customer_id": azure.tenant, "subscription_id": azure.subscription, "title": "By hand"}
    number = (await azure.cloud.door("POST", "/azure-tickets", filed))["ticket"]["number"]
    listed = (await azure.get("supportTickets"))["value"]
    assert [(one["properties"]["supportTicketId"], one["properties"]["title"]) for one in listed] == [
        (number, "By hand")
    ]
    name = listed[0]["name"]
    await azure.cloud.door("POST", f"/azure-tickets/{number}/communications", {"body": "Which one?"})
    messages = (await azure.get(f"supportTickets/{name}/communications"))["value"]
    assert [one["properties"]["body"] for one in messages] == ["Which one?"]
    await azure.cloud.door("POST", f"/azure-tickets/{number}/status", {"status": "Closed", "note": "Done."})
    assert (await azure.get(f"supportTickets/{name}"))["properties"]["status"] == "Closed"
    truth = await azure.truth(number)
    assert [one["body"] for one in truth["communications"]] == ["Which one?", "Done."]


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


async def test_tickets_files_and_operations_survive_a_kill(serve: "Callable[[], Server]") -> None:
    async def at(server: "Server") -> tuple[httpx.AsyncClient, Azure]:
        http = httpx.AsyncClient(base_url=server.url, trust_env=False)
        return http, await azure_of(Caller(http, (await http.get("/_simulator/seed")).json()))

    server = serve()
    http, azure = await at(server)
    await azure.send("PUT", "fileWorkspaces/claim-1")
    await uploaded(azure, "claim-1", "form.pdf", b"%PDF-1.7")
    body = {"properties": azure.ticket(fileWorkspaceName="claim-1")}
    first = await azure.send("PUT", "supportTickets/claim-1", body)
    await http.aclose()
    server.kill()
    http, azure = await at(serve())
    again = await azure.send("PUT", "supportTickets/claim-1", body)
    operation = first.headers["azure-asyncoperation"].partition("?")[0].rpartition("/")[2]
    assert operation in again.headers["azure-asyncoperation"]
    truth = (await azure.cloud.door("GET", "/azure-tickets"))["tickets"]
    assert [(one["ticket"]["name"], one["files"][0]["name"]) for one in truth] == [("claim-1", "form.pdf")]
    await http.aclose()
