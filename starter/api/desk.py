"""What the routes work with: the records, Temporal, documents and Microsoft, each opened once a process."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from domain.claims import Claim
from microsoft.clients import microsoft
from microsoft.partner_center import PartnerCenter
from records.claims import ClaimRecords
from records.credits import CreditRecords
from records.database import engine
from runtime.blobs import Blobs
from runtime.settings import Settings
from runtime.temporal import connect
from starter.api.auth import Caller, Tokens
from starter.api.metrics import Metrics
from starter.api.problems import not_found

CLAIM_ID = re.compile(r"claim-[0-9a-f]{20}")
"""What the id of a claim looks like; a path may hold anything in its place."""


@dataclass(frozen=True)
class Desk:
    """Everything a request needs."""

    settings: Settings
    engine: AsyncEngine
    claims: ClaimRecords
    credits: CreditRecords
    blobs: Blobs
    temporal: Client
    partner_center: PartnerCenter
    tokens: Tokens
    metrics: Metrics

    async def claim(self, caller: Caller, claim_id: str) -> Claim:
        """The claim as recorded. Raises a 404 problem where there is none, and where the caller may not see it."""
        claim = await self.claims.get(claim_id) if CLAIM_ID.fullmatch(claim_id) else None
        if claim is None or not caller.may_see(claim):
            raise not_found()
        return claim


@asynccontextmanager
async def opened_desk(settings: Settings, metrics: Metrics) -> AsyncIterator[Desk]:
    """The desk, closed again at the end. Temporal is reached at the first request that needs it, not before.

    Raises SettingsError, which names what isn't set.
    """
    async with AsyncExitStack() as stack:
        database = engine(settings.database_url)
        stack.push_async_callback(database.dispose)
        tokens = Tokens(settings)
        stack.push_async_callback(tokens.aclose)
        at_microsoft = await stack.enter_async_context(microsoft(settings))
        yield Desk(
            settings=settings,
            engine=database,
            claims=ClaimRecords(database),
            credits=CreditRecords(database),
            blobs=Blobs(settings.blob_url),
            temporal=await connect(settings, lazy=True),
            partner_center=at_microsoft.partner_center,
            tokens=tokens,
            metrics=metrics,
        )


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


TheDesk = Annotated[Desk, Depends(_desk)]
"""The desk, as a route's argument."""
