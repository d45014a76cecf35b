"""How each event comes to a claim: by its own request, signal or instant, from a status to what it is to become."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from temporalio.client import WorkflowExecutionStatus
from temporalio.testing import WorkflowEnvironment

from domain import lifecycle, settlement
from domain.claims import CLOSED, Answer, Claim, Event, Outcome, Status
from domain.evidence import EvidenceKind
from domain.messages import (
    AllocateCredit,
    Assign,
    AttachEvidence,
    CheckAgain,
    Command,
    Dispute,
    FileAsException,
    FileTicket,
    RecordDecision,
    RecordFiling,
    ReleaseCredit,
    Reopen,
    Reply,
    RevokeEvidence,
    Withdraw,
    WriteOff,
)
from domain.money import Money
from domain.policy import Category
from domain.triage import Route
from tests.workflows.desk import ANA, Desk, Handle, skip_to, until
from tests.workflows.states import (
    HASH,
    KINDS,
    UNKNOWN,
    Story,
    azure_path,
    azure_ready,
    bought,
    line_of,
    path_of,
    reach,
    unreachable,
)

S, E = Status, Event

BY: dict[str, object] = {"actor": ANA, "request_hash": HASH}


async def commands(story: Story) -> dict[Event, Command]:
    """A well-formed request of each kind."""
    document = await story.desk.document(story.claim, EvidenceKind.SUPPORTING_DOCUMENT, f"{uuid4()}".encode())
    known = story.claim.documents[0].id if story.claim.documents else "doc-0"
    given = story.claim.credit.allocations[0].id if story.claim.credit.allocations else "alloc-0"
    return {
        E.ATTACH_EVIDENCE: AttachEvidence(**BY, document=document),
        E.REVOKE_EVIDENCE: RevokeEvidence(**BY, document_id=known, reason="Wrong one."),
        E.RECORD_FILING: RecordFiling(**BY, ticket_number=UNKNOWN),
        E.FILE_TICKET: FileTicket(**BY),
        E.REPLY: Reply(**BY, text=f"These: {uuid4()}"),
        E.RECORD_DECISION: RecordDecision(**BY, outcome=Outcome.APPROVED, reason="Their mail."),
        E.ALLOCATE_CREDIT: AllocateCredit(**BY, line_id="line-0"),
        E.RELEASE_CREDIT: ReleaseCredit(**BY, allocation_id=given, reason="Not ours."),
        E.WRITE_OFF: WriteOff(**BY, reason="Too little."),
        E.DISPUTE: Dispute(**BY, reason="Too little came."),
        E.ASSIGN: Assign(**BY, assignee="Ben"),
        E.WITHDRAW: Withdraw(**BY, reason="Settled otherwise."),
        E.REOPEN: Reopen(**BY, reason="New evidence."),
        E.FILE_AS_EXCEPTION: FileAsException(**BY, reason="Promised by phone."),
        E.CHECK_AGAIN: CheckAgain(**BY),
    }


class Scene:
    """Where a case plays: the desk, and the workflows that have to be ended because they can't end by themselves."""

    def __init__(self, desk: Desk, environment: WorkflowEnvironment) -> None:
        self.desk, self.environment = desk, environment
        self.open: list[Handle] = []

    def hold(self, claim: Claim) -> None:
        """Microsoft doesn't answer about this subscription: triage doesn't come to an end."""
        unreachable(self.desk.simulator, path_of(claim))

    async def start(self, story: Story) -> Handle:
        handle = await story.carry_on()
        self.open.append(handle)
        return handle

    async def ask(self, story: Story, event: Event, command: Command | None = None) -> tuple[Handle, Answer]:
        """Start the workflow where the story is, and send it the request."""
        command = command or (await commands(story))[event]
        handle = await self.start(story)
        return handle, await self.desk.ask(handle, event, command)

    async def skip(self, handle: Handle, instant: datetime) -> None:
        await skip_to(self.environment, handle, instant)

    async def end(self) -> None:
        self.desk.simulator.door.delete("/faults")
        for handle in self.open:
            if (await handle.describe()).status is WorkflowExecutionStatus.RUNNING:
                await handle.terminate()


Door = Callable[[Scene, Status, Status], Awaitable[Handle]]


