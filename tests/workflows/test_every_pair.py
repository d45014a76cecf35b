"""Every (event, status) pair of the table against the real workflow: what is allowed happens, what isn't leaves no
trace. The cases are read from the table; a pair that it gains has no door here, and fails."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from domain.claims import CLOSED, OPEN, TABLE, Answer, Claim, Event, Status, refusal
from domain.messages import (
    Command,
    CreditNews,
    RecordFiling,
    TicketNews,
)
from domain.roles import Role
from tests.workflows.desk import ANA, Desk, Handle, all_of, refused
from tests.workflows.doors import BY, DOORS, Scene, commands
from tests.workflows.states import HASH, UNKNOWN, Story, reach

S, E = Status, Event

NO_DOOR = {
    (E.ATTACH_EVIDENCE, S.READY_TO_FILE, S.COLLECTING_EVIDENCE): "a document more leaves a checklist complete",
    (E.REVOKE_EVIDENCE, S.COLLECTING_EVIDENCE, S.READY_TO_FILE): "a document less completes no checklist",
}
"""What the table would let happen, and no rule makes happen."""


GOES_ON = {E.FILE_TICKET: "claimdesk files it at once"}
"""What doesn't stay the last entry of the timeline."""

PEOPLE = [event for event in Event if event.action is not None]


async def _plays(scene: Scene, event: Event, status: Status, to: Status) -> None:
    """The event happens; record, timeline and the Temporal UI say what the table says."""
    case = f"{event}: {status} to {to}"
    handle = await DOORS[event](scene, status, to)
    claim = await scene.desk.happened(handle, event, 2 if (event, status) == (E.QUESTION_ASKED, to) else 1)
    entries = await scene.desk.records.timeline(handle.id, 0, 500)
    if event in GOES_ON:
        while entries[-1].event is not event:
            entries = entries[:-1]
    else:
        assert claim.version == entries[-1].version, case
    before, entry = entries[-2:] if len(entries) > 1 else (None, entries[-1])
    assert (entry.event, entry.status) == (event, to), case
    assert (before.status if before else S.TRIAGING) is status, case
    assert (entry.actor == ANA) == (event.action is not None or event is E.OPENED), case
    assert claim.status is to, case
    waiting = None if to in CLOSED else claim.waiting_on
    wanted = (to, waiting, f"## {to.replace('_', ' ')}")
    shown: tuple[object, ...] = ()
    for _ in range(100):  # the record is there a moment before the run goes on
        attributes, page = await scene.desk.shown(handle)
        shown = (attributes["ClaimStatus"], attributes.get("WaitingOn"), page.splitlines()[0])
        if shown == wanted:
            break
        await asyncio.sleep(0.02)
    assert shown == wanted, case
    if to in CLOSED:
        assert await handle.result() == to, case


@pytest.mark.parametrize("event", TABLE, ids=str)
async def test_what_the_table_allows_happens(busy_desk: Desk, temporal: WorkflowEnvironment, event: Event) -> None:
    cases = [
        (status, to) for status, move in TABLE[event].items() for to in move.to if (event, status, to) not in NO_DOOR
    ]
    scene = Scene(busy_desk, temporal)
    try:
        await all_of(*(_plays(scene, event, status, to) for status, to in cases))
    finally:
        await scene.end()


def test_what_has_no_door_is_in_the_table() -> None:
    assert all(to in TABLE[event][status].to for event, status, to in NO_DOOR)


async def _traces(desk: Desk, handle: Handle) -> tuple[int, list[Event]]:
    return len((await handle.fetch_history()).events), await desk.events(handle)


async def _is_refused(desk: Desk, claim: Claim, event: Event, command: Command) -> None:
    """The refusal says which rule, and in which statuses it is allowed."""
    case = f"{event} while {claim.status}"
    request = desk.ask_with_start if claim.status in CLOSED else None
    why = await refused(request(claim, event, command) if request else desk.ask(desk.handle(claim), event, command))
    assert why.rule == "status_allows", case
    assert not why.forbidden, case
    assert str(claim.status) in why.message, case
    assert all(status in why.message for status in TABLE[event]), case


