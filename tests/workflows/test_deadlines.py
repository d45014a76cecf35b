"""Instants of a claim: reminders, the deadline, the grace, a window that shuts; with the claim's clock moved forward.

Microsoft and the activities live in real time meanwhile: what they date is given where it matters.
"""

import dataclasses
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from temporalio.testing import WorkflowEnvironment

from domain.claims import Claim, Entry, Event, Status
from domain.evidence import EvidenceKind
from domain.messages import FileAsException, RecordFiling, Reply
from domain.policy import Category
from tests.simulated import Simulator
from tests.workflows.desk import ANA, FORM, HASTY, Desk, Handle, desk, mail, new_claim, refused, server, skip_to
from tests.workflows.states import HASH, bought, reach
from worker import running_worker

BERLIN = ZoneInfo("Europe/Berlin")
INSTANT = timedelta(seconds=30)
"""How much later than set a timer may fire: the server looks every second, and activities take real time."""


async def entry(desk: Desk, handle: Handle, event: Event, nth: int = 1) -> Entry:
    """What the timeline says of the event."""
    await desk.happened(handle, event, nth)
    return [each for each in await desk.records.timeline(handle.id, 0, 500) if each.event is event][nth - 1]


async def fired_at(desk: Desk, handle: Handle, event: Event, instant: datetime) -> Entry:
    """The event happened at the instant, not before and hardly after."""
    found = await entry(desk, handle, event)
    assert instant <= found.at < instant + INSTANT
    return found


async def collecting(desk: Desk) -> tuple[Handle, Claim]:
    """A claim that triage has just given its deadline."""
    handle = await desk.open(new_claim(desk.simulator, bought(desk.simulator)))
    return handle, await desk.until(handle, Status.COLLECTING_EVIDENCE)


def due(claim: Claim) -> datetime:
    assert claim.deadline
    return claim.deadline.due_at


async def test_reminders_come_at_nine_in_the_partners_zone_on_working_days_only(
    temporal: WorkflowEnvironment, simulator: Simulator, tmp_path: Path
) -> None:
    async with desk(
        temporal.client, simulator, tmp_path, partner_zone="Europe/Berlin", partner_country="DE"
    ) as in_berlin:
        handle, claim = await collecting(in_berlin)
        planned = claim.reminders
        assert planned, "the deadline is at least a month ahead"
        await skip_to(temporal, handle, due(claim) - timedelta(minutes=1))
        await in_berlin.happened(handle, Event.REMINDER_DUE, len(planned))
        said = [e for e in await in_berlin.records.timeline(handle.id, 0, 500) if e.event is Event.REMINDER_DUE]
        assert [e.at.astimezone(BERLIN).time().replace(second=0, microsecond=0) for e in said] == [time(9)] * len(said)
        assert all(e.at.astimezone(BERLIN).weekday() < 5 for e in said)
        # Christmas, Easter and the like: the working day before.
        assert not {e.at.astimezone(BERLIN).date() for e in said} & _german_holidays(due(claim).year)
        assert [f"{r.days_before} day" in e.text for r, e in zip(planned, said, strict=True)] == [True] * len(said)
        assert (await in_berlin.claim(handle)).status is Status.COLLECTING_EVIDENCE
        await handle.terminate()


def _german_holidays(year: int) -> set[date]:
    fixed = ((1, 1), (5, 1), (10, 3), (12, 25), (12, 26))
    return {date(each, month, day) for each in (year - 1, year) for month, day in fixed}


