"""The people of the tour: those at the desk, who talk to the API, and those at Microsoft, played by the side door."""

import asyncio
from collections.abc import Mapping
from typing import Self
from uuid import uuid4

import httpx
from pydantic import BaseModel, ConfigDict, SecretStr

from starter.api.models import ClaimView, claim_path
from starter.parts import Seed

_TRIES = 4


class Unexpected(Exception):  # noqa: N818 - it ends one claim's story, and is told as its outcome
    """An answer that the tour didn't expect; the text is what the answer said."""


class _Begun(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    device_code: str


class _Granted(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    access_token: SecretStr


class _Ticket(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: str


class _AzureTicket(BaseModel):
    class Numbered(BaseModel):
        model_config = ConfigDict(extra="ignore")

        number: str

    model_config = ConfigDict(extra="ignore")

    ticket: Numbered


class Microsoft:
    """The simulated Microsoft at `url`: signs people in, and does through its side door what people do there."""

    def __init__(self, url: str, seed: Seed) -> None:
        self.seed = seed
        self._http = httpx.AsyncClient(base_url=url, timeout=30, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def token(self, user: str) -> SecretStr:
        """An access token for the API, by a device sign-in that approves itself for a test user."""
        tenant, app = f"/{self.seed.tenant}/oauth2/v2.0", {"client_id": self.seed.client_id}
        asked = {**app, "scope": f"{self.seed.audience}/.default", "login_hint": user}
        begun = await self._http.post(f"{tenant}/devicecode", data=asked)
        code = _Begun.model_validate_json(_expected(begun).content).device_code
        grant = "urn:ietf:params:oauth:grant-type:device_code"
        answer = await self._http.post(f"{tenant}/token", data={**app, "grant_type": grant, "device_code": code})
        return _Granted.model_validate_json(_expected(answer).content).access_token

    async def file_ticket(self, fields: Mapping[str, object]) -> str:
        """A person files a ticket at the portal: its number."""
        answer = await self._http.post("/_simulator/service-requests", json=dict(fields))
        return _Ticket.model_validate_json(_expected(answer).content).id

    async def file_azure_ticket(self, fields: Mapping[str, object]) -> str:
        """A person files a support ticket at the Azure portal: its number."""
        answer = await self._http.post("/_simulator/azure-tickets", json=dict(fields))
        return _AzureTicket.model_validate_json(_expected(answer).content).ticket.number

    async def happens(self, path: str, fields: Mapping[str, object]) -> None:
        """Something else that people or Microsoft do, by the side door's path for it."""
        _expected(await self._http.post(f"/_simulator/{path}", json=dict(fields)))


class Person:
    """A test user at the desk."""

    def __init__(self, user: str, api_url: str, token: SecretStr) -> None:
        self.user = user
        headers = {"Authorization": f"Bearer {token.get_secret_value()}"}
        self._http = httpx.AsyncClient(base_url=api_url, headers=headers, timeout=60, trust_env=False)

    async def aclose(self) -> None:
        """Go home."""
        await self._http.aclose()

    async def opens(self, claim: Mapping[str, object]) -> ClaimView:
        """Opens a claim."""
        return await self._writes("/v1/claims", json=dict(claim))

    async def does(self, claim_id: str, action: str, **body: object) -> ClaimView:
        """Does something to a claim, by the path of the action."""
        return await self._writes(f"{claim_path(claim_id)}/{action}", json=body)

    async def attaches(self, claim_id: str, kind: str, filename: str, content: bytes) -> ClaimView:
        """Attaches a document."""
        path = f"{claim_path(claim_id)}/evidence"
        return await self._writes(path, data={"kind": kind}, files={"file": (filename, content)})

    async def reads(self, claim_id: str) -> ClaimView:
        """The claim as it is on record."""
        answer = await self._http.get(claim_path(claim_id))
        return ClaimView.model_validate_json(_expected(answer).content)

    async def fetches_packet(self, claim_id: str) -> bytes:
        """What is needed to file the claim: a ZIP."""
        return _expected(await self._http.get(f"{claim_path(claim_id)}/packet")).content

    async def _writes(self, path: str, **content: object) -> ClaimView:
        # The same key every time: where nobody knows what came of a request, it is safe to ask again.
        headers = {"Idempotency-Key": str(uuid4())}
        for _ in range(_TRIES):
            answer = await self._http.post(path, headers=headers, **content)  # type: ignore[arg-type]  # httpx's own
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            await asyncio.sleep(1)
        return ClaimView.model_validate_json(_expected(answer).content)


def _expected(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    request = answer.request
    raise Unexpected(f"{request.method} {request.url.path}: {answer.status_code} {answer.text[:500]}")
