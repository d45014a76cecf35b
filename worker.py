"""The worker: runs the workflows and their activities, and keeps the schedules of the sweeps.

Started alone by `python worker.py`, configured by the environment (docs/deployment.md). SIGTERM drains: what is being
done is finished first, for at most `GRACEFUL_SHUTDOWN`.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.worker import Worker

from activities.azure_tickets import AzureTickets, Filer
from activities.credits import Credits
from activities.customers import Customers
from activities.evidence import Evidence
from activities.records import ClaimRecording
from activities.tickets import Tickets
from domain.claims import Contact
from microsoft.clients import microsoft
from records.claims import ClaimRecords
from records.credits import CreditRecords
from records.database import check_migrated, engine
from runtime.blobs import Blobs
from runtime.logging import configure_logging
from runtime.settings import Settings, SettingsError, load_settings
from runtime.temporal import connect, worker_runtime
from workflows.credit_claim import CreditClaimWorkflow
from workflows.credit_sweep import CreditSweepWorkflow
from workflows.document_sweep import DocumentSweepWorkflow
from workflows.ticket_sweep import TicketSweepWorkflow

GRACEFUL_SHUTDOWN = timedelta(seconds=60)
"""How long a stopping worker lets activities finish: longer than the longest call that files something."""

WORKFLOWS = [CreditClaimWorkflow, TicketSweepWorkflow, CreditSweepWorkflow, DocumentSweepWorkflow]

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Sweep:
    """A schedule: its id, the workflow it starts, and how often."""

    id: str
    workflow: str
    every: timedelta


def sweeps(settings: Settings) -> list[Sweep]:
    """The schedules that a partner's desk has."""
    return [
        Sweep("ticket-sweep", "TicketSweep", timedelta(seconds=settings.ticket_sweep_seconds)),
        Sweep("credit-sweep", "CreditSweep", timedelta(seconds=settings.credit_sweep_seconds)),
        Sweep("document-sweep", "DocumentSweep", timedelta(seconds=settings.document_sweep_seconds)),
    ]


async def keep_schedules(client: Client, settings: Settings) -> None:
    """Create each sweep's schedule, or bring it up to the settings. Whether an operator paused it stays as it is."""
    for sweep in sweeps(settings):
        schedule = Schedule(
            action=ScheduleActionStartWorkflow(
                sweep.workflow,
                id=sweep.id,
                task_queue=settings.task_queue,
                execution_timeout=max(timedelta(minutes=30), sweep.every),
                static_summary=f"Every {sweep.every}",
            ),
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=sweep.every)]),
            # A sweep that was missed isn't made up for: the next one sees all there is to see.
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=1)),
        )
        try:
            await client.create_schedule(sweep.id, schedule)
        except ScheduleAlreadyRunningError:

            def updated(there: ScheduleUpdateInput, schedule: Schedule = schedule) -> ScheduleUpdate:
                schedule.state = there.description.schedule.state
                return ScheduleUpdate(schedule=schedule)

            await client.get_schedule_handle(sweep.id).update(updated)


def filer(settings: Settings) -> Filer:
    """Who files Azure tickets, as the settings say."""
    name, email = settings.contact_name, settings.contact_email
    return Filer(
        partner_name=settings.partner_name,
        contact=Contact(name=name or email, email=email) if email else None,
        time_zone=settings.contact_time_zone,
        country=settings.contact_country,
        language=settings.contact_language,
    )


@asynccontextmanager
async def running_worker(
    client: Client, settings: Settings, *, max_cached_workflows: int = 1000
) -> AsyncIterator[Worker]:
    """A worker with everything it needs, running until the end of the block, then drained.

    Raises :class:`SettingsError` where the partner's identity at Microsoft isn't set.
    """
    database = engine(settings.database_url)
    try:
        await check_migrated(database)
        claims, credits = ClaimRecords(database), CreditRecords(database)
        async with microsoft(settings) as at_microsoft:
            center = at_microsoft.partner_center
            customers = Customers(center, credits, ZoneInfo(settings.partner_zone), settings.partner_country)
            blobs = Blobs(settings.blob_url)
            evidence = Evidence(blobs, claims, settings.max_document_bytes)
            azure = AzureTickets(at_microsoft.support, blobs, claims, filer(settings))
            tickets = Tickets(center, azure, claims, client, settings.ticket_page_size)
            money = Credits(at_microsoft.billing, credits, claims, client, settings.invoice_page_size)
            activities: list[Callable[..., Any]] = [
                ClaimRecording(claims).record_claim,
                customers.triage,
                evidence.check_document,
                evidence.sweep_documents,
                azure.file,
                azure.reply,
                azure.follow_reply,
                tickets.look_up,
                tickets.reply,
                tickets.sweep_tickets,
                money.match,
                money.allocate,
                money.release,
                money.sweep_credits,
            ]
            async with Worker(
                client,
                task_queue=settings.task_queue,
                workflows=WORKFLOWS,
                activities=activities,
                graceful_shutdown_timeout=GRACEFUL_SHUTDOWN,
                max_cached_workflows=max_cached_workflows,
                # After a worker died, its claims wait this long for it before another takes them; people wait 15 s.
                sticky_queue_schedule_to_start_timeout=timedelta(seconds=3),
            ) as worker:
                yield worker
    finally:
        await database.dispose()


async def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = load_settings()
    configure_logging(settings)
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    client = await connect(settings, runtime=worker_runtime(settings))
    async with running_worker(client, settings):
        await keep_schedules(client, settings)
        log.info("worker started", task_queue=settings.task_queue, namespace=client.namespace)
        await stop.wait()
        log.info("worker stops: finishing what it has begun")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (SettingsError, ConnectionError) as error:
        sys.exit(str(error))
