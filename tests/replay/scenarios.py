"""What is recorded: each scenario lives through a part of a claim's life, or a sweep's, and keeps histories of it.

Adding one needs no more than a function here; docs/replay.md says how it is recorded.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.worker import Worker

from domain.claims import Outcome, Status
from domain.deadlines import Reminder
from domain.evidence import EvidenceKind
from domain.messages import (
    AllocateCredit,
    Assign,
    CheckAgain,
    Dispute,
    FileAsException,
    FileTicket,
    RecordFiling,
    ReleaseCredit,
    Reopen,
    Reply,
    RevokeEvidence,
    Withdraw,
    WriteOff,
)
from domain.money import exact
from domain.policy import Category
from tests.replay.recording import SAID, Recording, Scenario, soon
from tests.simulated import azure_plan
from tests.workflows.desk import Handle
from worker import WORKFLOWS

SCENARIOS: dict[str, Scenario] = {}
"""By name: the first part of the files' names."""

SUGGESTS_CONTINUING = "continues_as_new"
"""The scenario for which the server suggests continuing as new after few events."""


def scenario(function: Scenario) -> Scenario:
    """Put it on the list."""
    SCENARIOS[function.__name__] = function
    return function


# One scenario a route, each kept open and closed


@scenario
async def cancel_now(at: Recording) -> None:
    handle = await at.open(at.claim("nce_active_cancellable", category=Category.CANCELLATION))
    await at.desk.until(handle, Status.CANCEL_NOW)
    await at.keep("open", handle)
    await at.desk.ask(handle, "withdraw", Withdraw(**SAID, reason="The customer keeps it."))
    await at.keep("withdrawn", handle)


@scenario
async def refunded_in_full(at: Recording) -> None:
    await _credit_without_a_ticket(at, "legacy_suspended_within_30_days")


@scenario
async def credited_pro_rata(at: Recording) -> None:
    await _credit_without_a_ticket(at, "legacy_suspended_in_month_5")


async def _credit_without_a_ticket(at: Recording, subscription: str) -> None:
    handle = await at.open(at.cancellation(subscription))
    await at.desk.until(handle, Status.AWAITING_CREDIT)
    await at.keep("awaiting", handle)
    await at.desk.sweep("CreditSweep")
    await at.desk.until(handle, Status.CREDITED)
    await at.keep("credited", handle)


@scenario
async def azure_ticket(at: Recording) -> None:
    handle = await _azure(at)
    await at.desk.until(handle, Status.FILED)
    await at.keep("filed", handle)
    at.azure(await at.desk.claim(handle), "communications", body="Which machines?")
    await at.desk.sweep("TicketSweep")
    await at.desk.until(handle, Status.NEEDS_INFORMATION)
    await at.desk.ask(handle, "reply", Reply(**SAID, text="All of them."))
    await at.keep("replied", handle)
    await at.decide(handle)
    await at.credit(handle, "-48.00")
    await at.desk.until(handle, Status.CREDITED)
    await at.keep("credited", handle)


async def _azure(at: Recording, **access: object) -> Handle:
    """A claim that claimdesk files in Azure, where the partner has this access."""
    plan, subscription = azure_plan(at.desk.simulator)
    at.desk.simulator.post("/azure-tickets/access", {"of": subscription, **access})
    handle = await at.open(at.claim(plan))
    await at.desk.until(handle, Status.COLLECTING_EVIDENCE)
    await at.attach_all(handle)
    return handle


@scenario
async def azure_refused(at: Recording) -> None:
    handle = await _azure(at, plan_is_too_low=True)
    await at.until_event(handle, "ticket_refused")
    await at.keep("refused", handle)
    claim = await at.desk.claim(handle)
    at.desk.simulator.post("/azure-tickets/access", {"of": claim.azure_subscription_id})
    await at.desk.ask(handle, "file_ticket", FileTicket(**SAID))
    await at.desk.until(handle, Status.FILED)
    await at.keep("filed_again", handle)


@scenario
async def azure_slow_reply(at: Recording) -> None:
    handle = await _azure(at)
    await at.desk.until(handle, Status.FILED)
    at.azure(await at.desk.claim(handle), "communications", body="Which machines?")
    await at.desk.sweep("TicketSweep")
    await at.desk.until(handle, Status.NEEDS_INFORMATION)
    at.desk.simulator.door.put("/behaviour", json={"time_scale": 0.3}).raise_for_status()
    await at.desk.ask(handle, "reply", Reply(**SAID, text="All of them."))
    await at.keep("under_way", handle, during_activity=True)
    await at.until_event(handle, "ticket_changed")
    at.desk.simulator.door.put("/behaviour", json={"time_scale": 0}).raise_for_status()
    await at.keep("taken", handle)


