"""Is the process up, can it work, and what has it done: /livez, /readyz, /metrics."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

import structlog
from fastapi import APIRouter, Response
from pydantic import BaseModel
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest

from activities.credits import CREDIT_SWEEP
from activities.evidence import DOCUMENT_SWEEP
from activities.tickets import TICKET_SWEEP
from records.database import check_migrated
from runtime.settings import Settings
from starter.api.desk import Desk, TheDesk

router = APIRouter(tags=["Operation"])

_PATIENCE = timedelta(seconds=2)

_log = structlog.get_logger(__name__)


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Readiness(BaseModel):
    """Whether the API can work; `problems` keep it from that, `warnings` don't."""

    status: Literal["ready", "not_ready"]
    problems: dict[str, str]
    warnings: dict[str, str]


@router.get("/livez")
async def livez() -> Alive:
    """The process is up. Says nothing of what it needs."""
    return Alive()


@router.get("/readyz", responses={503: {"model": Readiness, "description": "Not ready: the problems say why."}})
async def readyz(desk: TheDesk, response: Response) -> Readiness:
    """The database is migrated and Temporal answers. A sweep that is overdue is a warning."""
    problems: dict[str, str] = {}
    checks: tuple[tuple[str, Callable[[Desk], Awaitable[None]], str], ...] = (
        ("database", _database, "The database doesn't answer, or `claimdesk migrate` hasn't been run on it."),
        ("temporal", _temporal, "Temporal doesn't answer, or hasn't got the namespace."),
    )
    for name, check, what in checks:
        try:
            await check(desk)
        except Exception as error:  # whatever it is, it isn't ready, and the text may hold a password
            _log.warning("not ready", part=name, error=type(error).__name__)
            problems[name] = what
    warnings = {} if "database" in problems else await _overdue_sweeps(desk)
    if problems:
        response.status_code = 503
    return Readiness(status="not_ready" if problems else "ready", problems=problems, warnings=warnings)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(desk: TheDesk) -> Response:
    """For Prometheus: requests, claims by status, the age of the sweeps' last successes."""
    now = datetime.now(UTC)
    claims = {status.value: count for status, count in (await desk.claims.count_by_status()).items()}
    ages = {name: (now - at).total_seconds() for name, at in (await desk.claims.sweep_successes()).items()}
    return Response(desk.metrics.exposition(claims, ages), media_type="text/plain; version=0.0.4; charset=utf-8")


def sweep_seconds(settings: Settings) -> dict[str, int]:
    """How often each sweep should succeed, by the name under which its successes are on record."""
    return {
        TICKET_SWEEP: settings.ticket_sweep_seconds,
        CREDIT_SWEEP: settings.credit_sweep_seconds,
        DOCUMENT_SWEEP: settings.document_sweep_seconds,
    }


async def _database(desk: Desk) -> None:
    await check_migrated(desk.engine)


async def _temporal(desk: Desk) -> None:
    request = DescribeNamespaceRequest(namespace=desk.temporal.namespace)
    await desk.temporal.workflow_service.describe_namespace(request, timeout=_PATIENCE)


async def _overdue_sweeps(desk: Desk) -> dict[str, str]:
    successes = await desk.claims.sweep_successes()
    warnings = {}
    for name, seconds in sweep_seconds(desk.settings).items():
        limit = timedelta(seconds=seconds * desk.settings.sweep_overdue_factor)
        last = successes.get(name)
        if last is None:
            warnings[f"sweep_{name}"] = f"The sweep of {name} has never succeeded yet."
        elif datetime.now(UTC) - last > limit:
            warnings[f"sweep_{name}"] = (
                f"The sweep of {name} last succeeded at {last:%Y-%m-%dT%H:%M:%SZ}, more than {limit} ago."
            )
    return warnings
