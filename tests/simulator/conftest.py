"""Two ways to reach the simulated cloud: in this process on a clock the test sets, and as a process on a free port."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulator.app import create_app
from simulator.state import Config

Json = dict[str, Any]  # what came over the wire: the tests look into it as a client would


@dataclass
class Clock:
    """A clock that moves when told to."""

    now: datetime = field(default_factory=lambda: datetime(2026, 3, 10, 9, 30, 15, 123_000, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


class Caller:
    """Speaks to one simulated cloud, with the names of its seed at hand."""

    def __init__(self, http: httpx.AsyncClient, names: Json) -> None:
        self.http, self.names = http, names
        self.headers: dict[str, str] = {}

    def subscription(self, name: str) -> tuple[str, str]:
        one = self.names["subscriptions"][name]
        return one["customer_id"], one["id"]

    def subscription_path(self, name: str) -> str:
        customer, subscription = self.subscription(name)
        return f"/v1/customers/{customer}/subscriptions/{subscription}"

    def customer(self, name: str = "contoso") -> str:
        return str(self.names["customers"][name]["id"])

    async def token(self, version: str = "v1", tenant: str | None = None, **form: str) -> httpx.Response:
        path = "oauth2/token" if version == "v1" else "oauth2/v2.0/token"
        given = {"client_id": self.names["client_id"], "client_secret": self.names["client_secret"]} | form
        return await self.http.post(f"/{tenant or self.names['tenant']}/{path}", data=given)

    async def sign_in(self) -> None:
        names = self.names
        got = await self.token(
            grant_type="refresh_token", refresh_token=names["refresh_token"], resource=names["resource"]
        )
        self.headers = {"Authorization": f"Bearer {got.json()['access_token']}"}

    async def device_token(self, upn: str, scope: str = "api://claimdesk/.default offline_access") -> Json:
        path = f"/{self.names['tenant']}/oauth2/v2.0/devicecode"
        form = {"client_id": self.names["client_id"], "scope": scope, "login_hint": upn}
        code = (await self.http.post(path, data=form)).json()
        got = await self.token(
            "v2",
            grant_type="urn:ietf:params:oauth:grant-type:device_code",
            device_code=code["device_code"],
            client_secret="",
        )
        assert got.status_code == 200, got.text
        return dict(got.json())

    async def call(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        return await self.http.request(method, path, headers={**self.headers, **(headers or {})}, **more)

    async def get(self, path: str, **headers: str) -> Json:
        got = await self.call("GET", path, headers=headers)
        assert got.status_code == 200, got.text
        return dict(got.json(parse_float=Decimal))

    async def door(self, method: str, path: str, body: Json | None = None) -> Json:
        got = await self.http.request(method, f"/_simulator{path}", json=body)
        assert got.is_success, got.text
        return dict(got.json()) if got.content else {}

    async def ticket(self, **wanted: Any) -> str:
        body = {"customer_id": self.customer(), "title": "Outage EX25194"} | wanted
        return str((await self.door("POST", "/service-requests", body))["id"])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def cloud(clock: Clock) -> AsyncIterator[Caller]:
    """A fresh cloud in this process, signed in as Ana with the seeded refresh token."""
    transport = httpx.ASGITransport(create_app(Config(now=clock)))
    async with httpx.AsyncClient(transport=transport, base_url="http://simulator.test") as http:
        caller = Caller(http, (await http.get("/_simulator/seed")).json())
        await caller.sign_in()
        yield caller


@dataclass
class Server:
    """A simulator in a process of its own."""

    process: subprocess.Popen[bytes]
    url: str

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[], Server]]:
    """Starts simulators on one state file, and ends them with the test."""
    started: list[Server] = []

    def start() -> Server:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        command = [sys.executable, "-m", "simulator", "--port", port, "--state", str(tmp_path / "cloud.sqlite")]
        env = {name: value for name, value in os.environ.items() if not name.startswith("SIMULATOR_")}
        server = Server(subprocess.Popen(command, env=env), f"http://127.0.0.1:{port}")
        started.append(server)
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"{server.url}/_simulator/health").raise_for_status()
            except httpx.TransportError:
                assert server.process.poll() is None, "the simulator ended before it answered"
                assert time.monotonic() < deadline, "the simulator didn't answer within 30 seconds"
                time.sleep(0.05)
            else:
                return server

    yield start
    for server in started:
        if server.process.poll() is None:
            server.kill()