@scenario
async def azure_down(at: Recording) -> None:
    at.trouble("error", path="/subscriptions/.+/fileWorkspaces/", times=None)
    handle = await _azure(at)
    await at.until_event(handle, "ticket_sent")
    await at.desk.ask(handle, "assign", Assign(**SAID, assignee="Ben"))
    await at.keep("under_way", handle, during_activity=True)
    claim = await at.desk.claim(handle)
    number = at.azure(claim, "", customer_id=claim.opening.customer_id, subscription_id=claim.azure_subscription_id)
    await at.desk.ask(handle, "record_filing", RecordFiling(**SAID, ticket_number=number))
    await at.keep("filed_by_hand", handle)
    at.no_trouble()
    at.trouble("slow", path="/subscriptions/.+/fileWorkspaces/", seconds=2)
    handle = await _azure(at)
    await at.until_event(handle, "ticket_sent")
    await at.desk.ask(handle, "withdraw", Withdraw(**SAID, reason="Settled otherwise."))
    await handle.result()
    await at.keep("withdrawn", handle)


@scenario
async def service_request(at: Recording) -> None:
    handle = await at.open(at.claim())
    await at.desk.until(handle, Status.COLLECTING_EVIDENCE)
    await at.attach_all(handle)
    document = (await at.desk.claim(handle)).documents[0]
    await at.desk.ask(
        handle, "revoke_evidence", RevokeEvidence(**SAID, document_id=document.id, reason="Another customer's form.")
    )
    await at.desk.attach(handle, EvidenceKind.CREDIT_REQUEST_FORM, b"%PDF-1.7\ntrailer\n<<>>\n%%EOF\n")
    await at.file(handle)
    await at.keep("filed", handle)
    await at.decide(handle)
    await at.credit(handle, "-48.00")
    await at.desk.until(handle, Status.CREDITED)
    await at.keep("credited", handle)


@scenario
async def not_claimable(at: Recording) -> None:
    handle = await at.open(at.claim(category=Category.CANCELLATION))
    await at.desk.until(handle, Status.NOT_CLAIMABLE)
    await at.keep("closed", handle)
    at.trouble("slow", path="/v1/customers", seconds=5)
    command = FileAsException(**SAID, reason="Promised by the account manager.")
    await at.start_with(await at.desk.claim(handle), "file_as_exception", command)
    handle = at.handle(await at.desk.claim(handle))
    await at.keep("excepted", handle, during_activity=True)
    await at.desk.until(handle, Status.COLLECTING_EVIDENCE)
    await at.keep("collecting", handle)


# At Microsoft


@scenario
async def question(at: Recording) -> None:
    handle = await at.ready()
    number = await at.file(handle)
    at.microsoft(number, "attention_needed")
    await at.desk.sweep("TicketSweep")
    await at.desk.until(handle, Status.NEEDS_INFORMATION)
    await at.keep("asked", handle)
    await at.desk.ask(handle, "reply", Reply(**SAID, text="All of them, until noon."))
    await at.desk.until(handle, Status.FILED)
    await at.keep("replied", handle)
    at.microsoft(number, "closed")
    await at.desk.sweep("TicketSweep")
    await at.until_event(handle, "ticket_changed")
    await at.keep("ticket_closed", handle)


@scenario
async def denied(at: Recording) -> None:
    handle = await at.ready()
    await at.file(handle)
    await at.decide(handle, Outcome.DENIED)
    await at.keep("closed", handle)
    claim = await at.desk.claim(handle)
    await at.start_with(claim, "reopen", Reopen(**SAID, reason="Microsoft wrote again."))
    await at.desk.until(handle, Status.READY_TO_FILE)
    await at.keep("reopened", at.handle(claim))


@scenario
async def corrected_ticket(at: Recording) -> None:
    handle = await at.ready()
    await at.file(handle)
    await at.file(handle)
    await at.keep("filed", handle)
    with pytest.raises(WorkflowUpdateFailedError):
        await at.file(handle, customer_id=at.desk.simulator.seed["customers"]["fabrikam"]["id"])
    await at.keep("refused", handle)


@scenario
async def unverified_ticket(at: Recording) -> None:
    handle = await at.ready()
    at.desk.simulator.door.put("/behaviour", json={"visible_after": 3}).raise_for_status()
    await at.file(handle)
    await at.keep("unverified", handle)
    while (await at.desk.claim(handle)).status is Status.READY_TO_FILE:
        await at.desk.sweep("TicketSweep")
        await asyncio.sleep(0.5)
    await at.keep("filed", handle)


