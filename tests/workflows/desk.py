"""A worker of ours, a real Temporal server, the simulated Microsoft and real records: what workflow tests act on."""

import asyncio
import logging
import sysconfig
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment

from domain.claims import Answer, Claim, Contact, Event, Incident, Opening, RaisedBy, Status
from domain.evidence import Document, EvidenceKind, media_type
from domain.messages import AttachEvidence, Command, Opened
from domain.model import Refusal
from domain.money import exact
from domain.page import summary
from domain.policy import Category, Commerce
from domain.roles import Actor, Role
from records.claims import ClaimRecords
from records.credits import CreditRecords
from records.database import engine, migrate
from runtime.attributes import SEARCH_ATTRIBUTES
from runtime.blobs import Blobs
from runtime.settings import Settings
from runtime.temporal import plugin
from tests.simulated import Simulator, settings_for
from worker import running_worker
from workflows.credit_claim import ClaimStart, CreditClaimWorkflow
from workflows.parts.visibility import attributes

FORM = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"


def mail(domain: str) -> bytes:
    """A customer's written request."""
    return (
        f"From: Carl <carl@{domain}>\r\nTo: ana@partner.example\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\n"
        f"Subject: Credit please {uuid4()}\r\nMessage-ID: <{uuid4()}@{domain}>\r\n\r\nWe ask for a credit.\r\n"
    ).encode()


TEMPORAL = Path(sysconfig.get_path("scripts")) / "temporal"

ANA = Actor(subject="ana", name="Ana", role=Role.ADMIN_AGENT, tenant_id="partner")

Handle = WorkflowHandle[CreditClaimWorkflow, Status]


