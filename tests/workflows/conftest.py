"""Real Temporal servers for the workflow tests."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from tests.simulated import Simulator
from tests.workflows.desk import Desk, desk, failed_tasks, server


@pytest.fixture(autouse=True)
def no_failed_task(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A workflow task that fails is tried again until it times out, so a test might pass beside it: none may.

    Among what fails one here is a handler that a closing workflow left unfinished (an error by pyproject.toml), a
    command that differs in replay, and an exception of our own.
    """
    yield
    failed = failed_tasks(caplog)
    assert not failed, "\n".join(failed)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    """A dev server for every test that needs none of its own."""
    async with server() as environment:
        yield environment


@pytest_asyncio.fixture(loop_scope="session", params=[1000, 0], ids=["cached", "cache-off"])
async def at_desk(
    request: pytest.FixtureRequest, temporal: WorkflowEnvironment, simulator: Simulator, tmp_path: Path
) -> AsyncIterator[Desk]:
    """A desk for one test, once with cached workflows and once replaying from the start at every task."""
    async with desk(temporal.client, simulator, tmp_path, max_cached_workflows=request.param) as made:
        yield made
    simulator.door.delete("/faults")


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=[1000, 0], ids=["cached", "cache-off"])
async def busy_desk(
    request: pytest.FixtureRequest,
    temporal: WorkflowEnvironment,
    simulator: Simulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Desk]:
    """One desk for all tests of a file that are about claims of their own: starting one takes longer than they do."""
    folder = tmp_path_factory.mktemp("desk")
    async with desk(temporal.client, simulator, folder, max_cached_workflows=request.param) as made:
        yield made
