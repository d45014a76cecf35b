"""Seeing where a claim's run is, and holding the database meanwhile."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from domain.claims import Event
from tests.workflows.desk import (
    Desk,
    Handle,
)


async def failure(request: Awaitable[object]) -> ApplicationError:
    """How a request failed."""
    with pytest.raises(WorkflowUpdateFailedError) as failed:
        await request
    assert isinstance(failed.value.cause, ApplicationError)
    return failed.value.cause


@contextmanager
def held(desk: Desk) -> Iterator[None]:
    """Somebody else holds the database: nothing can be written meanwhile."""
    connection = sqlite3.connect(desk.settings.data_dir / "claimdesk.db", isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
    finally:
        connection.close()


async def busy_with(handle: Handle, activity: str) -> None:
    """Wait until the claim has begun that activity."""
    while True:
        described = (await handle.describe()).raw_description
        if any(each.activity_type.name == activity and each.attempt for each in described.pending_activities):
            return
        await asyncio.sleep(0.02)


async def whole(desk: Desk, handle: Handle) -> list[Event]:
    """The timeline, which has every version once."""
    entries = await desk.records.timeline(handle.id, 0, 500)
    assert [entry.version for entry in entries] == list(range(1, len(entries) + 1))
    assert (await desk.claim(handle)).version == len(entries)
    return [entry.event for entry in entries]


async def ended(handle: Handle) -> WorkflowExecutionStatus | None:
    """How the run ended."""
    while True:
        status = (await handle.describe()).status
        if status is not WorkflowExecutionStatus.RUNNING:
            return status
        await asyncio.sleep(0.02)
