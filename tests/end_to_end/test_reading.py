"""What is fetched, listed and linked: the packet, the documents, the lists, the versions, the run in Temporal."""

import asyncio
import io
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from temporalio.client import WorkflowExecutionStatus

from tests.end_to_end.ways import ANA, CORA, HANA, RITA, TestDesk, papers
from tests.starter.conftest import problem


async def test_the_packet_holds_the_fields_in_order_and_every_document(desk: TestDesk) -> None:
    claim = await desk.opened(
        await desk.subscribed("fabrikam"),
        "service_outage",
        amount_asked={"amount": "12.5", "currency": "USD"},
        amount_basis="A day of 30",
    )
    packet = f"/v1/claims/{claim['id']}/packet"
    await desk.until(claim["id"], "collecting_evidence")
    ana = await desk.client()
    problem(await ana.get(packet), 409, "checklist_complete")
    claim = await desk.collected(claim)
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 2_000
    claim = await desk.attached(claim["id"], "supporting_document", "../screen ü.png", picture)

    answer = await ana.get(packet)
    assert answer.headers["content-type"] == "application/zip"
    assert answer.content == (await ana.get(packet)).content
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    fields = archive.read("fields.txt").decode()
    said = claim["opening"]
    in_order = [
        f"Subscription ID: {said['subscription_id']}",
        f"Customer tenant ID: {said['customer_id']}",
        "Number of customers impacted: 1",
        f"Outage incident ID: {said['incident']['reference']}",
        "Billing admin e-mail address: ana@partner.example",
        f"Problem start time: {said['incident']['date']} 00:00 UTC",
        "Problem description:",
        "Amount asked: 12.50 USD before tax (A day of 30).",
        "Contact name: Ana Admin",
    ]
    assert sorted(in_order, key=fields.index) == in_order
    where = archive.read("where-to-go.txt").decode()
    assert "https://partner.microsoft.com/support" in where
    assert claim["deadline"]["due_on"] in where

    given = [*papers("fabrikam.example").values(), ("supporting_document", "", picture)]
    kinds = {kind: content for kind, _, content in given}
    packed = {name.split("-")[1]: archive.read(name) for name in archive.namelist() if name.startswith("documents/")}
    assert packed == kinds
    for document in claim["documents"]:
        fetched = await ana.get(document["link"])
        assert fetched.content == kinds[document["kind"]]
        assert fetched.headers["content-type"].partition(";")[0] == document["media_type"]
        assert fetched.headers["content-disposition"].startswith("attachment;")
        assert fetched.headers["x-content-type-options"] == "nosniff"
    assert claim["documents"][-1]["filename"] == "screen ü.png"


async def test_lists_are_filtered_sorted_and_paged(desk: TestDesk) -> None:
    mark = f"list-{datetime.now(UTC):%H%M%S%f}"
    customers = ("fabrikam", "fabrikam", "adatum", "adatum", "northwind")
    opened = []
    for number, customer in enumerate(customers):
        day = datetime.now(UTC).date() - timedelta(days=31 * number + 1)
        incident = {"date": day.isoformat(), "reference": f"{mark}-{number}", "description": "Slow."}
        opened.append(await desk.opened(await desk.subscribed(customer, days_ago=300), incident=incident))
    ids = [claim["id"] for claim in opened]
    for claim_id in ids:
        await desk.until(claim_id, lambda seen: seen["status"] in ("collecting_evidence", "overdue"))
    await desk.act(ids[0], "assignee", by=HANA, assignee="Hana")
    await desk.act(ids[1], "withdrawal", reason="No longer needed.")
    ana = await desk.client()

    async def listed(by: httpx.AsyncClient = ana, **query: Any) -> list[str]:
        found: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            answer = await by.get("/v1/claims", params={"text": mark, **query, **cursor})
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found += [item["id"] for item in page["items"]]
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}

    assert await listed(sort="opened_at") == ids
    assert await listed(sort="opened_at", limit=2) == ids
    assert await listed(sort="-opened_at", limit=2) == ids[::-1]
    # What is closed has nothing to be filed any more: it comes last.
    assert await listed(sort="due_at", limit=2) == [ids[4], ids[3], ids[2], ids[0], ids[1]]
    assert await listed(status="withdrawn") == [ids[1]]
    overdue = {claim_id for claim_id in ids if (await desk.read(claim_id))["status"] == "overdue"}
    assert overdue >= {ids[3], ids[4]}
    assert set(await listed(status=["withdrawn", "overdue"])) == overdue | {ids[1]}
    assert set(await listed(customer_id=desk.seed["customers"]["adatum"]["id"].upper())) == {ids[2], ids[3]}
    assert await listed(assignee="Hana") == [ids[0]]
    assert ids[0] not in await listed(waiting_on="nobody")
    due = (await desk.read(ids[3]))["deadline"]["due_at"]
    assert await listed(due_before=due) == [ids[4]]
    assert set(await listed(await desk.client(CORA))) == {ids[0], ids[1]}
    assert await listed(await desk.client(RITA)) == []
    assert await listed(text=f"{mark}-4") == [ids[4]]


