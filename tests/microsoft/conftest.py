"""The simulator as a process of its own, and our clients' way to it."""

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from microsoft.identity import Identity
from microsoft.transport import Transport
from tests.microsoft.stand_ins import Simulator, free_port


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    port = free_port()
    log = (tmp_path_factory.mktemp("simulator") / "log").open("w+")
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", "--port", str(port)],
        env={**os.environ, "SIMULATOR_STATE": ":memory:", "SIMULATOR_SERVICE_REQUEST_PAGE": "50"},
        cwd=Path(__file__).parents[2],
        stdout=log,
        stderr=log,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=f"{url}/_simulator", trust_env=False) as door:
            until = time.monotonic() + 30
            while True:
                try:
                    if door.get("/health").is_success:
                        break
                except httpx.TransportError:
                    pass
                log.seek(0)
                assert process.poll() is None, log.read()
                assert time.monotonic() < until, "the simulator didn't answer within 30 seconds"
                time.sleep(0.1)
            yield Simulator(url, door, door.get("/seed").json())
    finally:
        process.terminate()
        process.wait(10)
        log.close()


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
