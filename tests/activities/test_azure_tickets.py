"""Azure tickets filed once with their documents whatever goes wrong on the way, read back, answered, and swept."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment

from activities.azure_tickets import (
    AzureFiling,
    AzureSubscription,
    AzureTickets,
    FileAzureTicket,
    FollowAzureReply,
    ReplyToAzureTicket,
    azure_subscription,
)
from activities.tickets import LookUpTicket
from domain import lifecycle
from domain.claims import Claim, Contact, Incident, Status
from domain.evidence import Document
from domain.roles import Role
from domain.tickets import TicketLookup, TicketStatus
from microsoft.clients import microsoft
from tests.activities.conftest import Desk
from tests.domain.samples import azure, document
from tests.records.samples import ANA
from tests.simulated import Simulator, azure_plan, azure_tickets, settings_for
from worker import filer

FORM = b"%PDF-1.7\n%%EOF\n"


async def stored(desk: Desk, like: Document, content: bytes) -> Document:
    """The document with this content in the blob store."""

    async def chunks() -> AsyncIterator[bytes]:
        yield content

    kept = await desk.blobs.put(chunks(), 10_000_000)
    return like.model_copy(update={"sha256": kept.sha256, "size": kept.size})


async def ready(desk: Desk, simulator: Simulator, role: Role = Role.ADMIN_AGENT) -> Claim:
    """A claim whose ticket is about to be filed, on an Azure subscription of its own."""
    plan, subscription = azure_plan(simulator)
    claim = azure(role)
    said = claim.opening.model_copy(
        update={
            "customer_id": simulator.seed["customers"]["contoso"]["id"],
            "subscription_id": plan,
            "contact": Contact(name="Ana Maria Admin", email="ana@partner.example"),
        }
    )
    documents = tuple([await stored(desk, each, FORM + uuid4().bytes) for each in claim.documents])
    claim = claim.model_copy(
        update={
            "id": f"claim-{uuid4().hex[:20]}",
            "opening": said,
            "azure_subscription_id": subscription,
            "documents": documents,
            "sent_for": ANA,
        }
    )
    claim = due(claim, datetime.now(UTC) + timedelta(days=30))
    now = datetime.now(UTC)
    return lifecycle.apply(claim, lifecycle.sent(claim, now), now)[0]


def due(claim: Claim, at: datetime) -> Claim:
    """The claim with this instant as its deadline."""
    assert claim.deadline is not None
    return claim.model_copy(update={"deadline": claim.deadline.model_copy(update={"due_at": at})})


def request(claim: Claim, *, workspace: str = "files-1") -> FileAzureTicket:
    return FileAzureTicket(claim=claim, workspace=workspace)


def tickets(simulator: Simulator, claim: Claim) -> list[dict[str, Any]]:
    assert claim.azure_subscription_id is not None
    return azure_tickets(simulator, claim.azure_subscription_id)


def access(simulator: Simulator, claim: Claim, **changes: object) -> None:
    simulator.post("/azure-tickets/access", {"of": claim.azure_subscription_id, **changes})


async def file(desk: Desk, claim: Claim, **more: Any) -> AzureFiling:
    filed: AzureFiling = await desk.run(desk.azure.file, request(claim, **more))
    return filed


async def test_a_ticket_is_filed_with_every_document_and_read_back(desk: Desk, simulator: Simulator) -> None:
    claim = await ready(desk, simulator)
    filed = await file(desk, claim)
    [made] = tickets(simulator, claim)
    there, body = made["ticket"], made["ticket"]["body"]
    assert claim.filing is not None
    assert there["name"] == claim.filing.number
    assert filed.ticket is not None
    assert (filed.ticket.number, filed.ticket.status) == (there["number"], TicketStatus.OPEN)
    assert {(each["name"], each["sha256"]) for each in made["files"]} == {
        (f"{position:02}-{each.kind}.pdf", each.sha256) for position, each in enumerate(claim.documents, 1)
    }
    assert claim.id in body["title"]
    contact = body["contact_details"]
    assert (contact["first_name"], contact["last_name"]) == ("Ana Maria", "Admin")
    assert (contact["primary_email_address"], body["severity"]) == ("ana@partner.example", "minimal")


async def test_a_ticket_filed_again_is_the_ticket_that_is_there(desk: Desk, simulator: Simulator) -> None:
    claim = await ready(desk, simulator)
    first = await file(desk, claim)
    assert await file(desk, claim) == first
    assert await file(desk, claim, workspace="files-2") == first
    assert len(tickets(simulator, claim)) == 1


TROUBLE: dict[str, dict[str, object]] = {
    "dropped before the ticket": {"kind": "drop", "method": "PUT", "path": "/subscriptions/.+/supportTickets/"},
    "dropped after the ticket": {
        "kind": "drop",
        "method": "PUT",
        "path": "/subscriptions/.+/supportTickets/",
        "when": "after",
    },
    "500 after the ticket": {
        "kind": "error",
        "status": 500,
        "method": "PUT",
        "path": "/subscriptions/.+/supportTickets/",
        "when": "after",
    },
    "429 at the ticket": {
        "kind": "throttle",
        "seconds": 1,
        "method": "PUT",
        "path": "/subscriptions/.+/supportTickets/",
    },
    "dropped at the workspace": {
        "kind": "drop",
        "method": "PUT",
        "path": "/subscriptions/.+/fileWorkspaces/",
        "when": "after",
    },
    "dropped at a chunk": {"kind": "drop", "method": "POST", "path": "/subscriptions/.+/upload", "when": "after"},
}


@pytest.mark.parametrize("name", TROUBLE)
async def test_whatever_breaks_off_a_second_attempt_leaves_one_ticket(
    desk: Desk, simulator: Simulator, name: str
) -> None:
    claim = await ready(desk, simulator)
    simulator.post("/faults", TROUBLE[name])
    with pytest.raises(ApplicationError) as broken:
        await file(desk, claim)
    assert broken.value.type in {"ambiguous", "throttled", "microsoft_unavailable"}
    assert not broken.value.non_retryable
    filed = await file(desk, claim)
    assert filed.ticket is not None
    [made] = tickets(simulator, claim)
    assert len(made["files"]) == len(claim.documents)


async def test_an_attempt_that_died_while_azure_was_at_it_goes_on_where_it_was(
    desk: Desk, simulator: Simulator
) -> None:
    claim = await ready(desk, simulator)
    # A whole minute of Azure's: this attempt doesn't live to see the ticket.
    simulator.door.put("/behaviour", json={"time_scale": 0.05}).raise_for_status()
    beats: list[str] = []
    accepted = asyncio.Event()

    def beat(url: str) -> None:
        beats.append(url)
        if url:
            accepted.set()

    first = ActivityEnvironment()
    first.on_heartbeat = beat
    try:
        under_way = asyncio.ensure_future(first.run(desk.azure.file, request(claim)))
        await asyncio.wait_for(accepted.wait(), 10)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await under_way
        assert len(beats[-1]) > 3_000, "the operation's address, to the letter"
        second = ActivityEnvironment()
        second.info = replace(ActivityEnvironment.default_info(), attempt=2, heartbeat_details=[beats[-1]])
        calls_before = simulator.door.get("/calls").json()["calls"]
        filed = None
        for _ in range(20):
            with suppress(ApplicationError):  # it is seen a little after it is there
                filed = await second.run(desk.azure.file, request(claim))
                break
            await asyncio.sleep(0.3)
    finally:
        simulator.door.put("/behaviour", json={"time_scale": 0}).raise_for_status()
    assert filed is not None
    assert filed.ticket is not None
    assert len(tickets(simulator, claim)) == 1
    sent = {name: number for name, number in simulator.door.get("/calls").json()["calls"].items() if "PUT" in name}
    assert sent == {name: number for name, number in calls_before.items() if "PUT" in name}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"plan_is_too_low": True}, "Professional Direct, Premier or Unified"),
        ({"has_rights": False}, "Support Request Contributor"),
    ],
)
async def test_what_azure_refuses_is_an_answer_with_the_reason(
    desk: Desk, simulator: Simulator, changes: dict[str, object], said: str
) -> None:
    claim = await ready(desk, simulator)
    access(simulator, claim, **changes)
    filed = await file(desk, claim)
    assert filed.ticket is None
    assert said in (filed.refused or "")
    assert "correlation id" in (filed.refused or "")
    assert tickets(simulator, claim) == []
    access(simulator, claim)
    assert (await file(desk, claim)).ticket is not None


async def test_a_customer_who_has_not_consented_is_an_answer_that_says_who_must(
    desk: Desk, simulator: Simulator
) -> None:
    claim = await ready(desk, simulator)
    tenant = str(uuid4())
    body = {"id": tenant, "companyName": "Lucerne", "domain": "lucerne.example", "hasConsented": False}
    simulator.post("/customers", body)
    claim = claim.model_copy(update={"opening": claim.opening.model_copy(update={"customer_id": tenant})})
    refused = (await file(desk, claim)).refused or ""
    assert "consent to the application" in refused
    assert tenant in refused


async def test_past_the_deadline_nothing_is_sent_but_what_was_is_found(desk: Desk, simulator: Simulator) -> None:
    late, in_time = await ready(desk, simulator), await ready(desk, simulator)
    just_past, long_past = (datetime.now(UTC) - timedelta(seconds=seconds) for seconds in (1, 11 * 60))
    with pytest.raises(ApplicationError) as early:  # an earlier attempt may have sent it, unseen so far
        await file(desk, due(late, just_past))
    assert (early.value.type, early.value.category) == ("not_found", ApplicationErrorCategory.BENIGN)
    assert "deadline passed" in ((await file(desk, due(late, long_past))).refused or "")
    assert tickets(simulator, late) == []
    await file(desk, in_time)
    assert (await file(desk, due(in_time, long_past))).ticket is not None
    exception = due(late, long_past).model_copy(update={"exception_reason": "Promised by phone."})
    assert (await file(desk, exception)).ticket is not None


async def slowly(simulator: Simulator, claim: Claim) -> None:
    """The next workspace of the claim's takes a second to be made."""
    path = f"/subscriptions/{claim.azure_subscription_id}/.*/fileWorkspaces/"
    simulator.post("/faults", {"kind": "slow", "seconds": 1, "method": "PUT", "path": path})


