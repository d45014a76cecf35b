"""The simulated Microsoft, for tests that talk to it as a process."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from runtime.settings import Settings, load_settings


@dataclass(frozen=True)
class Simulator:
    """The simulated cloud, its side door, and the ids that its seed gave things."""

    url: str
    door: httpx.Client
    seed: dict[str, Any]  # ids by name, nested as the simulator gives them

    def post(self, path: str, body: dict[str, object]) -> dict[str, object]:
        answer = self.door.post(path, json=body)
        assert answer.is_success, answer.text
        found: dict[str, object] = answer.json()
        return found

    def calls(self) -> int:
        """Calls to Partner Center since the last time this was asked."""
        count: int = self.door.get("/calls").json()["partner_center"]
        self.door.delete("/calls")
        return count


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running_simulator(folder: Path, state: str = ":memory:", **environment: str) -> Iterator[Simulator]:
    """The simulator as a process of its own on a free port, until the end of the block."""
    port = free_port()
    log = (folder / "simulator.log").open("w+")
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", "--port", str(port)],
        # At once what Azure was recorded to take minutes for, unless a test wants it otherwise.
        env={**os.environ, "SIMULATOR_STATE": state, "SIMULATOR_TIME_SCALE": "0", **environment},
        cwd=Path(__file__).parents[1],
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


def settings_for(simulator: Simulator, folder: Path, **more: object) -> Settings:
    """Settings of a process that takes the simulator for Microsoft and keeps its files in `folder`."""
    token = folder / "refresh-token"
    token.write_text(simulator.seed["refresh_token"])
    token.chmod(0o600)
    known: dict[str, object] = {
        "data_dir": folder,
        "partner_center_url": simulator.url,
        "azure_url": simulator.url,
        "graph_url": simulator.url,
        "login_url": simulator.url,
        "partner_tenant_id": simulator.seed["tenant"],
        "client_id": simulator.seed["client_id"],
        "client_secret": simulator.seed["client_secret"],
        "refresh_token_file": token,
    }
    return load_settings(**(known | more))


def azure_plan(simulator: Simulator, customer: str = "contoso") -> tuple[str, str]:
    """An Azure plan of its own for one test: its id, and that of the Azure subscription under it."""
    plan, azure = str(uuid4()), str(uuid4())
    at = datetime.now(UTC) - timedelta(days=120)
    body: dict[str, object] = {
        "id": plan,
        "customer_id": simulator.seed["customers"][customer]["id"],
        "commerce": "azure_plan",
        "offer_id": "DZH318Z0BPS6:0001:DZH318Z0BM9W",
        "offer_name": "Azure plan",
        "product_type": "Azure",
        "billing_cycle": "none",
        "unit_price": "0",
        "creation_date": at.isoformat(),
        "effective_start_date": at.isoformat(),
        "commitment_end_date": (at + timedelta(days=365)).isoformat(),
        "order_id": uuid4().hex[:12],
        "currency": "EUR",
        "azure_subscriptions": [{"id": azure}],
    }
    simulator.post("/subscriptions", body)
    simulator.seed["subscriptions"][plan] = body
    return plan, azure


def azure_tickets(simulator: Simulator, azure: str) -> list[dict[str, Any]]:
    """The tickets on an Azure subscription as they are, seen or not, with their messages and files."""
    every: list[dict[str, Any]] = simulator.door.get("/azure-tickets").json()["tickets"]
    return [each for each in every if each["ticket"]["scope"] == f"/subscriptions/{azure}"]