@dataclass(frozen=True)
class Desk:
    """Everything around one claim's workflow."""

    client: Client
    settings: Settings
    simulator: Simulator
    database: AsyncEngine

    @property
    def records(self) -> ClaimRecords:
        return ClaimRecords(self.database)

    @property
    def credits(self) -> CreditRecords:
        return CreditRecords(self.database)

    async def start(self, claim: Claim) -> Handle:
        """Start the claim's workflow from the state it is in, as opening, reopening and continuing as new do."""
        return await self.client.start_workflow(
            CreditClaimWorkflow.run,
            ClaimStart(claim=claim),
            id=claim.id,
            task_queue=self.settings.task_queue,
            search_attributes=attributes(claim),
            static_summary=summary(claim),
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        )

    async def open(self, claim: Claim) -> Handle:
        """Start a new claim and wait until it is recorded."""
        handle = await self.start(claim)
        await handle.execute_update("opened", Opened(request_hash=claim.request_hash), result_type=Answer)
        return handle

    async def ask(self, handle: Handle, action: str, command: Command, key: str | None = None) -> Answer:
        """Send a person's request, as the API does."""
        answer: Answer = await handle.execute_update(action, command, id=key or uuid4().hex, result_type=Answer)
        return answer

    async def document(self, claim: Claim, kind: EvidenceKind, content: bytes) -> Document:
        """Put content into the blob store, as an upload does, and say what it is."""

        async def chunks() -> AsyncIterator[bytes]:
            yield content

        stored = await Blobs(self.settings.blob_url).put(chunks(), self.settings.max_document_bytes)
        return Document(
            id=f"doc-{uuid4().hex[:16]}",
            kind=kind,
            filename=f"{kind}.file",
            media_type=media_type(content) or "unknown",
            size=stored.size,
            sha256=stored.sha256,
            attached_at=datetime.now(UTC),
            attached_by=ANA,
        )

    async def attach(self, handle: Handle, kind: EvidenceKind, content: bytes) -> Answer:
        """Upload and attach a document."""
        claim = await self.claim(handle)
        command = AttachEvidence(actor=ANA, request_hash="1" * 64, document=await self.document(claim, kind, content))
        return await self.ask(handle, "attach_evidence", command)

    def ticket(self, claim: Claim, persona: str = "silence", **more: object) -> str:
        """A person files at the portal; the ticket's number."""
        body = {"customer_id": claim.opening.customer_id, "title": "Credit", "description": "…", "persona": persona}
        return str(self.simulator.post("/service-requests", body | more)["id"])

    def invoice(self, claim: Claim, *amounts: str, charge_type: str, currency: str = "EUR") -> str:
        """Microsoft issues an invoice with such lines for the claim's subscription; its id."""
        said = claim.opening
        lines = [
            {
                "customer_id": said.customer_id,
                "subscription_id": said.subscription_id,
                "charge_type": charge_type,
                "amount": amount,
            }
            for amount in amounts
        ]
        body: dict[str, object] = {
            "billing_provider": "recurring" if claim.commerce is Commerce.LEGACY else "one_time",
            "currency": currency,
            "lines": lines,
        }
        return str(self.simulator.post("/invoices", body)["id"])

    async def until(self, handle: Handle, *statuses: Status) -> Claim:
        """Wait until the claim's record has one of the statuses; fails after a while, saying where it stands."""
        until = asyncio.get_running_loop().time() + 20
        while True:
            claim = await self.records.get(handle.id)
            if claim is not None and claim.status in statuses:
                return claim
            assert asyncio.get_running_loop().time() < until, f"still {claim and claim.status}, not {statuses}"
            await asyncio.sleep(0.02)

    async def happened(self, handle: Handle, event: Event, times: int = 1) -> Claim:
        """Wait until the event is that often on the claim's timeline; the claim then."""
        until = asyncio.get_running_loop().time() + 20
        while True:
            entries = await self.records.timeline(handle.id, 0, 500)
            if sum(entry.event is event for entry in entries) >= times:
                return await self.claim(handle)
            said = "; ".join(f"{entry.event}: {entry.text}" for entry in entries)
            assert asyncio.get_running_loop().time() < until, f"no {event} so far: {said}"
            await asyncio.sleep(0.02)

    async def events(self, handle: Handle) -> list[Event]:
        """What stands on the claim's timeline, oldest first."""
        return [entry.event for entry in await self.records.timeline(handle.id, 0, 500)]

    async def ask_with_start(self, claim: Claim, action: str, command: Command, key: str | None = None) -> Answer:
        """Send a person's request to a claim that is closed, as the API does for those that take it up again."""
        operation = WithStartWorkflowOperation(
            CreditClaimWorkflow.run,
            ClaimStart(claim=claim),
            id=claim.id,
            task_queue=self.settings.task_queue,
            search_attributes=attributes(claim),
            static_summary=summary(claim),
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        answer: Answer = await self.client.execute_update_with_start_workflow(
            action, command, id=key or uuid4().hex, start_workflow_operation=operation, result_type=Answer
        )
        return answer

    def handle(self, claim: Claim) -> Handle:
        """The newest run of the claim's workflow."""
        return self.client.get_workflow_handle_for(CreditClaimWorkflow.run, claim.id)

    async def shown(self, handle: Handle) -> tuple[dict[str, object], str]:
        """What the Temporal UI shows of the claim: its search attributes by name, and its page."""
        # A record can be read a moment before its run hears that it is written; a query is answered after that.
        for _ in range(500):
            pending = (await handle.describe()).raw_description.pending_activities
            if all(each.activity_type.name != "record_claim" for each in pending):
                break
            await asyncio.sleep(0.02)
        metadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
        described = await handle.describe()
        known = {pair.key.name: pair.value for pair in described.typed_search_attributes}
        return known, metadata.current_details

    async def sweep(self, name: str) -> None:
        """Run a sweep now, as its schedule does."""
        await self.client.execute_workflow(name, id=f"{name}-{uuid4()}", task_queue=self.settings.task_queue)

    async def claim(self, handle: Handle) -> Claim:
        """The claim as its record has it."""
        found = await self.records.get(handle.id)
        assert found is not None
        return found


async def refused(request: Awaitable[object]) -> Refusal:
    """The reason for which a claim refused."""
    with pytest.raises(WorkflowUpdateFailedError) as failed:
        await request
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.non_retryable) == ("refused", True)
    return Refusal.model_validate(cause.details[0])


