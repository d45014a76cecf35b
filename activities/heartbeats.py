"""A sign of life while an activity waits for Microsoft."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from temporalio import activity

_EVERY = 4.0
"""Seconds; the shortest heartbeat time-out is 15."""


@asynccontextmanager
async def heartbeating(details: Callable[[], object]) -> AsyncIterator[None]:
    """Heartbeats with what `details` gives, now and every few seconds until the end of the block."""

    async def beat() -> None:
        while True:
            activity.heartbeat(details())
            await asyncio.sleep(_EVERY)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
