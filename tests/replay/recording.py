"""What a scenario acts on: a desk of its own, and the keeping of histories as files."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

from temporalio.api.enums.v1 import EventType, WorkflowExecutionStatus
from temporalio.client import WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from domain.claims import Answer, Claim, Outcome, Status
from domain.evidence import EvidenceKind
from domain.messages import Command, Opened, RecordDecision, RecordFiling
from domain.page import summary
from domain.policy import Category
from tests.replay.corpus import Corpus
from tests.workflows.desk import ANA, FORM, Desk, Handle, mail, new_claim
from workflows.credit_claim import ClaimStart, CreditClaimWorkflow
from workflows.parts.visibility import attributes

MOST_BYTES = 1_000_000
"""A history larger than this has no place in a repository."""

SAID = {"actor": ANA, "request_hash": "2" * 64}


@dataclass
class Recording:
    """One scenario while it is recorded."""

    desk: Desk
    corpus: Corpus
    scenario: str
    version: int
    kept: list[str] = field(default_factory=list)

    async def keep(self, moment: str, handle: WorkflowHandle[Any, Any], *, during_activity: bool = False) -> None:
        """Write the run's history as it is once its worker has nothing left to do; or, `during_activity`, while an
        activity that was given out isn't done."""
        await until_quiet(handle, during_activity)
        history = await handle.fetch_history()
        text = json.dumps(without_traces(history.to_json_dict()), separators=(",", ":")) + "\n"
        done = {event.event_type for event in history.events}
        assert EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED in done, "replaying what never ran would wait for ever"
        assert len(text) < MOST_BYTES, f"{self.scenario}-{moment} has {len(text):,} characters"
        started = history.events[0].workflow_execution_started_event_attributes
        path = self.corpus.histories / started.workflow_type.name / f"{self.scenario}-{moment}.v{self.version}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.kept.append(self.corpus.name(path))

    async def open(self, claim: Claim) -> Handle:
        """Open a claim as the API does: started and asked whether it is recorded in one call."""
        await self.start_with(claim, "opened", Opened(request_hash=claim.request_hash))
        return self.handle(claim)

    async def start_with(self, claim: Claim, action: str, command: Command | Opened) -> None:
        """Start the claim's workflow from the state it has on record, with a request to it, as the API does."""
        start = WithStartWorkflowOperation(
            CreditClaimWorkflow.run,
            ClaimStart(claim=claim),
            id=claim.id,
            task_queue=self.desk.settings.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            static_summary=summary(claim),
            search_attributes=attributes(claim),
        )
        await self.desk.client.execute_update_with_start_workflow(
            action, command, id=uuid4().hex, start_workflow_operation=start, result_type=Answer
        )

    async def start_later(self, handle: Handle, **changed: object) -> Handle:
        """The claim's next run with these fields changed: what would take weeks to wait for is a second away."""
        await until_quiet(handle)
        claim = await self.desk.claim(handle)
        await handle.terminate()
        await self.desk.start(claim.model_copy(update=changed))
        return self.handle(claim)

    def handle(self, claim: Claim) -> Handle:
        """The newest run of the claim's workflow."""
        return self.desk.client.get_workflow_handle_for(CreditClaimWorkflow.run, claim.id)

    def claim(self, subscription: str = "nce_active_past_window", **more: object) -> Claim:
        """A claim to open, by service request unless something else is said."""
        return new_claim(self.desk.simulator, subscription, **more)  # type: ignore[arg-type]  # passed on as they come

    def cancellation(self, subscription: str) -> Claim:
        """A claim about a subscription that was stopped, and about what the simulator owes for it."""
        known = self.desk.simulator.seed["subscriptions"][subscription]
        return self.claim(
            subscription,
            category=Category.CANCELLATION,
            asked=known["credit"].lstrip("-"),
            currency=known["currency"],
            stopped_on=date.fromisoformat(known["suspended_on"]),
        )

    async def ready(self) -> Handle:
        """A claim that could be filed."""
        handle = await self.open(self.claim())
        await self.desk.until(handle, Status.COLLECTING_EVIDENCE)
        await self.attach_all(handle)
        return handle

    async def awaiting(self) -> Handle:
        """A claim that was approved."""
        handle = await self.ready()
        await self.file(handle)
        await self.decide(handle)
        return handle

    async def until_event(self, handle: Handle, event: str) -> None:
        """Wait until the claim's timeline has such an entry."""
        async with asyncio.timeout(20):
            while True:
                timeline = await self.desk.records.timeline(handle.id, 0, 100)
                if any(entry.event == event for entry in timeline):
                    return
                await asyncio.sleep(0.02)

    async def attach_all(self, handle: Handle) -> None:
        """The two documents that every service request needs."""
        await self.desk.attach(handle, EvidenceKind.CREDIT_REQUEST_FORM, FORM + uuid4().bytes.hex().encode())
        await self.desk.attach(handle, EvidenceKind.CUSTOMER_REQUEST, mail("contoso.example"))

    async def file(self, handle: Handle, **ticket: object) -> str:
        """A person files in the portal and records the number, which this gives."""
        number = self.desk.ticket(await self.desk.claim(handle), **ticket)  # type: ignore[arg-type]  # persona is a str
        await self.desk.ask(handle, "record_filing", RecordFiling(**SAID, ticket_number=number))
        return number

    async def decide(self, handle: Handle, outcome: Outcome = Outcome.APPROVED) -> None:
        """A person records Microsoft's decision."""
        command = RecordDecision(**SAID, outcome=outcome, reason="As Microsoft wrote.")
        await self.desk.ask(handle, "record_decision", command)

    async def credit(self, handle: Handle, *amounts: str, charge_type: str = "customerCredit") -> None:
        """Microsoft issues an invoice with such lines for the claim's subscription, and it is read."""
        claim = await self.desk.claim(handle)
        currency = claim.credit.currency or "EUR"
        self.desk.invoice(claim, *amounts, charge_type=charge_type, currency=currency)
        await self.desk.sweep("CreditSweep")

    def microsoft(self, number: str, status: str) -> None:
        """Microsoft does something to a ticket."""
        self.desk.simulator.post(f"/service-requests/{number}/status", {"status": status})

    def azure(self, claim: Claim, change: str, **body: object) -> str:
        """Microsoft does something to the claim's Azure ticket, or a person files one at the portal: its number."""
        path = f"/azure-tickets/{claim.filing.number}/{change}" if claim.filing and change else "/azure-tickets"
        made: dict[str, Any] = self.desk.simulator.post(path, body)
        return str(made["ticket"]["number"])

    def trouble(self, kind: str, **more: object) -> None:
        """Microsoft has trouble with the next calls."""
        self.desk.simulator.post("/faults", {"kind": kind, **more})

    def no_trouble(self) -> None:
        """… and no more."""
        assert self.desk.simulator.door.delete("/faults").is_success


def soon(seconds: float) -> datetime:
    """An instant that can be waited for."""
    return datetime.now(UTC) + timedelta(seconds=seconds)


Scenario = Callable[[Recording], Awaitable[None]]


def without_traces(node: object) -> object:
    """The history without stack traces, which name the machine's folders. Replay reads none."""
    if isinstance(node, dict):
        return {key: without_traces(value) for key, value in node.items() if key != "stackTrace"}
    return [without_traces(each) for each in node] if isinstance(node, list) else node


async def until_quiet(handle: WorkflowHandle[Any, Any], during_activity: bool = False) -> None:
    """Wait until nobody has anything to do for the run; or, `during_activity`, nobody but those who do activities."""
    until = asyncio.get_running_loop().time() + 20
    while True:
        now = (await handle.describe()).raw_description
        if now.workflow_execution_info.status != WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING:
            return
        if not now.HasField("pending_workflow_task") and bool(now.pending_activities) is during_activity:
            return
        assert asyncio.get_running_loop().time() < until, "the run didn't come to rest"
        await asyncio.sleep(0.05)