def failed_tasks(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Why workflow tasks failed while a test ran, as the SDK's worker logged it."""
    return [
        record.getMessage() + (f"\n{record.exc_info[1]!r}" if record.exc_info else "")
        for when in ("setup", "call")
        for record in caplog.get_records(when)
        if record.name.startswith("temporalio.worker._workflow") and record.levelno >= logging.WARNING
    ]


async def until(holds: Callable[[], bool]) -> None:
    """Wait until it holds; fails after a while."""
    end = asyncio.get_running_loop().time() + 20
    while not holds():
        assert asyncio.get_running_loop().time() < end, "it never came about"
        await asyncio.sleep(0.02)


async def all_of(*work: Awaitable[object]) -> None:
    """Do it all at once; every failure is told."""
    failed = [error for error in await asyncio.gather(*work, return_exceptions=True) if isinstance(error, Exception)]
    if failed:
        raise ExceptionGroup("not all came out right", failed)


async def skip_to(environment: WorkflowEnvironment, handle: Handle, instant: datetime) -> None:
    """Let the claim's clock, and nobody else's, go on to that instant."""
    ahead = instant - await environment.get_current_time(handle)
    await environment.fast_forward(handle, max(ahead, timedelta(milliseconds=1)))


HASTY = "limit.historyCount.suggestContinueAsNew=20"
"""Makes a server want every run to continue as new after a few events."""


@asynccontextmanager
async def server(*settings: str) -> AsyncIterator[WorkflowEnvironment]:
    """A dev server on which each workflow's clock can be moved forward, and moves by itself never.

    Time skipping v2 is experimental in the SDK: nothing but this and `skip_to` knows how it is used.
    """
    dynamic = ("frontend.WorkflowTimeSkippingEnabled=true", *settings)
    async with await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(enabled=False),
        plugins=[plugin()],
        search_attributes=SEARCH_ATTRIBUTES,
        dev_server_existing_path=str(TEMPORAL),
        dev_server_extra_args=[part for setting in dynamic for part in ("--dynamic-config-value", setting)],
    ) as environment:
        yield environment


@asynccontextmanager
async def desk(
    client: Client, simulator: Simulator, folder: Path, *, max_cached_workflows: int = 1000, **settings: object
) -> AsyncIterator[Desk]:
    """A desk of its own: its own records, blobs and task queue, and a worker until the end of the block."""
    made = settings_for(simulator, folder, task_queue=f"test-{uuid4().hex}", **settings)
    migrate(made.database_url)
    database = engine(made.database_url)
    try:
        async with running_worker(client, made, max_cached_workflows=max_cached_workflows):
            yield Desk(client, made, simulator, database)
    finally:
        await database.dispose()


def new_claim(
    simulator: Simulator,
    subscription: str,
    category: Category = Category.TECHNICAL_ISSUE,
    *,
    incident: date | None = None,
    asked: str | None = "48.00",
    currency: str = "EUR",
    raised_by: RaisedBy = RaisedBy.PARTNER,
    **more: object,
) -> Claim:
    """A claim about one of the simulator's subscriptions, as it is before its workflow starts."""
    known = simulator.seed["subscriptions"][subscription]
    customer = next(c for c in simulator.seed["customers"].values() if c["id"] == known["customer_id"])
    now = datetime.now(UTC)
    opening = Opening(
        customer_id=known["customer_id"],
        subscription_id=known["id"],
        category=category,
        incident=Incident(
            date=incident or (now - timedelta(days=3)).date(),
            reference=f"EX{uuid4().int % 10**9}",
            description="Mail stood still.",
        ),
        raised_by=raised_by,
        amount_asked=exact(asked, currency) if asked else None,
        contact=Contact(name="Ana", email="ana@partner.example"),
    )
    return Claim(
        id=f"claim-{uuid4().hex[:20]}",
        opening=opening.model_copy(update=more),
        opened_by=ANA,
        opened_at=now,
        request_hash="0" * 64,
        customer_name=customer["company_name"],
        customer_domains=(customer["domain"],),
        status_since=now,
    )
