"""Our clients' way to the simulator."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from microsoft.identity import Identity
from microsoft.reservations import Reservations
from microsoft.transport import Transport
from tests.microsoft.reservations import CUSTOMER, Add
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
    # Put back, whatever the test makes of it: other tests of this process wait for the same simulator.
    before = simulator.door.get("/behaviour").json()["time_scale"]
    simulator.door.put("/behaviour", json={"time_scale": 0.0005}).raise_for_status()
    yield
    simulator.door.put("/behaviour", json={"time_scale": before}).raise_for_status()


@pytest.fixture
def azure(cloud: tuple[Transport, Identity]) -> Reservations:
    """Our client of Microsoft.Capacity."""
    return Reservations(*cloud)


@pytest.fixture
def add(simulator: Simulator) -> Add:
    """Adds a reservation with an order of its own; gives what the simulator made of it."""

    def added(**traits: object) -> dict[str, Any]:
        return simulator.post("/reservations", {"customer_id": CUSTOMER, "quantity": 5, **traits})

    return added
