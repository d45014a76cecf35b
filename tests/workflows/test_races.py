"""Things that meet: two people, a person and the clock, a Microsoft that hangs, a held database."""

import asyncio
import time
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from domain.claims import Answer, Event, Status
from domain.messages import Assign, AttachEvidence, RecordFiling, Reopen, Reply, Withdraw
from tests.simulated import Simulator, running_simulator
from tests.workflows.desk import (
    ANA,
    HASTY,
    Desk,
    Handle,
    all_of,
    desk,
    new_claim,
    refused,
    server,
    skip_to,
)
from tests.workflows.states import HASH, KINDS, Story, bought, path_of, reach, unreachable
from tests.workflows.watching import busy_with, ended, failure, held, whole
from workflows.parts.options import RETRY_TROUBLE_AFTER

ABANDON = Withdraw(actor=ANA, request_hash=HASH, reason="Settled otherwise.")


def filing(number: str) -> RecordFiling:
    return RecordFiling(actor=ANA, request_hash=HASH, ticket_number=number)


def to(assignee: str) -> Assign:
    return Assign(actor=ANA, request_hash=HASH, assignee=assignee)


# Two people


async def test_the_same_ticket_recorded_by_two_at_once_is_filed_once(at_desk: Desk) -> None:
    story = await reach(at_desk, Status.READY_TO_FILE)
    handle = await story.carry_on()
    number = story.ticket()
    both = await asyncio.gather(
        *(at_desk.ask(handle, "record_filing", filing(number)) for _ in range(2)), return_exceptions=True
    )
    (answer,) = [each for each in both if isinstance(each, Answer)]
    (error,) = [each for each in both if isinstance(each, WorkflowUpdateFailedError)]
    assert (answer.status, answer.result) == (Status.FILED, number)
    assert isinstance(error.cause, ApplicationError)
    assert error.cause.details[0]["rule"] == "ticket_once"
    assert (await whole(at_desk, handle)).count(Event.RECORD_FILING) == 1
    await handle.terminate()


async def test_two_tickets_recorded_at_once_are_both_remembered(at_desk: Desk) -> None:
    story = await reach(at_desk, Status.READY_TO_FILE)
    handle = await story.carry_on()
    numbers = {story.ticket(), story.ticket()}
    await all_of(*(at_desk.ask(handle, "record_filing", filing(number)) for number in sorted(numbers)))
    claim = await at_desk.claim(handle)
    assert claim.ticket
    assert (claim.status, {claim.ticket.number, *claim.earlier_filings}) == (Status.FILED, numbers)
    await whole(at_desk, handle)
    await handle.terminate()


async def test_the_same_request_twice_has_one_answer_and_one_entry(at_desk: Desk) -> None:
    handle = await (await reach(at_desk, Status.FILED)).carry_on()
    key = uuid4().hex
    first, second = await asyncio.gather(*(at_desk.ask(handle, "assign", to("Ben"), key) for _ in range(2)))
    later = await at_desk.ask(handle, "assign", to("Ben"), key)
    assert first == second == later
    assert (await whole(at_desk, handle)).count(Event.ASSIGN) == 1
    await handle.terminate()


async def test_ten_requests_in_flight_are_all_done_one_after_the_other(at_desk: Desk) -> None:
    handle = await (await reach(at_desk, Status.FILED)).carry_on()
    before = (await at_desk.claim(handle)).version
    names = [f"Person {number}" for number in range(10)]
    answers = await asyncio.gather(*(at_desk.ask(handle, "assign", to(name)) for name in names))
    assert sorted(answer.version for answer in answers) == list(range(before + 1, before + 11))
    said = [e.text for e in await at_desk.records.timeline(handle.id, before, 500)]
    assert sorted(said) == sorted(f"Assigned to {name}." for name in names)
    assert (await at_desk.claim(handle)).assignee == said[-1].removeprefix("Assigned to ").removesuffix(".")
    await handle.terminate()


async def test_of_two_who_reopen_one_is_told_that_it_is_open(at_desk: Desk) -> None:
    story = await reach(at_desk, Status.WITHDRAWN)
    claim = await story.record()
    unreachable(at_desk.simulator, path_of(claim))
    again = Reopen(actor=ANA, request_hash=HASH, reason="New evidence.")
    both = await asyncio.gather(
        *(at_desk.ask_with_start(claim, "reopen", again) for _ in range(2)), return_exceptions=True
    )
    assert len([each for each in both if isinstance(each, Answer)]) == 1
    assert len([each for each in both if isinstance(each, WorkflowUpdateFailedError)]) == 1
    handle = at_desk.handle(claim)
    assert (await whole(at_desk, handle)).count(Event.REOPEN) == 1
    await handle.terminate()