async def test_overdue_at_the_first_instant_too_late_and_not_before(
    at_desk: Desk, temporal: WorkflowEnvironment
) -> None:
    handle, claim = await collecting(at_desk)
    await skip_to(temporal, handle, due(claim) - timedelta(seconds=40))
    assert (await at_desk.claim(handle)).status is Status.COLLECTING_EVIDENCE
    await skip_to(temporal, handle, due(claim))
    await fired_at(at_desk, handle, Event.DEADLINE_PASSED, due(claim))
    assert (await at_desk.claim(handle)).status is Status.OVERDUE
    assert due(claim).time() == time(0)

    claim = await at_desk.claim(handle)
    assert claim.grace_ends_at is not None
    assert _working_days(due(claim), claim.grace_ends_at) == 10
    await skip_to(temporal, handle, claim.grace_ends_at)
    await fired_at(at_desk, handle, Event.GRACE_ENDED, claim.grace_ends_at)
    assert (await at_desk.until(handle, Status.EXPIRED)).closing_reason
    assert await handle.result() == Status.EXPIRED


def _working_days(first: datetime, end: datetime) -> int:
    return sum((first + timedelta(days=n)).weekday() < 5 for n in range((end - first).days))


async def test_filed_in_time_and_recorded_after_the_deadline_is_filed(
    at_desk: Desk, temporal: WorkflowEnvironment
) -> None:
    story = await reach(at_desk, Status.READY_TO_FILE)
    handle = await story.carry_on()
    last_minute = due(story.claim) - timedelta(minutes=1)
    number = at_desk.ticket(story.claim, created_date=last_minute.isoformat())
    await skip_to(temporal, handle, due(story.claim) + timedelta(days=1))
    await at_desk.until(handle, Status.OVERDUE)
    command = RecordFiling(actor=ANA, request_hash=HASH, ticket_number=number)
    answer = await at_desk.ask(handle, "record_filing", command)
    assert answer.status is Status.FILED
    claim = await at_desk.claim(handle)
    assert claim.ticket is not None
    assert claim.ticket.created_at == last_minute
    assert (await entry(at_desk, handle, Event.RECORD_FILING)).at > due(claim)
    await handle.terminate()


async def test_a_ticket_made_too_late_is_refused_unless_it_is_filed_as_an_exception(
    at_desk: Desk, temporal: WorkflowEnvironment
) -> None:
    story = await reach(at_desk, Status.READY_TO_FILE)
    handle = await story.carry_on()
    number = at_desk.ticket(story.claim, created_date=due(story.claim).isoformat())
    await skip_to(temporal, handle, due(story.claim))
    await at_desk.until(handle, Status.OVERDUE)
    command = RecordFiling(actor=ANA, request_hash=HASH, ticket_number=number)
    why = await refused(at_desk.ask(handle, "record_filing", command))
    assert (why.rule, why.field) == ("filed_in_time", "ticket_number")
    assert f"{due(story.claim):%Y-%m-%d %H:%M} UTC" in why.message
    assert "exception" in why.message
    assert Event.RECORD_FILING not in await at_desk.events(handle)

    exception = FileAsException(actor=ANA, request_hash=HASH, reason="Microsoft promised it by phone.")
    await at_desk.ask(handle, "file_as_exception", exception)
    assert (await at_desk.ask(handle, "record_filing", command)).status is Status.FILED
    await handle.terminate()


async def test_reminders_stop_at_filing_and_a_question_before_the_deadline_starts_them_again(
    at_desk: Desk, temporal: WorkflowEnvironment
) -> None:
    story = (await reach(at_desk, Status.READY_TO_FILE)).file()
    assert len(story.claim.reminders) >= 2
    handle = await story.carry_on()
    first, *later = story.claim.reminders
    await skip_to(temporal, handle, first.at + timedelta(hours=1))
    assert Event.REMINDER_DUE not in await at_desk.events(handle)

    number = story.claim.filing.number if story.claim.filing else ""
    story.microsoft(number, "attention_needed", "Which users?")
    await at_desk.sweep("TicketSweep")
    await at_desk.until(handle, Status.NEEDS_INFORMATION)
    await skip_to(temporal, handle, later[0].at)
    reminded = await fired_at(at_desk, handle, Event.REMINDER_DUE, later[0].at)
    assert f"{later[0].days_before} day" in reminded.text

    await at_desk.ask(handle, "reply", Reply(actor=ANA, request_hash=HASH, text="All of them."))
    await skip_to(temporal, handle, due(story.claim) + timedelta(days=1))
    claim = await at_desk.claim(handle)
    assert claim.status is Status.FILED
    assert (await at_desk.events(handle)).count(Event.REMINDER_DUE) == 1
    await handle.terminate()


