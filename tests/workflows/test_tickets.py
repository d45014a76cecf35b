"""Ticket numbers that people give, what Microsoft shows of them and when, and what the sweep costs."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.testing import WorkflowEnvironment

from activities.tickets import TicketSweepReport
from domain.claims import Claim, Entry, Event, Filing, Outcome, Status, WaitingOn
from domain.messages import RecordDecision, RecordFiling, Reply
from tests.simulated import Simulator, running_simulator
from tests.workflows.desk import ANA, Desk, Handle, desk, refused, skip_to
from tests.workflows.states import HASH, Story, bought, reach, shown

CLAIMS, CHANGED = 1_000, 30


def filing(number: str) -> RecordFiling:
    return RecordFiling(actor=ANA, request_hash=HASH, ticket_number=number)


@contextmanager
def visible_after(simulator: Simulator, seconds: float) -> Iterator[None]:
    """What is written at Microsoft meanwhile is seen so much later."""
    simulator.door.put("/behaviour", json={"visible_after": seconds}).raise_for_status()
    try:
        yield
    finally:
        simulator.door.put("/behaviour", json={"visible_after": 0}).raise_for_status()


async def last(desk: Desk, handle: Handle) -> Entry:
    return (await desk.records.timeline(handle.id, 0, 500))[-1]


async def sweep_until(desk: Desk, handle: Handle, status: Status) -> None:
    """Sweep as the schedule does, time and again."""
    for _ in range(40):
        await desk.sweep("TicketSweep")
        if (await desk.claim(handle)).status is status:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"still {(await desk.claim(handle)).status} after 40 sweeps")


async def test_a_number_that_is_visible_later_is_filed_by_the_sweep(at_desk: Desk) -> None:
    story = await reach(at_desk, Status.READY_TO_FILE)
    handle = await story.carry_on()
    with visible_after(at_desk.simulator, 1):
        number = at_desk.ticket(story.claim)
    answer = await at_desk.ask(handle, "record_filing", filing(number))
    assert (answer.status, answer.result) == (Status.READY_TO_FILE, number)
    claim = await at_desk.claim(handle)
    assert claim.filing
    assert (claim.ticket, claim.waiting_on) == (None, WaitingOn.MICROSOFT)
    assert claim.filing.give_up_at - claim.filing.recorded_at == timedelta(hours=24)
    await sweep_until(at_desk, handle, Status.FILED)
    assert (await at_desk.claim(handle)).ticket == shown(at_desk.simulator, number)
    await handle.terminate()


async def test_a_number_that_stays_unknown_for_24_hours_is_refused_with_the_reason(
    at_desk: Desk, temporal: WorkflowEnvironment
) -> None:
    story = await reach(at_desk, Status.READY_TO_FILE)
    handle = await story.carry_on()
    number = f"6{uuid4().int % 10**14:014d}"
    await at_desk.ask(handle, "record_filing", filing(number))
    given: Filing | None = (await at_desk.claim(handle)).filing
    assert given
    # The same number again doesn't make the 24 hours begin again.
    await skip_to(temporal, handle, given.recorded_at + timedelta(hours=12))
    await at_desk.ask(handle, "record_filing", filing(number))
    assert (await at_desk.claim(handle)).filing == given
    await skip_to(temporal, handle, given.give_up_at)
    claim = await at_desk.happened(handle, Event.TICKET_REFUSED)
    assert (claim.status, claim.filing, claim.earlier_filings) == (Status.READY_TO_FILE, None, (number,))
    said = (await last(at_desk, handle)).text
    assert number in said
    assert "24 hours" in said
    await handle.terminate()


@pytest.mark.parametrize("visible", [True, False], ids=["at-once", "later"])
async def test_a_ticket_of_another_customer_is_refused(at_desk: Desk, visible: bool) -> None:
    story = await reach(at_desk, Status.READY_TO_FILE)
    other = Story.of(at_desk, bought(at_desk.simulator, customer="fabrikam"))
    with visible_after(at_desk.simulator, 0 if visible else 1):
        number = at_desk.ticket(other.claim)
    handle = await story.carry_on()
    if visible:
        why = await refused(at_desk.ask(handle, "record_filing", filing(number)))
        assert (why.rule, why.field) == ("ticket_customer", "ticket_number")
        assert await at_desk.claim(handle) == story.claim
    else:
        await at_desk.ask(handle, "record_filing", filing(number))
        for _ in range(40):
            await at_desk.sweep("TicketSweep")
            if Event.TICKET_REFUSED in await at_desk.events(handle):
                break
            await asyncio.sleep(0.1)
        claim = await at_desk.happened(handle, Event.TICKET_REFUSED)
        assert (claim.status, claim.filing, claim.earlier_filings) == (Status.READY_TO_FILE, None, (number,))
        assert "customer" in (await last(at_desk, handle)).text
    await handle.terminate()


async def test_a_wrong_number_is_corrected(at_desk: Desk) -> None:
    story = await reach(at_desk, Status.FILED)
    handle = await story.carry_on()
    wrong, right = story.claim.filing, story.ticket()
    assert wrong
    why = await refused(at_desk.ask(handle, "record_filing", filing(wrong.number)))
    assert why.rule == "ticket_once"
    why = await refused(at_desk.ask(handle, "record_filing", filing(f"6{uuid4().int % 10**14:014d}")))
    assert why.rule == "ticket_visible"
    assert (await at_desk.claim(handle)).filing == wrong

    await at_desk.ask(handle, "record_filing", filing(right))
    claim = await at_desk.claim(handle)
    assert claim.ticket
    assert (claim.status, claim.ticket.number, claim.earlier_filings) == (Status.FILED, right, (wrong.number,))
    # What becomes of the wrong one is no longer this claim's business.
    story.microsoft(wrong.number, "closed")
    await at_desk.sweep("TicketSweep")
    assert await at_desk.claim(handle) == claim
    story.microsoft(right, "closed")
    await at_desk.sweep("TicketSweep")
    claim = await at_desk.happened(handle, Event.TICKET_CHANGED)
    assert claim.waiting_on is WaitingOn.US
    await handle.terminate()


async def test_one_ticket_serves_several_claims_of_one_incident(at_desk: Desk) -> None:
    stories = [await reach(at_desk, Status.READY_TO_FILE) for _ in range(3)]
    handles = [await story.carry_on() for story in stories]
    number = stories[0].ticket()
    for handle in handles:
        assert (await at_desk.ask(handle, "record_filing", filing(number))).status is Status.FILED
    stories[0].microsoft(number, "attention_needed", "Which users?")
    await at_desk.sweep("TicketSweep")
    for handle in handles:
        assert (await at_desk.until(handle, Status.NEEDS_INFORMATION)).question == "Which users?"
        await handle.terminate()


async def test_an_answered_question_does_not_come_again_while_microsoft_still_shows_it(at_desk: Desk) -> None:
    story = await reach(at_desk, Status.NEEDS_INFORMATION)
    handle = await story.carry_on()
    assert story.claim.filing
    number = story.claim.filing.number
    with visible_after(at_desk.simulator, 1.5):
        reply = Reply(actor=ANA, request_hash=HASH, text="All of Contoso's.")
        assert (await at_desk.ask(handle, "reply", reply)).status is Status.FILED
        until = asyncio.get_running_loop().time() + 2
        while asyncio.get_running_loop().time() < until:
            await at_desk.sweep("TicketSweep")
            assert (await at_desk.claim(handle)).status is Status.FILED
            await asyncio.sleep(0.2)
    notes = at_desk.simulator.door.get(f"/service-requests/{number}").json()["notes"]
    assert [note["text"] for note in notes if note["by"] == "partner"] == ["All of Contoso's."]
    # The next question is one again.
    story.microsoft(number, "attention_needed", "And since when?")
    await sweep_until(at_desk, handle, Status.NEEDS_INFORMATION)
    assert (await at_desk.claim(handle)).question == "And since when?"
    await handle.terminate()


async def test_a_reply_is_written_once_though_microsoft_is_slow_to_take_it(
    temporal: WorkflowEnvironment, simulator: Simulator, tmp_path: Path
) -> None:
    async with desk(temporal.client, simulator, tmp_path) as at_desk:
        story = await reach(at_desk, Status.NEEDS_INFORMATION)
        handle = await story.carry_on()
        assert story.claim.filing
        number = story.claim.filing.number
        slow: dict[str, object] = {"kind": "slow", "method": "PATCH", "seconds": 9, "times": None}
        simulator.post("/faults", slow | {"path": f"/v1/servicerequests/{number}"})
        answer = await at_desk.ask(handle, "reply", Reply(actor=ANA, request_hash=HASH, text="All of them."))
        simulator.door.delete("/faults")
        assert answer.status is Status.FILED
        notes = simulator.door.get(f"/service-requests/{number}").json()["notes"]
        assert [note["text"] for note in notes if note["by"] == "partner"] == ["All of them."]
        await handle.terminate()


async def test_a_ticket_closed_without_a_decision_waits_on_us(at_desk: Desk) -> None:
    story = await reach(at_desk, Status.FILED)
    handle = await story.carry_on()
    assert story.claim.filing
    story.microsoft(story.claim.filing.number, "closed", "See your invoice.")
    await at_desk.sweep("TicketSweep")
    claim = await at_desk.happened(handle, Event.TICKET_CHANGED)
    assert (claim.status, claim.waiting_on) == (Status.FILED, WaitingOn.US)
    attributes, page = await at_desk.shown(handle)
    assert attributes["WaitingOn"] == "us"
    assert "record its decision" in page
    decision = RecordDecision(actor=ANA, request_hash=HASH, outcome=Outcome.DENIED, reason="As their note says.")
    assert (await at_desk.ask(handle, "record_decision", decision)).status is Status.DENIED
    assert await handle.result() == Status.DENIED


async def signals(handle: Handle) -> int:
    """How many signals the run was sent."""
    history = await handle.fetch_history()
    return sum(event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED for event in history.events)


async def test_a_sweep_of_a_thousand_claims_costs_a_page_a_call_and_signals_what_changed(
    temporal: WorkflowEnvironment, tmp_path: Path
) -> None:
    """The claims that change run for real, the others are on record only: nobody may ask anything of them."""
    page = 50
    microsoft = running_simulator(tmp_path, SIMULATOR_SERVICE_REQUEST_PAGE=str(page))
    with microsoft as simulator:
        async with desk(temporal.client, simulator, tmp_path) as at_desk:
            first = await reach(at_desk, Status.READY_TO_FILE)
            created = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
            bulk = {"customer_id": first.claim.opening.customer_id, "count": CLAIMS, "created_date": created}
            numbers = [str(number) for number in _ids(simulator.post("/service-requests/bulk", bulk))]
            claims = [first.file(numbers[0]).claim, *(_like(first.claim, number) for number in numbers[1:])]
            for claim in claims:
                await at_desk.records.record(claim, first.steps[-1][1])
            every = CLAIMS // CHANGED
            running = [await at_desk.start(claim) for claim in claims[: CHANGED * every : every]]
            await at_desk.sweep("TicketSweep")  # the first one fetches the token too
            assert [await signals(handle) for handle in running] == [0] * CHANGED

            changed: dict[str, object] = {"ids": numbers[: CHANGED * every : every], "status": "attention_needed"}
            simulator.post("/service-requests/bulk-change", changed)
            simulator.calls()
            assert await report(at_desk) == TicketSweepReport(listed=CLAIMS, changed=CHANGED, signalled=CHANGED)
            for handle in running:
                await at_desk.until(handle, Status.NEEDS_INFORMATION)
            calls = simulator.door.get("/calls").json()["calls"]
            assert calls.pop("GET /v1/servicerequests/{id}") == CHANGED, "each claim told reads its own ticket"
            assert sum(calls.values()) <= CLAIMS / page + 1
            assert [await signals(handle) for handle in running] == [1] * CHANGED

            simulator.calls()
            assert await report(at_desk) == TicketSweepReport(listed=CLAIMS, changed=0, signalled=0)
            assert simulator.calls() <= CLAIMS / page + 1
            assert [await signals(handle) for handle in running] == [1] * CHANGED
            for handle in running:
                await handle.terminate()


def _ids(numbers: dict[str, object]) -> list[object]:
    ids = numbers["ids"]
    assert isinstance(ids, list)
    return ids


def _like(claim: Claim, number: str) -> Claim:
    """A claim about another incident, filed like this one with a ticket of its own."""
    said, filing = claim.opening, claim.filing
    assert filing
    assert filing.ticket
    incident = said.incident.model_copy(update={"reference": f"EX{uuid4().int % 10**9}"})
    ticket = filing.ticket.model_copy(update={"number": number})
    return claim.model_copy(
        update={
            "id": f"claim-{uuid4().hex[:20]}",
            "opening": said.model_copy(update={"incident": incident}),
            "filing": filing.model_copy(update={"number": number, "ticket": ticket}),
            "documents": (),
        }
    )


async def report(desk: Desk) -> TicketSweepReport:
    """What a sweep says of itself."""
    found: TicketSweepReport = await desk.client.execute_workflow(
        "TicketSweep", id=f"sweep-{uuid4()}", task_queue=desk.settings.task_queue, result_type=TicketSweepReport
    )
    return found
