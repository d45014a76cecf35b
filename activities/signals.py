"""Telling claims what a sweep saw."""

from asyncio import Semaphore, TaskGroup
from collections.abc import Mapping

from pydantic import BaseModel
from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

_AT_ONCE = 20


async def signal_claims(client: Client, signal: str, news: Mapping[str, BaseModel]) -> int:
    """Send each claim (`news` by its id) the signal; how many got it. One that closed meanwhile is passed over."""
    places = Semaphore(_AT_ONCE)

    async def tell(claim_id: str, what: BaseModel) -> bool:
        async with places:
            activity.heartbeat()
            try:
                await client.get_workflow_handle(claim_id).signal(signal, what)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                return False
            return True

    async with TaskGroup() as group:
        told = [group.create_task(tell(claim_id, what)) for claim_id, what in news.items()]
    return sum(task.result() for task in told)