@pytest.mark.parametrize("status", Status, ids=str)
async def test_what_the_table_does_not_allow_leaves_no_trace(
    busy_desk: Desk, temporal: WorkflowEnvironment, status: Status
) -> None:
    story = await reach(busy_desk, status)
    claim = await story.record()
    scene = Scene(busy_desk, temporal)
    if status is S.TRIAGING:
        scene.hold(claim)
    requests = await commands(story)
    try:
        handle = await scene.start(story)
        if status in CLOSED:
            assert await handle.result() == status
            events = await busy_desk.events(handle)
        else:
            await busy_desk.ask(handle, "assign", requests[E.ASSIGN])
            claim = await busy_desk.claim(handle)
            await _settled(handle, status)
            length, events = await _traces(busy_desk, handle)
        for event in PEOPLE:
            if status not in TABLE[event]:
                await _is_refused(busy_desk, claim, event, requests[event])
        assert await busy_desk.claim(handle) == claim
        assert await busy_desk.events(handle) == events
        if status in OPEN and status is not S.TRIAGING:  # whose attempts to ask Microsoft go on
            assert await _traces(busy_desk, handle) == (length, events)
    finally:
        await scene.end()


async def _settled(handle: Handle, status: Status) -> None:
    """Wait until the run has nothing to do: only then its history stands still."""
    while status is not S.TRIAGING:
        pending = (await handle.describe()).raw_description
        if not pending.pending_activities and not pending.HasField("pending_workflow_task"):
            return
        await asyncio.sleep(0.02)


async def test_a_guard_and_a_role_refuse_too(busy_desk: Desk, temporal: WorkflowEnvironment) -> None:
    scene = Scene(busy_desk, temporal)
    empty = Story.of(busy_desk, late=True).triage().pass_time()
    sent = (await reach(busy_desk, S.READY_TO_FILE)).file(UNKNOWN, visible=False)
    ready = await reach(busy_desk, S.READY_TO_FILE)
    helpdesk = ANA.model_copy(update={"role": Role.HELPDESK_AGENT})
    for story, event, command, rule, said in (
        (empty, E.RECORD_FILING, RecordFiling(**BY, ticket_number=UNKNOWN), "checklist_complete", "written request"),
        (sent, E.REVOKE_EVIDENCE, (await commands(sent))[E.REVOKE_EVIDENCE], "documents_filed", UNKNOWN),
        (
            ready,
            E.RECORD_FILING,
            RecordFiling(actor=helpdesk, request_hash=HASH, ticket_number=UNKNOWN),
            "role_may_not",
            "admin_agent",
        ),
    ):
        handle = await scene.start(story)
        why = await refused(busy_desk.ask(handle, event, command))
        assert (why.rule, said in why.message) == (rule, True)
        assert why == refusal(story.claim, event, command.actor)
        assert await busy_desk.claim(handle) == story.claim
    await scene.end()


@pytest.mark.parametrize("status", sorted(OPEN), ids=str)
async def test_signals_and_time_that_do_not_apply_change_nothing(
    busy_desk: Desk, temporal: WorkflowEnvironment, status: Status
) -> None:
    story = await reach(busy_desk, status)
    scene = Scene(busy_desk, temporal)
    if status is S.TRIAGING:
        scene.hold(story.claim)
    handle = await scene.start(story)
    filing = story.claim.filing
    try:
        for number in (UNKNOWN, filing.number if filing else UNKNOWN):
            known = filing.ticket.fingerprint if filing and filing.ticket else "open|"
            await handle.signal("ticket_changed", TicketNews(ticket_number=number, fingerprint=known))
        await handle.signal("credits_changed", CreditNews(seen="nothing new"))
        if status in {S.FILED, S.AWAITING_CREDIT}:  # nothing happens to these by the passing of time
            await scene.skip(handle, datetime.now(UTC) + timedelta(days=400))
        await _settled(handle, status)
        assert await busy_desk.claim(handle) == story.claim
    finally:
        await scene.end()


@pytest.mark.parametrize("status", sorted(CLOSED), ids=str)
async def test_a_closed_claim_takes_no_signal(busy_desk: Desk, status: Status) -> None:
    story = await reach(busy_desk, status)
    handle = await story.carry_on()
    assert await handle.result() == status
    with pytest.raises(RPCError) as failed:
        await handle.signal("credits_changed", CreditNews(seen="new"))
    assert failed.value.status is RPCStatusCode.NOT_FOUND
    assert await busy_desk.claim(handle) == story.claim


async def test_asking_again_whether_it_is_open_answers_and_changes_nothing(busy_desk: Desk) -> None:
    story = await reach(busy_desk, S.FILED)
    handle = await story.carry_on()
    answer = await handle.execute_update("opened", {"request_hash": "other"}, result_type=Answer)
    assert (answer.version, answer.status, answer.request_hash) == (story.claim.version, S.FILED, "0" * 64)
    assert await busy_desk.claim(handle) == story.claim
    assert story.claim.credit.allocated == Decimal(0)
    await handle.terminate()