async def test_what_counts_is_the_claim_as_it_is_when_the_ticket_is_sent(desk: Desk, simulator: Simulator) -> None:
    withdrawn, given, late, more = [await ready(desk, simulator) for _ in range(4)]
    third = await stored(desk, document(name="3"), FORM + uuid4().bytes)
    assert given.filing is not None
    by_hand = given.filing.model_copy(update={"number": "100000000000001", "ticket_name": None})
    changes: list[tuple[Claim, dict[str, object]]] = [
        (withdrawn, {"status": Status.WITHDRAWN}),
        (given, {"filing": by_hand}),
        (late, dict(due(late, datetime.now(UTC) - timedelta(minutes=11)))),
        (more, {"documents": (*more.documents, third)}),
    ]
    filed = []
    for claim, change in changes:
        await desk.record(claim)
        await slowly(simulator, claim)
        under_way = asyncio.ensure_future(file(desk, claim))
        # While its documents are uploaded the claim goes on.
        await asyncio.sleep(0.3)
        await desk.record(claim.model_copy(update=change | {"version": claim.version + 1}))
        filed.append(await under_way)
    assert [each.ticket is not None for each in filed] == [False, False, False, True]
    assert [each.refused is not None for each in filed] == [False, False, True, False]
    assert [len(tickets(simulator, claim)) for claim, _ in changes] == [0, 0, 0, 1]
    [made] = tickets(simulator, more)
    assert {each["sha256"] for each in made["files"]} == {each.sha256 for each in (*more.documents, third)}


