"""The ways to a running desk that tests use: its API as any test user, the simulator's side door, its processes."""

import asyncio
import random
import socket
import time
import uuid
from collections.abc import Callable, Collection, Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from runtime.settings import Settings
from starter.processes import Desk

Json = dict[str, Any]

FORM = (
    "credit_request_form",
    "form.pdf",
    b"%PDF-1.7\n% Microsoft's credit request and refund form, filled in\n%%EOF\n",
)


def customer_mail(domain: str, text: str = "Please claim the credit for us.") -> tuple[str, str, bytes]:
    """The written request of a customer, as an e-mail from their domain."""
    headers = f"From: it@{domain}\r\nTo: ana@partner.example\r\nSubject: Credit\r\nDate: Mon, 2 Nov 2026 09:00:00 +0000"
    return "customer_request", "request.eml", f"{headers}\r\n\r\n{text}\r\n".encode()


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on, below those the system hands out by itself: nobody gets one by chance before us."""
    found: list[int] = []
    for port in random.sample(range(20_000, 32_000), 500):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no free ports")


def port_settings() -> dict[str, int]:
    """Free ports for all that a desk listens on, by the name of the setting."""
    names = ("api_port", "simulator_port", "worker_metrics_port", "temporal_port", "temporal_ui_port")
    return dict(zip(names, free_ports(len(names)), strict=True))


class _Keyed(httpx.Auth):
    """The bearer token of a user, and a new Idempotency-Key on every write that doesn't bring its own."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._token}"
        if request.method in ("POST", "DELETE"):
            request.headers.setdefault("Idempotency-Key", uuid.uuid4().hex)
        yield request


class TestDesk:
    """A running desk and the ways to it."""

    __test__ = False

    def __init__(self, desk: Desk, door: httpx.AsyncClient, seed: Json) -> None:
        self.desk = desk
        self.settings: Settings = desk.settings
        self.door = door
        """The simulator's side door; paths are below /_simulator, as in `door.post("/faults", json=…)`."""
        self.seed = seed
        """`/_simulator/seed`: seed["customers"]["contoso"]["id"], seed["subscriptions"]["legacy_active"]["id"], …"""
        self._clients: dict[str, httpx.AsyncClient] = {}

    async def client(self, upn: str = "ana@partner.example") -> httpx.AsyncClient:
        """The API as this test user: an Admin agent unless said. One client a user; don't close it."""
        if upn not in self._clients:
            self._clients[upn] = httpx.AsyncClient(
                base_url=self.settings.api_url, auth=_Keyed(await self.token(upn)), timeout=30, trust_env=False
            )
        return self._clients[upn]

    async def token(self, upn: str) -> str:
        """An access token for the API, by a device sign-in that approves itself."""
        base = f"{self.desk.simulator_url}/{self.seed['tenant']}/oauth2/v2.0"
        app = {"client_id": self.seed["client_id"]}
        asked = {**app, "scope": f"{self.seed['audience']}/.default", "login_hint": upn}
        begun = (await self.door.post(f"{base}/devicecode", data=asked)).raise_for_status().json()
        grant = "urn:ietf:params:oauth:grant-type:device_code"
        redeemed = {**app, "grant_type": grant, "device_code": begun["device_code"]}
        answer = (await self.door.post(f"{base}/token", data=redeemed)).raise_for_status().json()
        return str(answer["access_token"])

    async def opened(self, subscription: str, category: str = "technical_issue", **fields: Any) -> Json:
        """A claim about a seeded subscription, freshly opened by Ana, with an incident reference of its own."""
        one = self.seed["subscriptions"][subscription]
        body: Json = {
            "customer_id": one["customer_id"],
            "subscription_id": one["id"],
            "category": category,
            "incident": {
                "date": (datetime.now(UTC).date() - timedelta(days=3)).isoformat(),
                "reference": f"T-{uuid.uuid4().hex[:12]}",
                "description": "Users could not sign in.",
            },
            "contact": {"name": "Ana Admin", "email": "ana@partner.example"},
            **fields,
        }
        answer = await (await self.client()).post("/v1/claims", json=body)
        assert answer.status_code == 201, answer.text
        return self.json(answer)

    async def attached(self, claim_id: str, kind: str, filename: str, content: bytes) -> Json:
        """The claim after Ana attached a document."""
        answer = await (await self.client()).post(
            f"/v1/claims/{claim_id}/evidence", data={"kind": kind}, files={"file": (filename, content)}
        )
        assert answer.status_code == 201, answer.text
        return self.json(answer)

    async def act(self, claim_id: str, action: str, **body: Any) -> Json:
        """The claim after Ana did this, by the path: filing, replies, decision, withdrawal, …"""
        answer = await (await self.client()).post(f"/v1/claims/{claim_id}/{action}", json=body)
        assert answer.is_success, answer.text
        return self.json(answer)

    async def ticket(self, claim: Json, persona: str = "silence", **fields: Any) -> str:
        """The number of a ticket that a person files at the portal for this claim."""
        opening = claim["opening"]
        said = {
            "customer_id": opening["customer_id"],
            "subscription_id": opening["subscription_id"],
            "persona": persona,
            **fields,
        }
        answer = await self.door.post("/service-requests", json=said)
        return str(answer.raise_for_status().json()["id"])

    async def read(self, claim_id: str) -> Json:
        """The claim as it is."""
        answer = await (await self.client()).get(f"/v1/claims/{claim_id}")
        assert answer.status_code == 200, answer.text
        return self.json(answer)

    async def until(
        self, claim_id: str, wanted: str | Collection[str] | Callable[[Json], bool], within: float = 40
    ) -> Json:
        """The claim once it has (one of) these statuses, or what is asked is true of it."""
        statuses = {wanted} if isinstance(wanted, str) else wanted
        until = time.monotonic() + within
        while True:
            claim = await self.read(claim_id)
            if statuses(claim) if callable(statuses) else claim["status"] in statuses:
                return claim
            assert time.monotonic() < until, f"still {claim['status']} after {within} s: {claim['next_step']}"
            await asyncio.sleep(0.2)

    async def kill(self, name: str) -> None:
        """SIGKILL to temporal, simulator, worker or api."""
        await self.desk.kill(name)

    async def launch(self, name: str) -> None:
        """Start a killed process again on the same data, and wait until it is ready."""
        await self.desk.launch(name)

    async def restart(self, name: str) -> None:
        """SIGKILL and start again."""
        await self.kill(name)
        await self.launch(name)

    async def aclose(self) -> None:
        """Close every client given out."""
        for client in self._clients.values():
            await client.aclose()

    @staticmethod
    def json(answer: httpx.Response) -> Json:
        """The object in an answer."""
        found: Json = answer.json()
        return found
