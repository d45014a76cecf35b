"""Azure support tickets: their file workspaces, who plays Microsoft, and what outlives a kill."""

import base64
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.simulator.at_azure import SLEPT, Azure, azure_of, uploaded, wire_error
from tests.simulator.conftest import Caller

if TYPE_CHECKING:
    from tests.simulator.conftest import Clock, Server


@pytest.fixture
async def azure(cloud: Caller) -> Azure:
    return await azure_of(cloud)


async def test_a_ticket_has_the_files_that_were_uploaded_whole(azure: Azure, clock: "Clock") -> None:
    made = await azure.send("PUT", "fileWorkspaces/claim-1")
    assert made.status_code == 201
    assert made.json()["properties"]["expirationTime"] == "2026-03-11T09:30:15.1230000Z"
    await uploaded(azure, "claim-1", "form.pdf", b"%PDF-1.7 all of it")
    ticket = await azure.file("claim-1", clock, fileWorkspaceName="claim-1")
    assert ticket["properties"]["fileWorkspaceName"] == "claim-1"
    truth = await azure.truth(ticket["properties"]["supportTicketId"])
    digest = hashlib.sha256(b"%PDF-1.7 all of it").hexdigest()
    assert truth["files"] == [{"name": "form.pdf", "size": 18, "sha256": digest}]
    listed = (await azure.get("fileWorkspaces/claim-1/files"))["value"]
    assert [one["name"] for one in listed] == ["form.pdf"]


async def test_a_ticket_is_refused_while_a_file_lacks_a_piece(azure: Azure) -> None:
    await azure.send("PUT", "fileWorkspaces/claim-1")
    half = {"properties": {"fileSize": 10, "chunkSize": 5, "numberOfChunks": 2}}
    await azure.send("PUT", "fileWorkspaces/claim-1/files/half.pdf", half)
    ticket = {"properties": azure.ticket(fileWorkspaceName="claim-1")}
    for index in range(2):
        assert wire_error(await azure.send("PUT", "supportTickets/claim-1", ticket)) == (400, "InvalidData")
        body = {"content": base64.b64encode(b"%PDF-").decode(), "chunkIndex": index}
        await azure.send("POST", "fileWorkspaces/claim-1/files/half.pdf/upload", body)
    assert (await azure.send("PUT", "supportTickets/claim-1", ticket)).status_code == 202


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
        ("form.exe.", 10, 10, 1),
        ("form.exe. .", 10, 10, 1),
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