async def test_reopened_beside_an_open_claim_about_the_same_it_stays_closed(at_desk: Desk) -> None:
    story = await reach(at_desk, Status.WITHDRAWN)
    closed = await story.record()
    other = Story(at_desk, closed.model_copy(update={"id": f"claim-{uuid4().hex[:20]}", "status": Status.TRIAGING}))
    other.triage()
    handle = await other.carry_on()
    again = Reopen(actor=ANA, request_hash=HASH, reason="New evidence.")
    error = await failure(at_desk.ask_with_start(closed, "reopen", again))
    assert (error.type, error.details[0]) == ("duplicate_claim", {"claim_id": other.claim.id})
    assert await at_desk.handle(closed).result() == Status.WITHDRAWN
    assert await at_desk.records.get(closed.id) == closed
    await handle.terminate()


async def test_two_claims_about_the_same_opened_at_once_become_one(at_desk: Desk) -> None:
    first = new_claim(at_desk.simulator, bought(at_desk.simulator))
    second = first.model_copy(update={"id": f"claim-{uuid4().hex[:20]}"})
    both = await asyncio.gather(*(at_desk.open(claim) for claim in (first, second)), return_exceptions=True)
    (error,) = [each for each in both if isinstance(each, WorkflowUpdateFailedError)]
    (opened,) = [each for each in both if not isinstance(each, BaseException)]
    assert isinstance(error.cause, ApplicationError)
    assert (error.cause.type, error.cause.details[0]) == ("duplicate_claim", {"claim_id": opened.id})
    refused_one = second if opened.id == first.id else first
    assert await at_desk.records.get(refused_one.id) is None
    assert await ended(at_desk.handle(refused_one)) is WorkflowExecutionStatus.COMPLETED
    await opened.terminate()


async def test_a_request_that_comes_before_the_opening_is_recorded_waits_for_it(at_desk: Desk) -> None:
    claim = new_claim(at_desk.simulator, bought(at_desk.simulator))
    unreachable(at_desk.simulator, path_of(claim))
    with held(at_desk):
        handle = await at_desk.start(claim)
        early = asyncio.create_task(at_desk.ask(handle, "assign", to("Ben")))
        await busy_with(handle, "record_claim")
    assert (await early).version == 2
    assert await whole(at_desk, handle) == [Event.OPENED, Event.ASSIGN]
    await handle.terminate()


# A person and the clock


async def test_an_upload_in_the_instant_of_the_deadline_is_not_lost(
    at_desk: Desk, temporal: WorkflowEnvironment
) -> None:
    stories = [await Story.of(at_desk).triage().attach(KINDS[0]) for _ in range(4)]
    handles = [await story.carry_on() for story in stories]

    async def race(story: Story, handle: Handle, wait: float) -> None:
        assert story.claim.deadline
        document = await at_desk.document(story.claim, KINDS[1], b"%PDF-1.7\n%%EOF\n")
        await skip_to(temporal, handle, story.claim.deadline.due_at - timedelta(seconds=1))
        await asyncio.sleep(wait)  # around the instant: which of the two comes first isn't to matter
        command = AttachEvidence(actor=ANA, request_hash=HASH, document=document)
        answer = await at_desk.ask(handle, "attach_evidence", command)
        assert answer.result == document.id
        claim = await at_desk.until(handle, Status.OVERDUE)
        await at_desk.happened(handle, Event.ATTACH_EVIDENCE, 2)
        claim = await at_desk.claim(handle)
        assert [each.kind for each in claim.documents] == list(KINDS)
        assert set((await whole(at_desk, handle))[-2:]) <= {
            Event.ATTACH_EVIDENCE,
            Event.DEADLINE_PASSED,
            Event.REMINDER_DUE,
        }

    await all_of(
        *(race(story, handle, n * 0.4) for n, (story, handle) in enumerate(zip(stories, handles, strict=True)))
    )
    await all_of(*(handle.terminate() for handle in handles))


# Microsoft


async def test_withdrawing_does_not_wait_for_a_microsoft_that_hangs(at_desk: Desk) -> None:
    claim = new_claim(at_desk.simulator, bought(at_desk.simulator))
    at_desk.simulator.post("/faults", {"kind": "slow", "path": path_of(claim), "seconds": 4})
    handle = await at_desk.open(claim)
    await busy_with(handle, "triage")
    started = time.monotonic()
    assert (await at_desk.ask(handle, "withdraw", ABANDON)).status is Status.WITHDRAWN
    assert await handle.result() == Status.WITHDRAWN
    assert time.monotonic() - started < 3
    assert await whole(at_desk, handle) == [Event.OPENED, Event.WITHDRAW]