async def test_an_etag_is_the_version(desk: TestDesk) -> None:
    claim = await desk.opened(await desk.subscribed("fabrikam"))
    claim = await desk.until(claim["id"], "collecting_evidence")
    ana, path = await desk.client(), claim["links"]["self"]
    etag = (await ana.get(path)).headers["etag"]
    unchanged = await ana.get(path, headers={"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", etag)
    await desk.act(claim["id"], "assignee", assignee="Ana")
    changed = await ana.get(path, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag


async def test_the_run_in_the_temporal_ui_shows_where_the_claim_stands(desk: TestDesk) -> None:
    claim = await desk.filed(await desk.opened(await desk.subscribed("fabrikam")))
    link = claim["links"]["temporal_ui"]
    assert link.startswith(f"{desk.settings.temporal_ui_url}/namespaces/default/workflows/")
    assert (await desk.door.get(link)).status_code == 200
    handle = (await desk.temporal()).get_workflow_handle(link.rpartition("/")[2])
    run = await handle.describe()
    assert run.status is WorkflowExecutionStatus.RUNNING
    assert run.workflow_type == "CreditClaim"
    assert (
        await run.static_summary()
        == f"technical issue of {claim['opening']['incident']['date']}, raised by the partner"
    )
    attributes = {pair.key.name: pair.value for pair in run.typed_search_attributes}
    due = datetime.fromisoformat(claim["deadline"]["due_at"])
    ours = {"ClaimStatus", "CustomerId", "TicketId", "WaitingOn", "DueAt"}
    assert {name: value for name, value in attributes.items() if name in ours} == {
        "ClaimStatus": "filed",
        "CustomerId": claim["customer"]["id"],
        "TicketId": claim["filing"]["number"],
        "WaitingOn": "microsoft",
        "DueAt": due,
    }
    told = await handle.query("__temporal_workflow_metadata")
    details = str(told)
    assert "## filed" in details
    assert claim["filing"]["number"] in details
    found = [
        one.id async for one in (await desk.temporal()).list_workflows(f"TicketId = '{claim['filing']['number']}'")
    ]
    assert found == [claim["id"]]

    await desk.act(claim["id"], "withdrawal", reason="Told enough.")
    async with asyncio.timeout(20):
        assert await handle.result() == "withdrawn"
    attributes = {pair.key.name: pair.value for pair in (await handle.describe()).typed_search_attributes}
    assert attributes["ClaimStatus"] == "withdrawn"
    assert not {"DueAt", "WaitingOn"} & attributes.keys()


async def test_the_deadline_and_the_kinds_of_evidence_are_told_before(desk: TestDesk) -> None:
    told = (await (await desk.client(ANA)).get("/v1/evidence-kinds")).json()
    assert told["max_bytes"] == desk.settings.max_document_bytes
    assert {rule["kind"] for rule in told["kinds"]} == set(papers("x.example")) | {"supporting_document"}
    claim = await desk.until((await desk.opened(await desk.subscribed("fabrikam")))["id"], "collecting_evidence")
    deadline = claim["deadline"]
    assert deadline["explanation"]
    assert deadline["rule"] == "one-full-calendar-month"
    assert datetime.fromisoformat(deadline["due_at"]).date() == datetime.fromisoformat(
        deadline["due_on"]
    ).date() + timedelta(days=1)
