"""A real Temporal dev server for the tests of this room."""

import sysconfig
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

TEMPORAL = Path(sysconfig.get_path("scripts")) / "temporal"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server() -> AsyncIterator[str]:
    """The address of a dev server that starts without any search attribute of ours."""
    async with await WorkflowEnvironment.start_local(dev_server_existing_path=str(TEMPORAL)) as environment:
        yield environment.client.service_client.config.target_host
