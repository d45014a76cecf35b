"""Our clients' way to the simulator."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from microsoft.identity import Identity
from microsoft.transport import Transport
from tests.simulated import Simulator


@pytest.fixture
async def cloud(simulator: Simulator, tmp_path: Path) -> AsyncIterator[tuple[Transport, Identity]]:
    """Our transport and identity for the simulator, without faults left by another test."""
    simulator.door.delete("/faults")
    file = tmp_path / "refresh-token"
    file.write_text(simulator.seed["refresh_token"])
    http = Transport(simulator.url, backoff=0.01)
    identity = Identity(
        http,
        tenant=simulator.seed["tenant"],
        client_id=simulator.seed["client_id"],
        client_secret=SecretStr(simulator.seed["client_secret"]),
        refresh_token_file=file,
    )
    yield http, identity
    await http.aclose()
    simulator.door.delete("/faults")


@pytest.fixture
def soon(simulator: Simulator) -> Iterator[None]:
    """Azure's recorded times, two thousand times as fast: an exchange takes half a second."""
    simulator.door.put("/behaviour", json={"time_scale": 0.0005})
    yield
    simulator.door.put("/behaviour", json={"time_scale": 1.0})
