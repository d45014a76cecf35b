"""A whole desk for the tests of this room: the real Temporal server, the simulator, the worker and the API.

`desk` is one for each pytest worker, and lasts as long as it does: tests tell their claims apart by customer,
subscription and reference. What a test does to a process, or to the simulator's behaviour, it puts right again.
"""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from runtime.settings import PREFIX
from tests.end_to_end.ways import TestDesk, running_desk

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def clean_environment() -> Iterator[None]:
    """Without the settings of whoever runs the tests; processes run this checkout, whatever is installed."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            # What the tests themselves are told stays: others of this process still need it.
            if name.startswith((PREFIX, "TEMPORAL_", "SIMULATOR_")) and not name.startswith(f"{PREFIX}TEST_"):
                patch.delenv(name)
        patch.setenv("PYTHONPATH", str(ROOT))
        yield


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def desk(clean_environment: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestDesk]:
    """The desk, with sweeps every other second."""
    async with running_desk(tmp_path_factory.mktemp("desk")) as ways:
        yield ways
