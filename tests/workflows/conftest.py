"""Real Temporal servers for the workflow tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment

from runtime.attributes import SEARCH_ATTRIBUTES
from runtime.temporal import plugin
from tests.simulated import Simulator
from tests.workflows.desk import TEMPORAL, Desk, desk


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    """A dev server on which each workflow's clock can be moved forward, and moves by itself never.

    Time skipping v2 is experimental in the SDK: nothing but this fixture knows how it is switched on.
    """
    async with await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(enabled=False),
        plugins=[plugin()],
        search_attributes=SEARCH_ATTRIBUTES,
        dev_server_existing_path=str(TEMPORAL),
        dev_server_extra_args=["--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"],
    ) as environment:
        yield environment


@pytest_asyncio.fixture(loop_scope="session", params=[1000, 0], ids=["cached", "cache-off"])
async def at_desk(
    request: pytest.FixtureRequest, temporal: WorkflowEnvironment, simulator: Simulator, tmp_path: Path
) -> AsyncIterator[Desk]:
    """A desk for one test, once with cached workflows and once replaying from the start at every task."""
    async with desk(temporal.client, simulator, tmp_path, max_cached_workflows=request.param) as made:
        yield made
