"""The API as an app in this process, on real records in SQLite, with an issuer of tokens and the simulated Microsoft.

Temporal isn't there: what needs it is tested end to end, and here only that it says so.
"""

import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI
from jwt.algorithms import RSAAlgorithm

from domain.claims import Claim
from domain.evidence import Document
from records.claims import ClaimRecords
from records.database import migrate
from runtime.settings import Settings
from starter.api.app import create_app
from starter.api.desk import Desk
from tests.records.samples import entry
from tests.simulated import Simulator, free_port, settings_for

AUDIENCE = "api://desk-under-test"
RESELLER = "8c2f4a90-51d3-4e0e-b8a7-6f1d2c3b4a22"


@dataclass
class Issuer:
    """An issuer of tokens that publishes its keys on this machine."""

    url: str
    keys: dict[str, rsa.RSAPrivateKey]
    fetches: int = 0
    down: bool = False
    partner_tenant: str = ""
    extra_keys: list[dict[str, Any]] = field(default_factory=list)

    def add_key(self, key_id: str) -> None:
        self.keys[key_id] = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def jwks(self) -> bytes:
        published = [
            {**json.loads(RSAAlgorithm.to_jwk(key.public_key())), "kid": key_id, "use": "sig"}
            for key_id, key in self.keys.items()
        ]
        return json.dumps({"keys": published + self.extra_keys}).encode()

    def token(self, *roles: str, key_id: str = "one", **claims: Any) -> str:
        """A token of an Admin agent of the partner, unless said otherwise; a claim that is None is left out."""
        now = int(time.time())
        content: dict[str, object] = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "ana",
            "tid": self.partner_tenant,
            "name": "Ana Admin",
            "nbf": now - 5,
            "exp": now + 600,
            "roles": list(roles or ("AdminAgent",)),
        } | claims
        present = {name: value for name, value in content.items() if value is not None}
        return jwt.encode(present, self.keys[key_id], "RS256", headers={"kid": key_id})


@pytest.fixture
def issuer(simulator: Simulator) -> Iterator[Issuer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.fetches += 1
            self.send_response(503 if made.down else 200)
            self.end_headers()
            self.wfile.write(b"" if made.down else made.jwks())

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made = Issuer(f"http://127.0.0.1:{server.server_port}", {}, partner_tenant=simulator.seed["tenant"])
    made.add_key("one")
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def settings(simulator: Simulator, issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    made = settings_for(
        simulator,
        tmp_path,
        temporal_port=free_port(),
        auth_issuer=issuer.url,
        auth_audience=AUDIENCE,
        auth_jwks_url=f"{issuer.url}/keys",
        update_timeout_seconds=3.0,
        max_document_bytes=200_000,
        max_documents=2,
        partner_name="Partner Ltd",
    )
    migrate(made.database_url)
    return made


@pytest_asyncio.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    made = create_app(settings)
    async with made.router.lifespan_context(made):
        yield made


@pytest.fixture
def desk(app: FastAPI) -> Desk:
    found: Desk = app.state.desk
    return found


@dataclass
class Caller:
    """Somebody who calls the API."""

    http: httpx.AsyncClient
    issuer: Issuer

    def as_(self, *roles: str, **claims: Any) -> "Caller":
        """The same API, called by somebody else."""
        http = httpx.AsyncClient(transport=self.http._transport, base_url=self.http.base_url)
        http.headers["Authorization"] = f"Bearer {self.issuer.token(*roles, **claims)}"
        return Caller(http, self.issuer)

    def customer(self, tenant: str) -> "Caller":
        return self.as_("Customer", tid=tenant, sub="carl", name="Carl")

    def reseller(self) -> "Caller":
        return self.as_("IndirectReseller", tid=RESELLER, sub="rita", name="Rita")

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.http.get(path, **more)

    async def post(self, path: str, body: object, key: str = "key-1", **headers: str) -> httpx.Response:
        return await self.http.post(path, json=body, headers={"Idempotency-Key": key, **headers})

    async def upload(self, claim: Claim, kind: str, name: str, content: bytes, key: str = "key-1") -> httpx.Response:
        return await self.http.post(
            f"/v1/claims/{claim.id}/evidence",
            data={"kind": kind},
            files={"file": (name, content)},
            headers={"Idempotency-Key": key},
        )


@pytest.fixture
def ana(app: FastAPI, issuer: Issuer) -> Caller:
    """An Admin agent of the partner."""
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://desk")
    return Caller(http, issuer).as_("AdminAgent")


@pytest.fixture
def records(desk: Desk) -> ClaimRecords:
    return desk.claims


async def recorded(records: ClaimRecords, claim: Claim) -> Claim:
    """The claim, now on record with its entry."""
    await records.record(claim, entry(claim))
    return claim


async def stored(desk: Desk, document: Document, content: bytes) -> Document:
    """The document, with its content now in the store."""

    async def chunks() -> AsyncIterator[bytes]:
        yield content

    kept = await desk.blobs.put(chunks(), len(content))
    return document.model_copy(update={"sha256": kept.sha256, "size": kept.size})


def problem(answer: httpx.Response, status: int, rule: str) -> dict[str, Any]:
    """The problem document of an answer that must be this one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["rule"] == rule, document
    assert document["status"] == status
    assert document["type"] == f"tag:claimdesk.example,2026:{rule}"
    assert document["title"]
    assert document["detail"]
    assert document["instance"] == answer.request.url.path
    return document