async def _opened(scene: Scene, status: Status, to: Status) -> Handle:
    story = Story.of(scene.desk)
    new = story.claim.model_copy(update={"version": 0})
    scene.hold(new)
    handle = await scene.desk.open(new)
    scene.open.append(handle)
    return handle


async def _triaged(scene: Scene, status: Status, to: Status) -> Handle:
    now = datetime.now(UTC)
    until = {"cancellation_allowed_until_date": (now + timedelta(days=3)).isoformat()}
    legacy: dict[str, object] = {"commerce": "legacy", "status": "suspended", "suspended_at": now.isoformat()}
    facts: dict[Status, dict[str, Any]] = {S.CANCEL_NOW: dict(until), S.AWAITING_CREDIT: legacy}
    category = Category.TECHNICAL_ISSUE if to in {S.COLLECTING_EVIDENCE, S.READY_TO_FILE} else Category.CANCELLATION
    story = Story.of(scene.desk, bought(scene.desk.simulator, days_ago=60, **facts.get(to, {})), category=category)
    if to is S.READY_TO_FILE:
        await story.attach()
    return await scene.start(story)


async def _window_shut(scene: Scene, status: Status, to: Status) -> Handle:
    story = await reach(scene.desk, status)
    scene.hold(story.claim)
    handle = await scene.start(story)
    assert story.claim.triage
    assert story.claim.triage.window_shuts_at
    await scene.skip(handle, story.claim.triage.window_shuts_at)
    return handle


async def _reminder_due(scene: Scene, status: Status, to: Status) -> Handle:
    story = await reach(scene.desk, status)
    handle = await scene.start(story)
    await scene.skip(handle, story.claim.reminders[0].at)
    return handle


async def _deadline_passed(scene: Scene, status: Status, to: Status) -> Handle:
    story = await reach(scene.desk, status)
    handle = await scene.start(story)
    assert story.claim.deadline
    await scene.skip(handle, story.claim.deadline.due_at)
    return handle


async def _grace_ended(scene: Scene, status: Status, to: Status) -> Handle:
    story = await reach(scene.desk, status)
    handle = await scene.start(story)
    assert story.claim.grace_ends_at
    await scene.skip(handle, story.claim.grace_ends_at)
    return handle


async def _ticket_sent(scene: Scene, status: Status, to: Status) -> Handle:
    story = await azure_ready(scene.desk, status)
    # Sent, and nothing comes of it: Azure doesn't answer about this subscription.
    unreachable(scene.desk.simulator, azure_path(story.claim))
    return await scene.start(story)


async def _file_ticket(scene: Scene, status: Status, to: Status) -> Handle:
    story = await azure_ready(scene.desk, status, assisted_reason="The support plan was too low.")
    unreachable(scene.desk.simulator, azure_path(story.claim))
    return (await scene.ask(story, E.FILE_TICKET))[0]


async def _ticket_read(scene: Scene, status: Status, to: Status) -> Handle:
    story = await reach(scene.desk, status)
    story.file(story.ticket(asks=to is S.NEEDS_INFORMATION), visible=False)
    handle = await scene.start(story)
    await scene.desk.sweep("TicketSweep")
    return handle


async def _ticket_refused(scene: Scene, status: Status, to: Status) -> Handle:
    story = await reach(scene.desk, status)
    number = f"6{uuid4().int % 10**14:014d}"
    handle = await scene.start(story.file(number, visible=False))
    assert story.claim.filing
    await scene.skip(handle, story.claim.filing.give_up_at)
    return handle


async def _ticket_changed(scene: Scene, status: Status, to: Status) -> Handle:
    story = await reach(scene.desk, status)
    handle = await scene.start(story)
    assert story.claim.filing
    story.microsoft(story.claim.filing.number, "open" if status is S.NEEDS_INFORMATION else "closed")
    await scene.desk.sweep("TicketSweep")
    return handle


async def _question_asked(scene: Scene, status: Status, to: Status) -> Handle:
    story = await reach(scene.desk, status)
    handle = await scene.start(story)
    assert story.claim.filing
    # Partner Center's lists say when a ticket changed to the second.
    await asyncio.sleep(1 - time.time() % 1)
    story.microsoft(story.claim.filing.number, "attention_needed", "And since when?")
    await scene.desk.sweep("TicketSweep")
    return handle


