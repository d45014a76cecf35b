"""The ways to a running desk that tests use: its API as any test user, the simulator's side door, its processes."""

import asyncio
import random
import re
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Generator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from temporalio.client import Client

from runtime.settings import Settings, load_settings
from runtime.temporal import plugin
from starter.processes import Desk

Json = dict[str, Any]

ANA, HANA, FINN, SAM = (f"{name}@partner.example" for name in ("ana", "hana", "finn", "sam"))
"""Admin agent, Helpdesk agent, Billing admin, Sales agent."""
CARL, CORA, RITA = "carl@contoso.example", "cora@fabrikam.example", "rita@reseller.example"
"""The customers Contoso and Fabrikam, and an indirect reseller."""

FORM = (
    "credit_request_form",
    "form.pdf",
    b"%PDF-1.7\n% Microsoft's credit request and refund form, filled in\n%%EOF\n",
)


def customer_mail(domain: str, text: str = "Please claim the credit for us.") -> tuple[str, str, bytes]:
    """The written request of a customer, as an e-mail from their domain."""
    headers = f"From: it@{domain}\r\nTo: ana@partner.example\r\nSubject: Credit\r\nDate: Mon, 2 Nov 2026 09:00:00 +0000"
    return "customer_request", "request.eml", f"{headers}\r\n\r\n{text}\r\n".encode()


def papers(domain: str, about: str = "Users could not sign in.") -> dict[str, tuple[str, str, bytes]]:
    """A document of every kind that a checklist can ask for: kind, file name, content."""
    outage = ("outage_evidence", "zeiten überblick.txt", f"{about}\n25 users, four hours\n".encode())
    return {kind: (kind, name, content) for kind, name, content in (FORM, customer_mail(domain, about), outage)}


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


class Insisting(httpx.AsyncBaseTransport):
    """Asks again, as the API tells clients to, until it is known what came of the request: under the same key, and
    under another one where it says that nothing was changed."""

    def __init__(self, within: float = 60) -> None:
        self._http = httpx.AsyncHTTPTransport()
        self._within = within

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        until = time.monotonic() + self._within
        while True:
            try:
                answer = await self._http.handle_async_request(request)
            except httpx.TransportError:
                if time.monotonic() > until:
                    raise
            else:
                if answer.status_code != 503 or time.monotonic() > until:
                    return answer
                await answer.aread()
                if "with a new Idempotency-Key" in answer.json()["detail"]:
                    request.headers["Idempotency-Key"] = uuid.uuid4().hex
            await asyncio.sleep(0.3)

    async def aclose(self) -> None:
        await self._http.aclose()