@scenario
async def unknown_ticket(at: Recording) -> None:
    handle = await at.ready()
    at.desk.simulator.door.put("/behaviour", json={"visible_after": 3600}).raise_for_status()
    await at.file(handle)
    filing = (await at.desk.claim(handle)).filing
    assert filing is not None
    handle = await at.start_later(handle, filing=filing.model_copy(update={"give_up_at": soon(2)}))
    await at.until_event(handle, "ticket_refused")
    await at.keep("refused", handle)


# Time


@scenario
async def window_shuts(at: Recording) -> None:
    handle = await at.open(at.claim("nce_active_cancellable", category=Category.CANCELLATION))
    claim = await at.desk.until(handle, Status.CANCEL_NOW)
    assert claim.triage is not None
    said = claim.opening
    at.desk.simulator.post(f"/subscriptions/{said.subscription_id}/status", {"status": "deleted"})
    triage = claim.triage.model_copy(update={"window_shuts_at": soon(2)})
    handle = await at.start_later(handle, triage=triage)
    await at.desk.until(handle, Status.AWAITING_CREDIT)
    await at.keep("awaiting", handle)


@scenario
async def checked_again(at: Recording) -> None:
    handle = await at.open(at.claim("nce_active_cancellable", category=Category.CANCELLATION))
    claim = await at.desk.until(handle, Status.CANCEL_NOW)
    await at.desk.ask(handle, "check_again", CheckAgain(**SAID))
    await at.desk.until(handle, Status.CANCEL_NOW)
    at.desk.simulator.post(f"/subscriptions/{claim.opening.subscription_id}/status", {"status": "deleted"})
    await at.desk.ask(handle, "check_again", CheckAgain(**SAID))
    await at.desk.until(handle, Status.AWAITING_CREDIT)
    await at.keep("awaiting", handle)


@scenario
async def expired(at: Recording) -> None:
    handle = await at.open(at.claim())
    claim = await at.desk.until(handle, Status.COLLECTING_EVIDENCE)
    assert claim.deadline is not None
    handle = await at.start_later(
        handle,
        reminders=(Reminder(at=soon(1), days_before=3), Reminder(at=soon(2), days_before=1)),
        deadline=claim.deadline.model_copy(update={"due_at": soon(3)}),
        grace_ends_at=soon(5),
    )
    await at.desk.until(handle, Status.OVERDUE)
    await at.keep("overdue", handle)
    await at.desk.until(handle, Status.EXPIRED)
    await at.keep("closed", handle)


@scenario
async def overdue(at: Recording) -> None:
    two_months_ago = datetime.now(UTC).date() - timedelta(days=70)
    handle = await at.open(at.claim(incident=two_months_ago))
    await at.desk.until(handle, Status.OVERDUE)
    await at.attach_all(handle)
    await at.keep("open", handle)
    in_time = datetime.now(UTC) - timedelta(days=65)
    await at.file(handle, created_date=in_time.isoformat())
    await at.keep("filed_in_time", handle)


@scenario
async def overdue_exception(at: Recording) -> None:
    handle = await at.open(at.claim(incident=datetime.now(UTC).date() - timedelta(days=70)))
    await at.desk.until(handle, Status.OVERDUE)
    await at.attach_all(handle)
    await at.desk.ask(handle, "file_as_exception", FileAsException(**SAID, reason="Microsoft's portal was down."))
    await at.file(handle)
    await at.keep("filed_late", handle)


# Money


@scenario
async def contested(at: Recording) -> None:
    one, other = await at.awaiting(), await at.awaiting()
    await at.credit(one, "-48.00")
    await at.until_event(one, "credit_matched")
    await at.keep("open", one)
    [line_id] = (await at.desk.claim(one)).credit.contested_lines
    part = AllocateCredit(**SAID, line_id=line_id, amount=exact("20.00", "EUR"))
    answer = await at.desk.ask(one, "allocate_credit", part)
    assert answer.result is not None
    await at.desk.ask(
        one, "release_credit", ReleaseCredit(**SAID, allocation_id=answer.result, reason="The other one's.")
    )
    await at.desk.ask(other, "allocate_credit", AllocateCredit(**SAID, line_id=line_id))
    await at.keep("credited", other)
    await at.desk.ask(one, "write_off", WriteOff(**SAID, reason="Not worth another letter."))
    await at.keep("written_off", one)