async def test_when_the_window_to_cancel_shuts_microsoft_is_asked_again(
    at_desk: Desk, temporal: WorkflowEnvironment
) -> None:
    shuts_at = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)
    name = bought(at_desk.simulator, days_ago=4, cancellation_allowed_until_date=shuts_at.isoformat())
    handle = await at_desk.open(new_claim(at_desk.simulator, name, Category.CANCELLATION))
    claim = await at_desk.until(handle, Status.CANCEL_NOW)
    assert claim.triage
    assert claim.triage.window_shuts_at == shuts_at
    await skip_to(temporal, handle, shuts_at)
    await fired_at(at_desk, handle, Event.WINDOW_SHUT, shuts_at)
    claim = await at_desk.until(handle, Status.NOT_CLAIMABLE)
    assert claim.closing_reason
    assert await handle.result() == Status.NOT_CLAIMABLE


async def test_the_same_instants_after_continuing_as_new(simulator: Simulator, tmp_path: Path) -> None:
    async with server(HASTY) as hasty, desk(hasty.client, simulator, tmp_path) as at_desk:
        handle, claim = await collecting(at_desk)
        first_run = (await handle.describe()).run_id
        for kind, content in (
            (EvidenceKind.CREDIT_REQUEST_FORM, FORM),
            (EvidenceKind.CUSTOMER_REQUEST, mail("contoso.example")),
            (EvidenceKind.SUPPORTING_DOCUMENT, b"What we saw."),
            (EvidenceKind.SUPPORTING_DOCUMENT, b"What we saw later."),
        ):
            await at_desk.attach(handle, kind, content)
        described = await handle.describe()
        assert described.run_id != first_run
        # What the Temporal UI lists goes from run to run.
        attributes, page = await at_desk.shown(handle)
        assert attributes["ClaimStatus"] == "ready_to_file"
        assert attributes["DueAt"] == due(claim)
        assert page.startswith("## ready to file")
        assert (await at_desk.claim(handle)).deadline == claim.deadline
        assert (await at_desk.claim(handle)).reminders == claim.reminders

        await skip_to(hasty, handle, due(claim))
        await fired_at(at_desk, handle, Event.DEADLINE_PASSED, due(claim))
        said = [e for e in await at_desk.records.timeline(handle.id, 0, 500) if e.event is Event.REMINDER_DUE]
        assert [e.at.replace(second=0, microsecond=0) for e in said] == [r.at for r in claim.reminders]
        assert claim.grace_ends_at
        await skip_to(hasty, handle, claim.grace_ends_at)
        await fired_at(at_desk, handle, Event.GRACE_ENDED, claim.grace_ends_at)
        versions = [e.version for e in await at_desk.records.timeline(handle.id, 0, 500)]
        assert versions == list(range(1, len(versions) + 1))


async def test_the_same_instants_with_another_worker(at_desk: Desk, temporal: WorkflowEnvironment) -> None:
    """The worker that started the claim is gone; the one that goes on has only the history."""
    queue = f"{at_desk.settings.task_queue}-passing"
    settings = at_desk.settings.model_copy(update={"task_queue": queue})
    elsewhere = dataclasses.replace(at_desk, settings=settings)
    async with running_worker(temporal.client, settings):
        handle, claim = await collecting(elsewhere)
        await skip_to(temporal, handle, claim.reminders[0].at)
        await fired_at(at_desk, handle, Event.REMINDER_DUE, claim.reminders[0].at)
    async with running_worker(temporal.client, settings):
        await skip_to(temporal, handle, due(claim))
        await fired_at(at_desk, handle, Event.DEADLINE_PASSED, due(claim))
        assert (await at_desk.events(handle)).count(Event.REMINDER_DUE) == len(claim.reminders)
        await handle.terminate()
