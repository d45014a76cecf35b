"""An operator cancels a claim's run in Temporal, at whatever moment: the record says that it is withdrawn."""

import asyncio
from pathlib import Path

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from domain.claims import Answer, Claim, Event, Status
from domain.evidence import EvidenceKind
from domain.messages import Assign, AttachEvidence
from domain.policy import Category
from tests.simulated import Simulator
from tests.workflows.desk import (
    ANA,
    Desk,
    Handle,
    desk,
    new_claim,
)
from tests.workflows.states import HASH, bought, path_of, reach
from tests.workflows.watching import busy_with, ended, failure, held, whole


def to(assignee: str) -> Assign:
    return Assign(actor=ANA, request_hash=HASH, assignee=assignee)


async def _cancelled(desk: Desk, handle: Handle, *, before: list[Event]) -> None:
    """The run is cancelled, and the record says that the claim is withdrawn, after all that happened before."""
    assert await ended(handle) is WorkflowExecutionStatus.CANCELED
    claim = await desk.claim(handle)
    assert (claim.status, claim.open_key) == (Status.WITHDRAWN, None)
    assert "operator" in (claim.closing_reason or "")
    assert await whole(desk, handle) == [*before, Event.WITHDRAW]
    attributes, page = await desk.shown(handle)
    assert (attributes["ClaimStatus"], attributes.get("WaitingOn")) == ("withdrawn", None)
    assert page.startswith("## withdrawn")


@pytest.mark.parametrize("status", [Status.COLLECTING_EVIDENCE, Status.FILED, Status.AWAITING_CREDIT], ids=str)
async def test_a_waiting_claim_that_an_operator_cancels_is_withdrawn(at_desk: Desk, status: Status) -> None:
    handle = await (await reach(at_desk, status)).carry_on()
    before = await whole(at_desk, handle)
    await at_desk.ask(handle, "assign", to("Ben"))
    await handle.cancel()
    await _cancelled(at_desk, handle, before=[*before, Event.ASSIGN])


async def test_cancelled_during_triage_it_is_withdrawn(at_desk: Desk) -> None:
    claim = new_claim(at_desk.simulator, bought(at_desk.simulator))
    at_desk.simulator.post("/faults", {"kind": "slow", "path": path_of(claim), "seconds": 3})
    handle = await at_desk.open(claim)
    await busy_with(handle, "triage")
    await handle.cancel()
    await _cancelled(at_desk, handle, before=[Event.OPENED])


async def test_cancelled_while_its_ticket_is_read_it_is_withdrawn(at_desk: Desk) -> None:
    story = await reach(at_desk, Status.FILED)
    handle = await story.carry_on()
    before = await whole(at_desk, handle)
    assert story.claim.filing
    number = story.claim.filing.number
    slow: dict[str, object] = {"kind": "slow", "path": f"/v1/servicerequests/{number}", "seconds": 3}
    story.microsoft(number, "closed")
    at_desk.simulator.post("/faults", slow)
    await at_desk.sweep("TicketSweep")
    await busy_with(handle, "look_up_ticket")
    await handle.cancel()
    await _cancelled(at_desk, handle, before=before)


async def test_cancelled_while_a_change_is_recorded_both_are_on_record(at_desk: Desk) -> None:
    story = await reach(at_desk, Status.FILED)
    handle = await story.carry_on()
    before = await whole(at_desk, handle)
    assert story.claim.filing
    await at_desk.sweep("TicketSweep")  # its own success is on record before the database is held
    story.microsoft(story.claim.filing.number, "closed")
    with held(at_desk):
        news = {"ticket_number": story.claim.filing.number, "fingerprint": "closed|"}
        await handle.signal("ticket_changed", news)
        await busy_with(handle, "record_claim")
        await handle.cancel()
        await until_cancel_is_asked(handle)
    await _cancelled(at_desk, handle, before=[*before, Event.TICKET_CHANGED])


async def until_cancel_is_asked(handle: Handle) -> None:
    """Wait until the run has asked its activity to stop, or has ended."""
    while True:
        described = await handle.describe()
        states = [each.state for each in described.raw_description.pending_activities]
        if described.status is not WorkflowExecutionStatus.RUNNING or any(state == 3 for state in states):
            return
        await asyncio.sleep(0.02)


async def test_cancelled_before_it_could_be_recorded_the_claim_was_never_opened(
    temporal: WorkflowEnvironment, simulator: Simulator, tmp_path: Path
) -> None:
    async with desk(temporal.client, simulator, tmp_path) as at_desk:
        claim: Claim = new_claim(simulator, bought(simulator), Category.TECHNICAL_ISSUE)
        with held(at_desk):
            handle = await at_desk.start(claim)
            opening = asyncio.create_task(
                handle.execute_update("opened", {"request_hash": HASH}, result_type=Answer),
            )
            await busy_with(handle, "record_claim")
            await handle.cancel()
            error = await failure(opening)
        assert (error.type, "operator" in error.message) == ("cancelled", True)
        assert await ended(handle) is WorkflowExecutionStatus.CANCELED
        assert await at_desk.records.get(claim.id) is None


async def test_cancelled_with_requests_in_flight_each_is_answered(at_desk: Desk) -> None:
    story = await reach(at_desk, Status.COLLECTING_EVIDENCE)
    handle = await story.carry_on()
    document = await at_desk.document(story.claim, EvidenceKind.SUPPORTING_DOCUMENT, b"What we saw.")
    command = AttachEvidence(actor=ANA, request_hash=HASH, document=document)
    with held(at_desk):
        asked = [
            asyncio.create_task(at_desk.ask(handle, "attach_evidence", command)),
            asyncio.create_task(at_desk.ask(handle, "assign", to("Ben"))),
        ]
        await busy_with(handle, "record_claim")
        await handle.cancel()
    done = await asyncio.gather(*asked, return_exceptions=True)
    for each in done:  # done before the withdrawal, or refused after it
        if isinstance(each, WorkflowUpdateFailedError):
            assert isinstance(each.cause, ApplicationError)
            assert each.cause.details[0]["rule"] == "status_allows"
        else:
            assert isinstance(each, Answer)
    assert any(isinstance(each, Answer) for each in done)
    assert await ended(handle) is WorkflowExecutionStatus.CANCELED
    assert (await at_desk.claim(handle)).status is Status.WITHDRAWN
    events = await whole(at_desk, handle)
    assert events.count(Event.ATTACH_EVIDENCE) + events.count(Event.ASSIGN) == sum(
        isinstance(each, Answer) for each in done
    )
