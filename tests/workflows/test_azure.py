"""Azure-related claims: filed by claimdesk with their documents, followed and answered; by hand where Azure refuses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import WorkflowExecutionStatus
from temporalio.testing import WorkflowEnvironment

from domain import lifecycle
from domain.claims import UNVERIFIED_FOR, Claim, Event, Outcome, Status, WaitingOn
from domain.evidence import EvidenceKind
from domain.messages import Assign, FileTicket, RecordDecision, RecordFiling, Reopen, Reply, Withdraw
from domain.roles import Actor, Role
from domain.tickets import TicketStatus
from tests.simulated import Simulator, azure_plan, azure_tickets
from tests.workflows.desk import ANA, FORM, Desk, Handle, desk, mail, new_claim, refused, skip_to
from tests.workflows.states import HASH, azure_path, azure_ready, unreachable

E, S = Event, Status
BY: dict[str, Any] = {"actor": ANA, "request_hash": HASH}
CARL = Actor(subject="carl", name="Carl", role=Role.CUSTOMER, tenant_id="contoso")


def tickets(desk: Desk, claim: Claim) -> list[dict[str, Any]]:
    assert claim.azure_subscription_id is not None
    return azure_tickets(desk.simulator, claim.azure_subscription_id)


async def collected(desk: Desk, handle: Handle) -> None:
    """Both documents that the checklist asks for."""
    await desk.until(handle, S.COLLECTING_EVIDENCE)
    await desk.attach(handle, EvidenceKind.CREDIT_REQUEST_FORM, FORM + uuid4().bytes)
    await desk.attach(handle, EvidenceKind.CUSTOMER_REQUEST, mail("contoso.example"))


async def asked(desk: Desk) -> Handle:
    """A claim that claimdesk filed in Azure, and on whose ticket Microsoft asks."""
    handle = await (await azure_ready(desk)).carry_on()
    claim = await desk.until(handle, S.FILED)
    assert claim.filing
    desk.simulator.post(f"/azure-tickets/{claim.filing.number}/communications", {"body": "Which machines?"})
    await desk.sweep("TicketSweep")
    await desk.until(handle, S.NEEDS_INFORMATION)
    return handle


async def at_portal(desk: Desk, claim: Claim) -> str:
    """A person files the ticket at the Azure portal: its number."""
    body: dict[str, object] = {
        "customer_id": claim.opening.customer_id,
        "subscription_id": claim.azure_subscription_id,
    }
    made: dict[str, Any] = desk.simulator.post("/azure-tickets", body)
    return str(made["ticket"]["number"])


async def test_from_the_incident_to_the_invoice_without_the_portal(at_desk: Desk) -> None:
    plan, _ = azure_plan(at_desk.simulator)
    handle = await at_desk.open(new_claim(at_desk.simulator, plan, asked="48.00"))
    await collected(at_desk, handle)
    claim = await at_desk.until(handle, S.FILED)
    assert claim.filing
    assert claim.ticket
    [made] = tickets(at_desk, claim)
    number = made["ticket"]["number"]
    assert (claim.filing.number, claim.filing.recorded_by, claim.waiting_on) == (number, ANA, WaitingOn.MICROSOFT)
    assert {each["sha256"] for each in made["files"]} == {each.sha256 for each in claim.documents}
    attributes, _ = await at_desk.shown(handle)
    assert attributes["TicketId"] == number

    at_desk.simulator.post(f"/azure-tickets/{number}/communications", {"body": "Which machines?"})
    await at_desk.sweep("TicketSweep")
    claim = await at_desk.until(handle, S.NEEDS_INFORMATION)
    assert claim.question == "Which machines?"
    await at_desk.ask(handle, "reply", Reply(**BY, text="All of them."))
    claim = await at_desk.until(handle, S.FILED)
    [made] = tickets(at_desk, claim)
    assert [each["body"] for each in made["communications"]] == ["Which machines?", "All of them."]

    at_desk.simulator.post(f"/azure-tickets/{number}/status", {"status": "Closed", "note": "approved"})
    await at_desk.sweep("TicketSweep")
    claim = await at_desk.happened(handle, E.TICKET_CHANGED)
    assert (claim.ticket and claim.ticket.status, claim.waiting_on) == (TicketStatus.CLOSED, WaitingOn.US)
    await at_desk.ask(handle, "record_decision", RecordDecision(**BY, outcome=Outcome.APPROVED, reason="Their mail."))
    at_desk.invoice(claim, "-48.00", charge_type="customerCredit")
    await at_desk.sweep("CreditSweep")
    assert await handle.result() is S.CREDITED
    assert await at_desk.events(handle) == [
        *(E.OPENED, E.TRIAGED, E.ATTACH_EVIDENCE, E.ATTACH_EVIDENCE, E.TICKET_SENT, E.TICKET_READ),
        *(E.QUESTION_ASKED, E.REPLY, E.TICKET_CHANGED, E.RECORD_DECISION, E.CREDIT_MATCHED),
    ]


@pytest.mark.parametrize(
    ("access", "reason"),
    [({"plan_is_too_low": True}, "Professional Direct"), ({"has_rights": False}, "Support Request Contributor")],
    ids=["plan", "rights"],
)
async def test_what_azure_refuses_is_filed_by_hand_or_tried_again(
    at_desk: Desk, access: dict[str, object], reason: str
) -> None:
    by_hand, again = await azure_ready(at_desk), await azure_ready(at_desk)
    for story in (by_hand, again):
        at_desk.simulator.post("/azure-tickets/access", {"of": story.claim.azure_subscription_id, **access})
        handle = await story.carry_on()
        claim = await at_desk.happened(handle, E.TICKET_REFUSED)
        assert (claim.status, claim.filing, claim.waiting_on) == (S.READY_TO_FILE, None, WaitingOn.US)
        assert claim.assisted_reason
        assert reason in claim.assisted_reason
        assert claim.assisted_reason in (await at_desk.shown(handle))[1]
        assert tickets(at_desk, claim) == []
    at_desk.simulator.post("/azure-tickets/access", {"of": again.claim.azure_subscription_id})
    await at_desk.ask(at_desk.handle(again.claim), "file_ticket", FileTicket(**BY))
    claim = await at_desk.until(at_desk.handle(again.claim), S.FILED)
    assert len(tickets(at_desk, claim)) == 1
    assert claim.earlier_filings == ()
    await at_desk.handle(again.claim).terminate()

    # Plan and rights may be missing for good. What can't be read back is taken on the person's word.
    handle, number = at_desk.handle(by_hand.claim), await at_portal(at_desk, by_hand.claim)
    await at_desk.ask(handle, "record_filing", RecordFiling(**BY, ticket_number=number))
    claim = await at_desk.until(handle, S.FILED)
    assert claim.filing
    assert (claim.filing.number, claim.filing.ticket_name) == (number, None)
    entry = (await at_desk.records.timeline(handle.id, 0, 500))[-1]
    assert ("on your word" in entry.text) is (access == {"has_rights": False})
    at_desk.simulator.post(f"/azure-tickets/{number}/status", {"status": "Closed", "note": "denied"})
    at_desk.simulator.post("/azure-tickets/access", {"of": claim.azure_subscription_id})
    await at_desk.sweep("TicketSweep")
    claim = await at_desk.happened(handle, E.TICKET_CHANGED)
    assert (claim.ticket and claim.ticket.status, claim.waiting_on) == (TicketStatus.CLOSED, WaitingOn.US)
    await handle.terminate()


async def test_a_reply_is_one_message_and_answered_at_once_though_azure_takes_its_time(at_desk: Desk) -> None:
    handle = await asked(at_desk)
    # An operation of eight seconds, and messages that are listed up to 24 seconds later.
    at_desk.simulator.door.put("/behaviour", json={"time_scale": 0.4}).raise_for_status()
    try:
        answer = await at_desk.ask(handle, "reply", Reply(**BY, text="All of them."))
        assert answer.status is S.FILED
        claim = await at_desk.claim(handle)
        assert claim.is_reply_under_way
        await at_desk.sweep("TicketSweep")
        claim = await at_desk.happened(handle, E.TICKET_CHANGED)
        assert (claim.status, claim.question, claim.is_reply_under_way) == (S.FILED, None, False)
    finally:
        at_desk.simulator.door.put("/behaviour", json={"time_scale": 0}).raise_for_status()
    [made] = tickets(at_desk, claim)
    assert [each["body"] for each in made["communications"]] == ["Which machines?", "All of them."]
    await handle.terminate()


async def test_a_reply_that_azure_refuses_in_the_end_is_the_persons_again(at_desk: Desk) -> None:
    handle = await asked(at_desk)
    claim = await at_desk.claim(handle)
    at_desk.simulator.post("/azure-tickets/access", {"of": claim.azure_subscription_id, "plan_is_too_low": True})
    at_desk.simulator.door.put("/behaviour", json={"time_scale": 0.3}).raise_for_status()
    try:
        await at_desk.ask(handle, "reply", Reply(**BY, text="All of them."))
        claim = await at_desk.happened(handle, E.QUESTION_ASKED, 2)
    finally:
        at_desk.simulator.door.put("/behaviour", json={"time_scale": 0}).raise_for_status()
    assert (claim.status, claim.question) == (S.NEEDS_INFORMATION, "Which machines?")
    assert "Professional Direct" in (await at_desk.records.timeline(handle.id, 0, 500))[-1].text
    await handle.terminate()


async def test_reopening_gives_a_claim_no_second_ticket_unasked(at_desk: Desk) -> None:
    story = await azure_ready(at_desk)
    handle = await story.carry_on()
    await at_desk.until(handle, S.FILED)
    await at_desk.ask(handle, "withdraw", Withdraw(**BY, reason="Settled otherwise."))
    claim = await at_desk.until(handle, S.WITHDRAWN)
    helpdesk = ANA.model_copy(update={"subject": "hana", "role": Role.HELPDESK_AGENT})
    reopen = Reopen(actor=helpdesk, request_hash=HASH, reason="It wasn't settled.")
    await at_desk.ask_with_start(claim, "reopen", reopen)
    handle = at_desk.handle(claim)
    claim = await at_desk.until(handle, S.READY_TO_FILE)
    assert (claim.waiting_on, len(tickets(at_desk, claim))) == (WaitingOn.US, 1)
    await at_desk.ask(handle, "record_filing", RecordFiling(**BY, ticket_number=claim.earlier_filings[0]))
    await at_desk.until(handle, S.FILED)
    assert len(tickets(at_desk, claim)) == 1
    await handle.terminate()


async def test_what_a_customer_opened_waits_until_somebody_who_may_file_says_so(at_desk: Desk) -> None:
    plan, _ = azure_plan(at_desk.simulator)
    opened = new_claim(at_desk.simulator, plan).model_copy(update={"opened_by": CARL})
    handle = await at_desk.open(opened)
    await collected(at_desk, handle)
    claim = await at_desk.claim(handle)
    assert (claim.status, claim.waiting_on, tickets(at_desk, claim)) == (S.READY_TO_FILE, WaitingOn.US, [])
    why = await refused(at_desk.ask(handle, "file_ticket", FileTicket(actor=CARL, request_hash=HASH)))
    assert (why.rule, why.forbidden) == ("role_may_not", True)
    await at_desk.ask(handle, "file_ticket", FileTicket(**BY))
    # The contact is the customer's, and no setting names ours: nothing of theirs goes to Microsoft as the contact.
    claim = await at_desk.happened(handle, E.TICKET_REFUSED)
    assert "CLAIMDESK_CONTACT_EMAIL" in (claim.assisted_reason or "")
    assert tickets(at_desk, claim) == []
    await handle.terminate()


async def test_a_claim_withdrawn_while_its_ticket_is_on_the_way_is_withdrawn(at_desk: Desk) -> None:
    story = await azure_ready(at_desk)
    at_desk.simulator.post(
        "/faults",
        {"kind": "slow", "seconds": 1.5, "method": "PUT", "path": f"{azure_path(story.claim)}.*/fileWorkspaces/"},
    )
    handle = await story.carry_on()
    await at_desk.happened(handle, E.TICKET_SENT)
    await at_desk.ask(handle, "withdraw", Withdraw(**BY, reason="Settled otherwise."))
    assert (await at_desk.claim(handle)).status is S.WITHDRAWN
    assert await handle.result() is S.WITHDRAWN
    # What wasn't sent yet isn't sent any more.
    assert tickets(at_desk, story.claim) == []
    assert (await at_desk.events(handle))[-2:] == [E.TICKET_SENT, E.WITHDRAW]


async def test_a_number_given_while_claimdesk_is_at_it_is_the_filing(at_desk: Desk) -> None:
    story = await azure_ready(at_desk)
    unreachable(at_desk.simulator, f"{azure_path(story.claim)}.*/fileWorkspaces/")
    handle = await story.carry_on()
    await at_desk.happened(handle, E.TICKET_SENT)
    number = await at_portal(at_desk, story.claim)
    answer = await at_desk.ask(handle, "record_filing", RecordFiling(**BY, ticket_number=number))
    assert (answer.status, answer.result) == (S.FILED, number)
    at_desk.simulator.door.delete("/faults")
    # The attempt is called back, which it hears of with its next sign of life.
    await at_desk.until(handle, S.FILED)
    assert [each["ticket"]["number"] for each in tickets(at_desk, story.claim)] == [number]
    await handle.terminate()


async def test_while_azure_is_down_the_claim_waits_for_a_day_and_then_for_a_person(
    at_desk: Desk, temporal: WorkflowEnvironment
) -> None:
    story = await azure_ready(at_desk)
    # Sent almost a day ago, and not seen since.
    at = datetime.now(UTC) - UNVERIFIED_FOR + timedelta(seconds=3)
    story.do(lifecycle.sent(story.claim, at))
    unreachable(at_desk.simulator, azure_path(story.claim))
    handle = await story.carry_on()
    await at_desk.ask(handle, "assign", Assign(**BY, assignee="Ben"))
    claim = await at_desk.claim(handle)
    assert (claim.status, claim.waiting_on, claim.assisted_reason) == (S.READY_TO_FILE, WaitingOn.CLAIMDESK, None)
    claim = await at_desk.happened(handle, E.TICKET_REFUSED)
    assert (claim.status, claim.filing, claim.waiting_on) == (S.READY_TO_FILE, None, WaitingOn.US)
    assert "by hand" in (claim.assisted_reason or "")
    assert claim.deadline
    await skip_to(temporal, handle, claim.deadline.due_at)
    await at_desk.happened(handle, E.DEADLINE_PASSED)
    at_desk.simulator.door.delete("/faults")
    assert tickets(at_desk, claim) == []
    await handle.terminate()


@asynccontextmanager
async def nonsense() -> AsyncIterator[str]:
    """A proxy where Azure should be: it answers everything with a page of its own."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        page = b"<html><body>Sign in to the hotel's network</body></html>"
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n")
        writer.write(f"content-length: {len(page)}\r\n\r\n".encode() + page)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_an_answer_that_makes_no_sense_never_reaches_the_claim(
    temporal: WorkflowEnvironment, simulator: Simulator, tmp_path: Path
) -> None:
    async with nonsense() as url, desk(temporal.client, simulator, tmp_path, azure_url=url) as made:
        story = await azure_ready(made)
        handle = await story.carry_on()
        await made.happened(handle, E.TICKET_SENT)
        failure = ""
        async with asyncio.timeout(20):
            while not failure:
                for pending in (await handle.describe()).raw_description.pending_activities:
                    failure = pending.last_failure.message
                await asyncio.sleep(0.05)
        host = url.removeprefix("http://")
        assert failure.startswith(f"read support ticket at {host}: HTTP 200: not JSON")
        assert "correlation id" in failure
        assert "hotel" not in failure
        claim = await made.claim(handle)
        assert (claim.status, claim.ticket, claim.assisted_reason) == (S.READY_TO_FILE, None, None)
        await made.ask(handle, "withdraw", Withdraw(**BY, reason="Settled otherwise."))
        assert await handle.result() is S.WITHDRAWN
        assert (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED
