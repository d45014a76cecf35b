"""Microsoft as a script of answers, as a raw socket, and (by its side door) as the simulator."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from pydantic import SecretStr

from microsoft.billing import Billing
from microsoft.identity import Identity
from microsoft.partner_center import PartnerCenter
from microsoft.transport import PARTNER_CENTER_IDS, Transport

Reply = httpx.Response | Exception
HOST = "https://api.partnercenter.example"


@dataclass
class Script:
    """Microsoft answering with these, in this order, and what it was asked."""

    replies: list[Reply]
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def sent(self, header: str) -> list[str]:
        return [request.headers[header] for request in self.requests]

    def transport(self, **settings: float) -> Transport:
        return Transport(HOST, wire=httpx.MockTransport(self), ids=PARTNER_CENTER_IDS, **{"backoff": 0.0, **settings})


async def fixed_token(refused: SecretStr | None) -> SecretStr:
    return SecretStr("eyJhbGciOi.another-bearer" if refused else "eyJhbGciOi.some-bearer")


@asynccontextmanager
async def raw_server(
    answer: Callable[[bytes, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that reads one request and lets `answer` do as it likes with the connection. Gives URL and requests."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        requests.append(request)
        await answer(request, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield f"http://127.0.0.1:{port}", requests


def clients(*bodies: object) -> tuple[PartnerCenter, Billing, Script]:
    """Both clients on a script: a token, then these bodies."""
    answers = [httpx.Response(200, json={"access_token": "access", "expires_in": 3600})]
    answers += [httpx.Response(200, content=body if isinstance(body, bytes) else json.dumps(body)) for body in bodies]
    script = Script([*answers])
    http = script.transport()
    who = Identity(http, tenant="t", client_id="c", client_secret=SecretStr("s"))
    return PartnerCenter(http, who), Billing(http, who, http), script