@pytest.mark.parametrize("status", [403, 404, 400])
async def test_a_look_that_fails_is_no_refusal_of_what_azure_accepted(
    desk: Desk, simulator: Simulator, status: int
) -> None:
    claim = await ready(desk, simulator)
    path = f"/subscriptions/{claim.azure_subscription_id}/.*/operationsStatus/"
    simulator.post("/faults", {"kind": "error", "status": status, "path": path})
    with pytest.raises(ApplicationError) as caught:
        await file(desk, claim)
    assert not caught.value.non_retryable
    assert (await file(desk, claim)).ticket is not None
    assert len(tickets(simulator, claim)) == 1


async def test_our_own_secret_is_no_reason_to_file_by_hand(desk: Desk, simulator: Simulator, tmp_path: Path) -> None:
    claim = await ready(desk, simulator)
    settings = settings_for(simulator, tmp_path, client_secret="not-the-secret")
    async with microsoft(settings) as wrong:
        azure = AzureTickets(wrong.support, desk.blobs, desk.claims, filer(settings))
        with pytest.raises(ApplicationError) as caught:
            await desk.run(azure.file, request(claim))
    assert (caught.value.type, "AADSTS7000215" in str(caught.value)) == ("forbidden", True)


async def test_a_document_whose_content_is_lost_is_an_answer_that_names_it(desk: Desk, simulator: Simulator) -> None:
    claim = await ready(desk, simulator)
    lost = claim.documents[1].model_copy(update={"sha256": "0" * 64})
    refused = (await file(desk, claim.model_copy(update={"documents": (claim.documents[0], lost)}))).refused or ""
    assert lost.id in refused
    assert "missing" in refused
    assert tickets(simulator, claim) == []