@scenario
async def disputed(at: Recording) -> None:
    granted = await at.awaiting()
    await at.desk.ask(granted, "dispute", Dispute(**SAID, reason="No credit came."))
    await at.keep("filed", granted)
    owed = await at.open(at.cancellation("legacy_suspended_in_month_5"))
    await at.desk.until(owed, Status.AWAITING_CREDIT)
    await at.desk.ask(owed, "dispute", Dispute(**SAID, reason="No credit came."))
    await at.keep("collecting", owed)


# Trouble, and people crossing each other


@scenario
async def withdrawn_in_triage(at: Recording) -> None:
    at.trouble("slow", path="/v1/customers", seconds=3)
    handle = await at.open(at.claim())
    await at.keep("triaging", handle, during_activity=True)
    await at.desk.ask(handle, "withdraw", Withdraw(**SAID, reason="Opened twice."))
    await at.keep("closed", handle)


@scenario
async def operator_cancels(at: Recording) -> None:
    handle = await at.ready()
    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    await at.keep("while_waiting", handle)
    at.trouble("slow", path="/v1/customers", seconds=3)
    handle = await at.open(at.claim())
    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    await at.keep("in_triage", handle)


@scenario
async def microsoft_down(at: Recording) -> None:
    at.trouble("error", path="/v1/", times=9)
    handle = await at.open(at.claim())
    await at.desk.until(handle, Status.COLLECTING_EVIDENCE)
    await at.attach_all(handle)
    at.trouble("error", path="/v1/servicerequests", times=None)
    with pytest.raises(WorkflowUpdateFailedError):
        await at.file(handle)
    await at.keep("unanswered", handle)
    at.no_trouble()
    await at.file(handle)
    await at.keep("filed", handle)


@scenario
async def stuck(at: Recording) -> None:
    at.trouble("error", status=403, path="/v1/", times=1)
    handle = await at.open(at.claim())
    await at.keep("triaging", handle)
    await at.desk.ask(handle, "assign", Assign(**SAID, assignee="Bo"))
    await at.desk.until(handle, Status.COLLECTING_EVIDENCE)
    await at.keep("collecting", handle)


@scenario
async def duplicate(at: Recording) -> None:
    first = at.claim()
    await at.open(first)
    second = first.model_copy(update={"id": f"claim-{uuid4().hex[:20]}"})
    with pytest.raises(WorkflowUpdateFailedError):
        await at.open(second)
    await at.keep("closed", at.handle(second))


@scenario
async def all_at_once(at: Recording) -> None:
    handle = await at.open(at.claim())
    await at.desk.until(handle, Status.COLLECTING_EVIDENCE)
    await asyncio.gather(
        at.attach_all(handle), *(at.desk.ask(handle, "assign", Assign(**SAID, assignee=name)) for name in "ABC")
    )
    await at.keep("ready", handle)
    await asyncio.gather(
        *(at.desk.ask(handle, "withdraw", Withdraw(**SAID, reason=f"Of {name}.")) for name in "AB"),
        return_exceptions=True,
    )
    await at.keep("withdrawn", handle)


@scenario
async def continues_as_new(at: Recording) -> None:
    handle = await at.open(at.claim())
    first = (await handle.describe()).run_id
    await at.desk.until(handle, Status.COLLECTING_EVIDENCE)
    names = iter(range(100))
    while (await handle.describe()).run_id == first:
        await at.desk.ask(handle, "assign", Assign(**SAID, assignee=f"Colleague {next(names)}"))
    await at.keep("first_run", at.desk.client.get_workflow_handle(handle.id, run_id=first))
    await at.desk.ask(handle, "assign", Assign(**SAID, assignee="Bo"))
    await at.keep("second_run", handle)
    await at.desk.ask(handle, "withdraw", Withdraw(**SAID, reason="Settled by phone."))
    await at.keep("withdrawn", handle)


# The sweeps


@scenario
async def sweep(at: Recording) -> None:
    await at.ready()
    for name in ("TicketSweep", "CreditSweep", "DocumentSweep"):
        # Nobody on this queue does activities: the run stays where it has given its own out.
        nobody = f"nobody-{uuid4().hex}"
        async with Worker(at.desk.client, task_queue=nobody, workflows=WORKFLOWS):
            handle = await at.desk.client.start_workflow(name, id=f"{name}-{uuid4()}", task_queue=nobody)
            await at.keep("open", handle, during_activity=True)
        queue = at.desk.settings.task_queue
        handle = await at.desk.client.start_workflow(name, id=f"{name}-{uuid4()}", task_queue=queue)
        await handle.result()
        await at.keep("closed", handle)
