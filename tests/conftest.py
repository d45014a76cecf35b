"""What every room's tests share: the simulated Microsoft as a process."""

from collections.abc import Iterator

import pytest

from tests.simulated import Simulator, running_simulator


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """One simulator a test process; tests use subscriptions and tickets of their own in it."""
    with running_simulator(tmp_path_factory.mktemp("simulator"), SIMULATOR_SERVICE_REQUEST_PAGE="50") as running:
        yield running