async def test_an_azure_subscription_that_is_not_the_customers_is_an_answer(desk: Desk, simulator: Simulator) -> None:
    claim = (await ready(desk, simulator)).model_copy(update={"azure_subscription_id": str(uuid4())})
    assert "SubscriptionNotFound" in ((await file(desk, claim)).refused or "")


async def test_no_document_is_left_behind(desk: Desk, simulator: Simulator) -> None:
    claim = await ready(desk, simulator)
    six = tuple(document(name=str(number)) for number in range(6))
    refused = (await file(desk, claim.model_copy(update={"documents": six}))).refused or ""
    assert "5 files" in refused
    assert tickets(simulator, claim) == []


async def test_the_customer_is_no_contact_for_microsoft(desk: Desk, simulator: Simulator) -> None:
    claim = await ready(desk, simulator, Role.CUSTOMER)
    assert "CLAIMDESK_CONTACT_EMAIL" in ((await file(desk, claim)).refused or "")
    assert tickets(simulator, claim) == []


async def test_a_document_of_the_largest_size_arrives_in_two_pieces_and_whole(desk: Desk, simulator: Simulator) -> None:
    claim = await ready(desk, simulator)
    content = b"%PDF-1.7\n" + random.Random(7).randbytes(5 * 1024 * 1024 - 15) + b"%%EOF\n"
    large = await stored(desk, claim.documents[0], content)
    assert large.size == 5 * 1024 * 1024
    await file(desk, claim.model_copy(update={"documents": (large,)}))
    [made] = tickets(simulator, claim)
    assert [each["sha256"] for each in made["files"]] == [hashlib.sha256(content).hexdigest()]