async def _credit_matched(scene: Scene, status: Status, to: Status) -> Handle:
    # The invoice that brings nothing would make every claim in its currency late.
    story = await reach(scene.desk, status, currency="EUR" if to is S.CREDITED else "NOK")
    handle = await scene.start(story)
    if to is S.CREDITED:
        scene.desk.invoice(story.claim, "-48.00", charge_type="customerCredit")
    else:
        after = (datetime.now(UTC) + timedelta(days=2)).isoformat()
        body: dict[str, object] = {
            "billing_provider": "one_time",
            "currency": "NOK",
            "invoice_date": after,
            "lines": [],
        }
        scene.desk.simulator.post("/invoices", body)
    await scene.desk.sweep("CreditSweep")
    return handle


async def _attach(scene: Scene, status: Status, to: Status) -> Handle:
    story = await reach(scene.desk, status)
    kind = EvidenceKind.SUPPORTING_DOCUMENT
    if (status, to) == (S.COLLECTING_EVIDENCE, S.READY_TO_FILE):
        await story.attach(KINDS[0])
        kind = KINDS[1]
    if status is S.TRIAGING:
        scene.hold(story.claim)
    content = {
        KINDS[1]: b"%PDF-1.7\n%%EOF\n" + uuid4().bytes,
        EvidenceKind.SUPPORTING_DOCUMENT: f"Seen by {uuid4()}".encode(),
    }
    command = AttachEvidence(**BY, document=await scene.desk.document(story.claim, kind, content[kind]))
    return (await scene.ask(story, E.ATTACH_EVIDENCE, command))[0]


async def _revoke(scene: Scene, status: Status, to: Status) -> Handle:
    if status is S.CANCEL_NOW:
        story = Story.of(scene.desk, category=Category.CANCELLATION)
        (await story.attach(KINDS[0])).triage(Route.CANCEL_NOW, datetime.now(UTC) + timedelta(days=3))
    else:
        story = await reach(scene.desk, status)
    if status is S.TRIAGING:
        scene.hold(story.claim)
    if not story.claim.documents:
        await story.attach(KINDS[0])
    document = story.claim.documents[0]
    if (status, to) == (S.READY_TO_FILE, S.READY_TO_FILE):
        document = await scene.desk.document(story.claim, EvidenceKind.SUPPORTING_DOCUMENT, b"What we saw.")
        story.do(lifecycle.attached(story.claim, document), ANA)
    command = RevokeEvidence(**BY, document_id=document.id, reason="Wrong one.")
    return (await scene.ask(story, E.REVOKE_EVIDENCE, command))[0]


async def _record_filing(scene: Scene, status: Status, to: Status) -> Handle:
    story = await reach(scene.desk, status)
    not_yet = to is status and status in {S.READY_TO_FILE, S.OVERDUE}
    number = UNKNOWN if not_yet else story.ticket(asks=to is S.NEEDS_INFORMATION)
    return (await scene.ask(story, E.RECORD_FILING, RecordFiling(**BY, ticket_number=number)))[0]


async def _reply(scene: Scene, status: Status, to: Status) -> Handle:
    story = await reach(scene.desk, status)
    if to is S.FILED:
        return (await scene.ask(story, E.REPLY))[0]
    # While our note is written Microsoft is slow; before the ticket is read back it asks the next question.
    assert story.claim.filing
    number, simulator = story.claim.filing.number, scene.desk.simulator
    path = f"/v1/servicerequests/{number}"
    await asyncio.sleep(1 - time.time() % 1)
    simulator.post("/faults", {"kind": "slow", "method": "PATCH", "path": path, "seconds": 0.5})
    reply = asyncio.create_task(scene.ask(story, E.REPLY))
    await until(lambda: all(fault["path"] != path for fault in simulator.door.get("/faults").json()))
    simulator.post("/faults", {"kind": "slow", "method": "GET", "path": path, "seconds": 1.5})
    await until(lambda: simulator.door.get(f"/service-requests/{number}").json()["notes"][-1]["by"] == "partner")
    story.microsoft(number, "attention_needed", "And since when?")
    return (await reply)[0]


