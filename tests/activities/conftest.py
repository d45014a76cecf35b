"""Activities on real records, against the simulated Microsoft, with a real Temporal server to signal."""

import sysconfig
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment

from activities.azure_tickets import AzureTickets
from activities.credits import Credits
from activities.customers import Customers
from activities.evidence import Evidence
from activities.records import ClaimRecording
from activities.tickets import Tickets
from domain.claims import Claim
from domain.model import Refusal
from microsoft.billing import Billing
from microsoft.clients import microsoft
from microsoft.partner_center import PartnerCenter
from records.claims import ClaimRecords
from records.credits import CreditRecords
from records.database import engine, migrate
from runtime.blobs import Blobs
from runtime.temporal import plugin
from tests.records.samples import entry
from tests.simulated import Simulator, settings_for
from worker import filer

TEMPORAL = Path(sysconfig.get_path("scripts")) / "temporal"
QUEUE_WITHOUT_WORKER = "nobody"

T = TypeVar("T")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client() -> AsyncIterator[Client]:
    """A client of a dev server on which no worker runs: what is signalled stays to be read in the histories."""
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(TEMPORAL), plugins=[plugin()]
    ) as environment:
        yield environment.client


@dataclass
class Desk:
    """Everything the activities work with, and the activities."""

    claims: ClaimRecords
    credits: CreditRecords
    blobs: Blobs
    blob_folder: Path
    client: Client
    billing: Billing
    customers: Customers
    evidence: Evidence
    partner_center: PartnerCenter
    tickets: Tickets
    azure: AzureTickets
    money: Credits
    recording: ClaimRecording

    async def run(self, work: Callable[..., Awaitable[T]], *arguments: object) -> T:
        """Runs an activity as a worker would."""
        environment = ActivityEnvironment()
        done: T = await environment.run(work, *arguments)
        return done

    async def refusal(self, work: Callable[..., Awaitable[T]], *arguments: object) -> Refusal:
        """What the activity refuses."""
        with pytest.raises(ApplicationError) as caught:
            await self.run(work, *arguments)
        assert (caught.value.type, caught.value.non_retryable) == ("refused", True)
        return Refusal.model_validate(caught.value.details[0])

    async def record(self, *claims: Claim, running: bool = False) -> None:
        """Puts claims on record, with a workflow each where they are `running`."""
        for claim in claims:
            await self.claims.record(claim, entry(claim))
            if running:
                await self.client.start_workflow("CreditClaim", id=claim.id, task_queue=QUEUE_WITHOUT_WORKER)

    async def signals(self, claim: Claim) -> list[str]:
        """The names of the signals that the claim's workflow got."""
        history = await self.client.get_workflow_handle(claim.id).fetch_history()
        return [
            event.workflow_execution_signaled_event_attributes.signal_name
            for event in history.events
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
        ]


@pytest_asyncio.fixture
async def desk(simulator: Simulator, tmp_path: Path, client: Client) -> AsyncIterator[Desk]:
    """A new desk, with empty records, on the simulator that all tests share."""
    settings = settings_for(simulator, tmp_path)
    migrate(settings.database_url)
    database = engine(settings.database_url)
    claims, credits, blobs = ClaimRecords(database), CreditRecords(database), Blobs(settings.blob_url)
    async with microsoft(settings) as at_microsoft:
        azure = AzureTickets(at_microsoft.support, blobs, claims, filer(settings))
        yield Desk(
            claims=claims,
            credits=credits,
            blobs=blobs,
            blob_folder=tmp_path / "blobs",
            client=client,
            billing=at_microsoft.billing,
            customers=Customers(at_microsoft.partner_center, credits, ZoneInfo("Europe/Berlin"), "DE"),
            evidence=Evidence(blobs, claims, 100_000),
            partner_center=at_microsoft.partner_center,
            tickets=Tickets(at_microsoft.partner_center, azure, claims, client, 50),
            azure=azure,
            money=Credits(at_microsoft.billing, credits, claims, client, 2000),
            recording=ClaimRecording(claims),
        )
    await database.dispose()


@pytest.fixture(autouse=True)
def _no_faults_left(simulator: Simulator) -> None:
    simulator.door.delete("/faults").raise_for_status()