class TestDesk:
    """A running desk and the ways to it."""

    __test__ = False

    def __init__(self, desk: Desk, door: httpx.AsyncClient, seed: Json, *, insists: bool = False) -> None:
        self.desk = desk
        self._insists = insists
        self.settings: Settings = desk.settings
        self.door = door
        """The simulator's side door; paths are below /_simulator, as in `door.post("/faults", json=…)`."""
        self.seed = seed
        """`/_simulator/seed`: seed["customers"]["contoso"]["id"], seed["subscriptions"]["legacy_active"]["id"], …"""
        self._clients: dict[str, httpx.AsyncClient] = {}
        self._temporal: Client | None = None

    async def client(self, upn: str = ANA) -> httpx.AsyncClient:
        """The API as this test user: an Admin agent unless said. One client a user; don't close it."""
        if upn not in self._clients:
            self._clients[upn] = httpx.AsyncClient(
                base_url=self.settings.api_url,
                auth=_Keyed(await self.token(upn)),
                timeout=30,
                trust_env=False,
                transport=Insisting() if self._insists else None,
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

    async def temporal(self) -> Client:
        """The Temporal server, as an operator reaches it."""
        if self._temporal is None:
            self._temporal = await Client.connect(f"127.0.0.1:{self.settings.temporal_port}", plugins=[plugin()])
        return self._temporal

    async def sweep(self, name: str) -> None:
        """Run TicketSweep, CreditSweep or DocumentSweep to its end, as its schedule does."""
        await (await self.temporal()).execute_workflow(
            name, id=f"{name}-{uuid.uuid4()}", task_queue=self.settings.task_queue
        )

    async def subscribed(
        self, customer: str, commerce: str = "new_commerce", *, days_ago: int = 90, **fields: Any
    ) -> Json:
        """A subscription of its own, as the seed has them: what is booked for it is nobody else's. 60.00 USD a year."""
        bought = datetime.now(UTC) - timedelta(days=days_ago)
        legacy = commerce == "legacy"
        wanted: Json = {
            "id": str(uuid.uuid4()),
            "customer_id": self.seed["customers"][customer]["id"],
            "commerce": commerce,
            "offer_id": "796B6B5F-613C-4E24-A17C-EBA730D49C02" if legacy else "CFQ7TTC0LH18:0001:CFQ7TTC0K971",
            "offer_name": "Office 365 Enterprise E3" if legacy else "Microsoft 365 Business Basic",
            "creation_date": bought.isoformat(),
            "effective_start_date": bought.isoformat(),
            "commitment_end_date": (bought + timedelta(days=365 if legacy else 364)).isoformat(),
            "cancellation_allowed_until_date": None if legacy else (bought + timedelta(days=7)).isoformat(),
            "unit_price": "60.00",
            "order_id": uuid.uuid4().hex[:12],
            **fields,
        }
        made: Json = (await self.door.post("/subscriptions", json=wanted)).raise_for_status().json()
        charge = {
            "charge_type": "Cycle fee" if legacy else "new",
            "amount": made["unit_price"],
            "charge_start_date": made["effective_start_date"],
            "charge_end_date": made["commitment_end_date"],
        }
        await self.invoice(made, charge)
        return made

    async def azure_plan(self, customer: str) -> tuple[Json, str]:
        """A customer has an Azure plan of its own, which this gives, with an Azure subscription under it."""
        azure = str(uuid.uuid4())
        fields = {"commerce": "azure_plan", "offer_id": "DZH318Z0BPS6:0001:DZH318Z0BM9W", "product_type": "Azure"}
        plan = await self.subscribed(customer, days_ago=120, azure_subscriptions=[{"id": azure}], **fields)
        return plan, azure

    async def happens(self, path: str, **body: Any) -> Json:
        """Something happens in Azure, by the side door's path for it."""
        answer = await self.door.post(f"/azure-tickets/{path}".rstrip("/"), json=body)
        answer.raise_for_status()
        return self.json(answer)

    async def invoice(self, subscription: Json, *lines: Json, currency: str = "USD", **fields: Any) -> str:
        """Microsoft issues an invoice of the subscription's type, with these lines for it; its id."""
        provider = "recurring" if subscription["commerce"] == "legacy" else "one_time"
        about = {"customer_id": subscription["customer_id"], "subscription_id": subscription["id"]}
        body = {"billing_provider": provider, "currency": currency, "lines": [{**about, **line} for line in lines]}
        body |= fields
        return str((await self.door.post("/invoices", json=body)).raise_for_status().json()["id"])

    def opening(self, subscription: str | Json, category: str = "technical_issue", **fields: Any) -> Json:
        """The body that opens a claim about a subscription (the seed's name, or one of `subscribed`), with an incident
        reference of its own."""
        one: Json = self.seed["subscriptions"][subscription] if isinstance(subscription, str) else subscription
        return {
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

    async def opened(
        self, subscription: str | Json, category: str = "technical_issue", *, by: str = ANA, **fields: Any
    ) -> Json:
        """A claim about a subscription, freshly opened by Ana, unless said otherwise."""
        answer = await (await self.client(by)).post("/v1/claims", json=self.opening(subscription, category, **fields))
        assert answer.status_code == 201, answer.text
        return self.json(answer)

    async def attached(self, claim_id: str, kind: str, filename: str, content: bytes, *, by: str = ANA) -> Json:
        """The claim after Ana, unless said otherwise, attached a document."""
        answer = await self.upload(claim_id, kind, filename, content, by=by)
        assert answer.status_code == 201, answer.text
        return self.json(answer)

    async def upload(
        self, claim_id: str, kind: str, filename: str, content: bytes, *, by: str = ANA, **headers: str
    ) -> httpx.Response:
        """The answer to a document sent by Ana, unless said otherwise."""
        return await (await self.client(by)).post(
            f"/v1/claims/{claim_id}/evidence", data={"kind": kind}, files={"file": (filename, content)}, headers=headers
        )

    async def collected(self, claim: Json, *, by: str = ANA, about: str = "Users could not sign in.") -> Json:
        """The claim, triaged and with every document that was missing."""
        claim = await self.until(claim["id"], lambda seen: seen["status"] != "triaging")
        known = papers(self.domain(claim), about)
        for item in claim["checklist"]:
            if item["required"] and not item["satisfied"]:
                claim = await self.attached(claim["id"], *known[item["kind"]], by=by)
        return claim

    def domain(self, claim: Json) -> str:
        """The mail domain of the claim's customer."""
        customers: dict[str, Json] = self.seed["customers"]
        return next(str(one["domain"]) for one in customers.values() if one["id"] == claim["customer"]["id"])

    async def filed(self, claim: Json, **ticket: Any) -> Json:
        """The claim, collected and filed by Ana; `ticket` is what the portal is told besides."""
        claim = await self.collected(claim)
        return await self.act(claim["id"], "filing", ticket_number=await self.ticket(claim, **ticket))

    async def microsoft(self, claim: Json, status: str, note: str | None = None) -> None:
        """Microsoft does this to the claim's ticket: attention_needed (the note is the question), closed, open."""
        path = f"/service-requests/{claim['filing']['number']}/status"
        (await self.door.post(path, json={"status": status, "note": note})).raise_for_status()

    async def notes(self, claim: Json) -> list[str]:
        """What we wrote on the claim's ticket, as Microsoft truly has it."""
        found = (await self.door.get(f"/service-requests/{claim['filing']['number']}")).raise_for_status().json()
        return [str(note["text"]) for note in found["notes"] if note["by"] == "partner"]

    async def act(self, claim_id: str, action: str, *, by: str = ANA, **body: Any) -> Json:
        """The claim after Ana, unless said otherwise, did this, by its path: filing, replies, decision, …"""
        answer = await (await self.client(by)).post(f"/v1/claims/{claim_id}/{action}", json=body)
        assert answer.is_success, answer.text
        return self.json(answer)

    async def timeline(self, claim_id: str) -> list[Json]:
        """Everything that happened to the claim."""
        answer = await (await self.client()).get(f"/v1/claims/{claim_id}/timeline", params={"limit": 200})
        items: list[Json] = answer.raise_for_status().json()["items"]
        return items

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


def assert_discreet(desk: TestDesk, *said: str) -> dict[str, str]:
    """No process's log holds a token, a secret, or what was said. Gives the logs by name."""
    told = {log.name: log.read_text(errors="replace") for log in desk.desk.logs.iterdir()}
    assert {"api.log", "worker.log", "simulator.log", "temporal.log"} <= told.keys()
    for log, text in told.items():
        for secret in (desk.seed["client_secret"], desk.seed["refresh_token"], "PRIVATE KEY", *said):
            assert secret.lower() not in text.lower(), f"{log} tells {secret}"
        assert not re.search(r"eyJ[\w-]{8,}\.", text), f"{log} holds a token"
        assert not re.search(r"Bearer (?!\[redacted\])\S", text), f"{log} holds a token"
    return told


@asynccontextmanager
async def running_desk(folder: Path, *, insists: bool = False) -> AsyncIterator[TestDesk]:
    """A desk of its own with sweeps every other second. `insists`: its people ask again where an answer is missing."""
    settings = load_settings(data_dir=folder, ticket_sweep_seconds=2, credit_sweep_seconds=2, **port_settings())
    async with (
        Desk(settings) as running,
        httpx.AsyncClient(base_url=f"{running.simulator_url}/_simulator", timeout=30, trust_env=False) as door,
    ):
        seed = (await door.get("/seed")).raise_for_status().json()
        ways = TestDesk(running, door, seed, insists=insists)
        yield ways
        await ways.aclose()