@asynccontextmanager
async def proxy(head: str, page: bytes = b"<html>Sign in to the hotel's network</html>") -> AsyncIterator[str]:
    """Something between us and Azure that answers everything by itself; its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {len(page)}\r\n\r\n".encode() + page)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    "head",
    [
        "301 Moved\r\nlocation: https://hotel.example/",
        "302 Found\r\nlocation: /",
        "400 Bad Request",
        "403 Forbidden",
        "404 Not Found",
        "407 Proxy Authentication Required",
        "413 Too Large",
        "451 Unavailable",
    ],
)
async def test_a_proxys_page_is_no_word_of_microsofts(
    desk: Desk, simulator: Simulator, tmp_path: Path, head: str
) -> None:
    claim = await ready(desk, simulator)
    async with proxy(head) as url, microsoft(settings_for(simulator, tmp_path, azure_url=url)) as behind:
        azure = AzureTickets(behind.support, desk.blobs, desk.claims, filer(settings_for(simulator, tmp_path)))
        with pytest.raises(ApplicationError) as caught:
            await desk.run(azure.file, request(claim))
    assert (caught.value.type, caught.value.non_retryable) == ("malformed", False)
    assert "hotel" not in str(caught.value)
    assert (await file(desk, claim)).ticket is not None


# Looked up, answered


async def filed_ticket(desk: Desk, simulator: Simulator) -> tuple[AzureSubscription, str, Claim]:
    claim = await ready(desk, simulator)
    filed = await file(desk, claim)
    assert filed.ticket is not None
    where = azure_subscription(claim)
    assert where is not None
    return where, filed.ticket.number, claim


async def look_up(desk: Desk, where: AzureSubscription, number: str, *others: str) -> TicketLookup:
    wanted = LookUpTicket(number=number, customer_id=where.tenant_id, is_azure=True, azure=where, others=others)
    found: TicketLookup = await desk.run(desk.tickets.look_up, wanted)
    return found


async def test_a_ticket_filed_at_the_azure_portal_is_found_by_its_number(desk: Desk, simulator: Simulator) -> None:
    where = azure_subscription(await ready(desk, simulator))
    assert where is not None
    body = {"customer_id": where.tenant_id, "subscription_id": where.subscription_id, "title": "By hand"}
    answer = simulator.post("/azure-tickets", {**body, "created_date": "2026-02-27T23:59:59.5Z"})
    number = dict(answer["ticket"])["number"]  # type: ignore[call-overload]  # JSON
    found = await look_up(desk, where, number)
    assert found.ticket is not None
    assert (found.ticket.title, found.ticket.created_at.date().isoformat()) == ("By hand", "2026-02-27")
    assert (await look_up(desk, where, "100000000000001")).ticket is None


async def test_a_message_of_microsofts_is_a_question_until_it_is_answered(desk: Desk, simulator: Simulator) -> None:
    where, number, _ = await filed_ticket(desk, simulator)
    simulator.post(f"/azure-tickets/{number}/communications", {"body": "Which machines?"})
    asked = (await look_up(desk, where, number)).ticket
    assert asked is not None
    assert (asked.status, asked.last_note and asked.last_note.text) == (
        TicketStatus.ATTENTION_NEEDED,
        "Which machines?",
    )
    answer = reply(where, number)
    replied = await desk.run(desk.azure.reply, answer)
    assert (replied.ticket.status, replied.under_way) == (TicketStatus.OPEN, None)
    assert await desk.run(desk.azure.reply, answer) == replied
    [made] = azure_tickets(simulator, where.subscription_id)
    assert [each["body"] for each in made["communications"]] == ["Which machines?", "All of them."]


def reply(where: AzureSubscription, number: str) -> ReplyToAzureTicket:
    return ReplyToAzureTicket(where=where, number=number, text="All of them.", key="claim|a question")


async def test_a_reply_whose_answer_was_lost_is_one_message(desk: Desk, simulator: Simulator) -> None:
    where, number, _ = await filed_ticket(desk, simulator)
    fault: dict[str, object] = {
        "kind": "drop",
        "method": "PUT",
        "path": "/subscriptions/.+/communications/",
        "when": "after",
    }
    simulator.post("/faults", fault)
    with pytest.raises(ApplicationError) as lost:
        await desk.run(desk.azure.reply, reply(where, number))
    assert lost.value.type == "ambiguous"
    await desk.run(desk.azure.reply, reply(where, number))
    [made] = azure_tickets(simulator, where.subscription_id)
    assert [each["body"] for each in made["communications"]] == ["All of them."]


async def test_a_reply_that_azure_is_slow_to_take_is_followed(desk: Desk, simulator: Simulator) -> None:
    where, number, claim = await filed_ticket(desk, simulator)
    simulator.door.put("/behaviour", json={"time_scale": 0.3}).raise_for_status()
    try:
        sent = await desk.run(desk.azure.reply, reply(where, number))
        access(simulator, claim, plan_is_too_low=True)
        refused = await desk.run(desk.azure.reply, reply(where, number).model_copy(update={"key": "another"}))
    finally:
        simulator.door.put("/behaviour", json={"time_scale": 0}).raise_for_status()
        access(simulator, claim)
    assert sent.under_way is not None
    assert refused.under_way is not None
    outcomes = [
        await desk.run(desk.azure.follow_reply, FollowAzureReply(where=where, under_way=each.under_way))
        for each in (sent, refused)
    ]
    assert outcomes[0].refused is None
    assert "Professional Direct" in (outcomes[1].refused or "")
    [made] = azure_tickets(simulator, where.subscription_id)
    assert [each["body"] for each in made["communications"]] == ["All of them."]


async def test_our_messages_are_from_the_partner_and_a_colleagues_is_no_question(
    desk: Desk, simulator: Simulator
) -> None:
    where, number, _ = await filed_ticket(desk, simulator)
    assert where.sender == "ana@partner.example"
    await desk.run(desk.azure.reply, reply(where, number))
    [made] = azure_tickets(simulator, where.subscription_id)
    assert [each["sender"] for each in made["communications"]] == ["ana@partner.example"]
    colleague = where.model_copy(update={"sender": "hana@partner.example"})
    renamed = (await look_up(desk, colleague, number)).ticket
    assert renamed is not None
    assert renamed.status is TicketStatus.OPEN
    nobody = where.model_copy(update={"sender": None})
    refusal = await desk.refusal(desk.azure.reply, reply(nobody, number))
    assert (refusal.rule, "CLAIMDESK_CONTACT_EMAIL" in refusal.message) == ("reply_sender", True)


async def test_a_ticket_that_may_not_be_read_says_why(desk: Desk, simulator: Simulator) -> None:
    where, number, claim = await filed_ticket(desk, simulator)
    access(simulator, claim, has_rights=False)
    found = await look_up(desk, where, number)
    access(simulator, claim)
    assert (found.ticket, "AuthorizationFailed" in (found.unreadable or "")) == (None, True)
    unknown = LookUpTicket(number=number, customer_id=where.tenant_id, is_azure=True)
    assert (await desk.run(desk.tickets.look_up, unknown)).unreadable is not None


async def test_a_ticket_on_another_subscription_of_the_customer_is_found(desk: Desk, simulator: Simulator) -> None:
    where, number, _ = await filed_ticket(desk, simulator)
    elsewhere = azure_subscription(await ready(desk, simulator))
    assert elsewhere is not None
    found = await look_up(desk, elsewhere, number, where.subscription_id)
    assert (found.ticket and found.ticket.number, found.azure_subscription_id) == (number, where.subscription_id)


async def test_a_closed_ticket_is_closed_whoever_wrote_last(desk: Desk, simulator: Simulator) -> None:
    where, number, _ = await filed_ticket(desk, simulator)
    simulator.post(f"/azure-tickets/{number}/status", {"status": "Closed", "note": "approved"})
    closed = (await look_up(desk, where, number)).ticket
    assert closed is not None
    assert (closed.status, closed.last_note and closed.last_note.text) == (TicketStatus.CLOSED, "approved")


# Swept


async def test_the_sweep_costs_one_list_a_subscription_and_one_of_partner_center(
    desk: Desk, simulator: Simulator
) -> None:
    claims: list[Claim] = []
    for _ in range(3):
        where, number, claim = await filed_ticket(desk, simulator)
        # Five claims of one incident wait on one ticket.
        found = (await look_up(desk, where, number)).ticket
        assert claim.filing is not None
        filing = claim.filing.model_copy(update={"number": number, "ticket": found})
        claims += [
            claim.model_copy(
                update={
                    "id": f"claim-{uuid4().hex[:20]}",
                    "status": Status.FILED,
                    "filing": filing,
                    "opening": claim.opening.model_copy(update={"incident": incident(claim)}),
                }
            )
            for _ in range(5)
        ]
    await desk.record(*claims, running=True)
    simulator.door.delete("/calls")
    report = await desk.run(desk.tickets.sweep_tickets)
    assert (report.changed, report.signalled) == (0, 0)
    changed = claims[7]
    assert changed.filing is not None
    simulator.post(f"/azure-tickets/{changed.filing.number}/communications", {"body": "Which machines?"})
    report = await desk.run(desk.tickets.sweep_tickets)
    assert (report.changed, report.signalled) == (1, 5)
    assert await desk.signals(changed) == ["ticket_changed"]
    assert await desk.signals(claims[0]) == []
    calls = simulator.door.get("/calls").json()
    listed = sum(count for name, count in calls["calls"].items() if "supportTickets" in name)
    assert (listed, calls["partner_center"]) == (2 * 3, 0)


def incident(claim: Claim) -> Incident:
    """Another one for each claim: two open claims are never about the same."""
    return claim.opening.incident.model_copy(update={"reference": f"AZ{uuid4().hex[:8]}"})


async def test_a_subscription_that_cannot_be_listed_does_not_keep_the_others_from_it(
    desk: Desk, simulator: Simulator
) -> None:
    claims = []
    for _ in range(2):
        where, number, claim = await filed_ticket(desk, simulator)
        found = (await look_up(desk, where, number)).ticket
        assert claim.filing is not None
        filing = claim.filing.model_copy(update={"number": number, "ticket": found})
        update = {"opening": claim.opening.model_copy(update={"incident": incident(claim)})}
        claims.append(claim.model_copy(update={"status": Status.FILED, "filing": filing, **update}))
        simulator.post(f"/azure-tickets/{number}/status", {"status": "Closed"})
    await desk.record(*claims, running=True)
    access(simulator, claims[0], has_rights=False)
    report = await desk.run(desk.tickets.sweep_tickets)
    assert (report.signalled, report.unreadable) == (1, 1)
    assert await desk.signals(claims[1]) == ["ticket_changed"]
    # One customer's rights don't keep the alarm from what stops the sweep itself …
    assert "tickets" in await desk.claims.sweep_successes()
    access(simulator, claims[0])
    simulator.post(
        "/faults", {"kind": "error", "times": 3, "path": f"/subscriptions/{claims[0].azure_subscription_id}/"}
    )
    with pytest.raises(ApplicationError) as caught:  # … and a Microsoft that fails does, after all the others
        await desk.run(desk.tickets.sweep_tickets)
    assert caught.value.type == "microsoft_unavailable"
    assert await desk.signals(claims[1]) == ["ticket_changed"] * 2