async def test_a_microsoft_that_is_down_is_asked_until_it_answers(at_desk: Desk) -> None:
    claim = new_claim(at_desk.simulator, bought(at_desk.simulator))
    # More than one attempt of the activity takes by itself.
    at_desk.simulator.post("/faults", {"kind": "error", "path": path_of(claim), "times": 4})
    handle = await at_desk.open(claim)
    await at_desk.until(handle, Status.COLLECTING_EVIDENCE)
    assert await whole(at_desk, handle) == [Event.OPENED, Event.TRIAGED]
    await handle.terminate()


async def test_a_lapsed_consent_is_shown_and_the_claim_goes_on_once_it_is_given_again(
    temporal: WorkflowEnvironment, tmp_path: Path
) -> None:
    with running_simulator(tmp_path) as simulator:
        async with desk(temporal.client, simulator, tmp_path) as at_desk:
            simulator.door.post("/refresh-tokens/idle").raise_for_status()
            handle = await at_desk.open(new_claim(simulator, bought(simulator)))
            until_shown = asyncio.get_running_loop().time() + 20
            while "**Stuck**" not in (page := (await at_desk.shown(handle))[1]):
                assert asyncio.get_running_loop().time() < until_shown, page
                await asyncio.sleep(0.05)
            assert "Sign in again as the partner's service account" in page
            assert (await at_desk.claim(handle)).status is Status.TRIAGING

            assert at_desk.settings.refresh_token_file
            at_desk.settings.refresh_token_file.write_text(_consent(simulator))
            await temporal.fast_forward(handle, RETRY_TROUBLE_AFTER)
            await at_desk.until(handle, Status.COLLECTING_EVIDENCE)
            assert await whole(at_desk, handle) == [Event.OPENED, Event.TRIAGED]
            await handle.terminate()


def _consent(simulator: Simulator) -> str:
    """The service account signs in again; its refresh token."""
    entra = f"{simulator.url}/{simulator.seed['tenant']}/oauth2/v2.0"
    scope = f"openid offline_access {simulator.seed['resource']}/user_impersonation"
    who = {"client_id": simulator.seed["client_id"], "scope": scope, "login_hint": "ana@partner.example"}
    with httpx.Client(trust_env=False) as browser:
        code = browser.post(f"{entra}/devicecode", data=who).raise_for_status().json()["device_code"]
        redeemed = {
            "client_id": simulator.seed["client_id"],
            "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
            "device_code": code,
        }
        return str(browser.post(f"{entra}/token", data=redeemed).raise_for_status().json()["refresh_token"])


# The database


async def test_a_database_that_is_held_for_a_while_delays_and_loses_nothing(
    temporal: WorkflowEnvironment, simulator: Simulator, tmp_path: Path
) -> None:
    async with desk(temporal.client, simulator, tmp_path) as at_desk:
        handle = await (await reach(at_desk, Status.FILED)).carry_on()
        with held(at_desk):
            asked = asyncio.create_task(at_desk.ask(handle, "assign", to("Ben")))
            # Longer than an attempt waits for it.
            await asyncio.sleep(6)
            assert not asked.done()
        assert (await asked).status is Status.FILED
        assert (await whole(at_desk, handle)).count(Event.ASSIGN) == 1
        await handle.terminate()


# From run to run


async def test_a_request_answered_before_continuing_as_new_has_the_same_answer_after(
    simulator: Simulator, tmp_path: Path
) -> None:
    async with server(HASTY) as hasty, desk(hasty.client, simulator, tmp_path) as at_desk:
        story = await reach(at_desk, Status.NEEDS_INFORMATION)
        handle = await story.carry_on()
        key = uuid4().hex
        reply = Reply(actor=ANA, request_hash=HASH, text="All of them.")
        answer = await at_desk.ask(handle, "reply", reply, key)
        first_run = (await handle.describe()).run_id
        for number in range(6):
            await at_desk.ask(handle, "assign", to(f"Person {number}"))
        assert (await handle.describe()).run_id != first_run
        # Filed again, the claim would refuse a reply.
        assert await at_desk.ask(handle, "reply", reply, key) == answer
        assert (await refused(at_desk.ask(handle, "reply", reply))).rule == "status_allows"
        assert (await whole(at_desk, handle)).count(Event.REPLY) == 1
        await handle.terminate()


async def test_requests_in_flight_while_it_continues_as_new_are_all_done(simulator: Simulator, tmp_path: Path) -> None:
    async with server(HASTY) as hasty, desk(hasty.client, simulator, tmp_path) as at_desk:
        handle = await (await reach(at_desk, Status.FILED)).carry_on()
        first_run = (await handle.describe()).run_id

        async def person(name: str) -> None:
            for number in range(8):
                await at_desk.ask(handle, "assign", to(f"{name} {number}"))

        await all_of(*(person(name) for name in ("Ana", "Ben", "Cem")))
        assert (await handle.describe()).run_id != first_run
        assert (await whole(at_desk, handle)).count(Event.ASSIGN) == 24
        await handle.terminate()