async def _decide(scene: Scene, status: Status, to: Status) -> Handle:
    story = await reach(scene.desk, S.FILED)
    command = RecordDecision(**BY, outcome=Outcome.APPROVED, reason="Their mail.")
    if to is S.DENIED:
        command = RecordDecision(**BY, outcome=Outcome.DENIED, reason="Their mail.")
    if to is S.CREDITED:  # approved was more than came; disputed, it stays at what came
        await story.decide().allocate("20.00")
        story.do(settlement.disputed(story.claim, Dispute(**BY, reason="Too little came.")), ANA)
        amount = Money(amount="20.00", currency="EUR")
        command = RecordDecision(**BY, outcome=Outcome.APPROVED_IN_PART, amount=amount, reason="Their mail.")
    if status is S.NEEDS_INFORMATION:
        story.ask()
    return (await scene.ask(story, E.RECORD_DECISION, command))[0]


async def _allocate(scene: Scene, status: Status, to: Status) -> Handle:
    story = await reach(scene.desk, status)
    invoice = scene.desk.invoice(story.claim, "-60.00", charge_type="customerCredit")
    await scene.desk.sweep("CreditSweep")
    command = AllocateCredit(
        **BY,
        line_id=await line_of(scene.desk, story.claim, invoice),
        amount=Money(amount="48.00" if to is S.CREDITED else "20.00", currency="EUR"),
    )
    return (await scene.ask(story, E.ALLOCATE_CREDIT, command))[0]


async def _release(scene: Scene, status: Status, to: Status) -> Handle:
    story = await (await reach(scene.desk, status)).allocate("20.00")
    return (await scene.ask(story, E.RELEASE_CREDIT))[0]


async def _write_off(scene: Scene, status: Status, to: Status) -> Handle:
    story = await reach(scene.desk, status)
    if to is S.CREDITED:
        await story.allocate("20.00")
    return (await scene.ask(story, E.WRITE_OFF))[0]


async def _dispute(scene: Scene, status: Status, to: Status) -> Handle:
    if to in {S.FILED, S.NEEDS_INFORMATION}:
        story = (await reach(scene.desk, to)).decide()
    else:
        story = Story.of(scene.desk, category=Category.CANCELLATION)
        if to is S.READY_TO_FILE:
            await story.attach()
        story.triage(Route.REFUNDED_IN_FULL)
    return (await scene.ask(story, E.DISPUTE))[0]


def _simply(event: Event) -> Door:
    async def door(scene: Scene, status: Status, to: Status) -> Handle:
        story = await reach(scene.desk, status)
        if S.TRIAGING in {status, to}:
            scene.hold(story.claim)
        return (await scene.ask(story, event))[0]

    return door


def _taking_up(event: Event) -> Door:
    async def door(scene: Scene, status: Status, to: Status) -> Handle:
        if status not in CLOSED:
            return await _simply(event)(scene, status, to)
        story = await reach(scene.desk, status)
        scene.hold(story.claim)
        await scene.desk.ask_with_start(await story.record(), event, (await commands(story))[event])
        handle = scene.desk.handle(story.claim)
        scene.open.append(handle)
        return handle

    return door


DOORS: dict[Event, Door] = {
    E.OPENED: _opened,
    E.TRIAGED: _triaged,
    E.WINDOW_SHUT: _window_shut,
    E.REMINDER_DUE: _reminder_due,
    E.DEADLINE_PASSED: _deadline_passed,
    E.GRACE_ENDED: _grace_ended,
    E.TICKET_SENT: _ticket_sent,
    E.TICKET_READ: _ticket_read,
    E.TICKET_REFUSED: _ticket_refused,
    E.TICKET_CHANGED: _ticket_changed,
    E.QUESTION_ASKED: _question_asked,
    E.CREDIT_MATCHED: _credit_matched,
    E.ATTACH_EVIDENCE: _attach,
    E.REVOKE_EVIDENCE: _revoke,
    E.RECORD_FILING: _record_filing,
    E.FILE_TICKET: _file_ticket,
    E.REPLY: _reply,
    E.RECORD_DECISION: _decide,
    E.ALLOCATE_CREDIT: _allocate,
    E.RELEASE_CREDIT: _release,
    E.WRITE_OFF: _write_off,
    E.DISPUTE: _dispute,
    E.ASSIGN: _simply(E.ASSIGN),
    E.WITHDRAW: _simply(E.WITHDRAW),
    E.REOPEN: _taking_up(E.REOPEN),
    E.FILE_AS_EXCEPTION: _taking_up(E.FILE_AS_EXCEPTION),
    E.CHECK_AGAIN: _simply(E.CHECK_AGAIN),
}
