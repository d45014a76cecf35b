"""HTTP to one host of Microsoft's: time limits, retries, request and correlation ids, and failures as exceptions.

Every client of this package talks through `Transport`; nobody else touches httpx.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Never
from uuid import uuid4

import httpx
import structlog
from pydantic import SecretStr

from microsoft.answers import Answer, Call, asked_pause, content_type, failure, parse_json, query_texts, texts
from microsoft.bodies import ENCODING, LONGEST_ANSWER, read_body
from microsoft.errors import Ambiguous, Unavailable

ATTEMPTS = 3
LOOPBACK = ("127.0.0.1", "localhost", "::1")

# Gives a bearer token; the argument is one that was just refused, so that another is wanted.
TokenSource = Callable[[SecretStr | None], Awaitable[SecretStr]]

Ids = tuple[str, str]
PARTNER_CENTER_IDS: Ids = ("MS-RequestId", "MS-CorrelationId")
AZURE_IDS: Ids = ("x-ms-client-request-id", "x-ms-correlation-request-id")
GRAPH_IDS: Ids = ("client-request-id", "x-ms-correlation-request-id")
"""The headers in which a host takes the id of a request and the id that its whole operation shares."""

_log = structlog.get_logger(__name__)

# What httpx raises before the first byte of a request is out.
_NOT_SENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"})
_TOO_LONG = "answer too long"
_TOO_SLOW = "answer too slow"


class Transport:
    """One HTTP client for one host. Close it with `aclose`.

    `timeout` (seconds) bounds each wait for the host, four times as much a whole answer, which might drip; of a
    `stream` only its head. A 429 or 503 asking for at most
    `longest_pause` seconds is waited out here; a longer one is the caller's (Temporal's) to wait for.
    `backoff` is the unit in seconds of the pauses between attempts: 1, then 3 of them, as Microsoft's SDK does.

    Where a path is asked for, an absolute address of this host is taken as it is, to the letter: what Microsoft signed
    (the address of an operation) must come back unchanged. One of another host raises Malformed: it would get our
    token.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float = 15.0,
        backoff: float = 0.5,
        longest_pause: float = 5.0,
        ids: Ids = PARTNER_CENTER_IDS,
        wire: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        url = httpx.URL(base_url)
        self.host = url.netloc.decode("ascii")
        self._scheme = url.scheme
        self._ids = ids
        self._backoff = backoff
        self._longest_pause = longest_pause
        self._longest_exchange = 4 * timeout
        self._client = httpx.AsyncClient(
            base_url=url,
            timeout=httpx.Timeout(timeout, connect=min(timeout, 5.0)),
            # Connections are dropped before servers do it: a write on one just closed would look ambiguous.
            limits=httpx.Limits(max_connections=20, max_keepalive_connections=10, keepalive_expiry=3.0),
            headers={"Accept": "application/json", "Accept-Encoding": ENCODING},
            follow_redirects=False,
            # A proxy from the environment is for the internet, not for a simulator on this machine.
            trust_env=url.host not in LOOPBACK,
            transport=wire,
        )

    async def aclose(self) -> None:
        await self._client.aclose()

    def call(self, operation: str) -> Call:
        """A new operation, with its correlation id."""
        return Call(operation, self.host, str(uuid4()))

    async def get(
        self,
        call: Call,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        token: TokenSource | None = None,
    ) -> Answer:
        """Reads `path`. Tried up to ATTEMPTS times on a lost connection, a 5xx, or a 429 that asks for a short pause.

        Raises NotFound, Forbidden, Throttled, Rejected, Unavailable, Malformed; ConsentExpired from `token`.
        """
        return await self._send(call, "GET", path, ATTEMPTS, token, headers, params=params)

    async def write(
        self,
        call: Call,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        token: TokenSource | None = None,
        once: bool = False,
    ) -> Answer:
        """Writes once (PUT, PATCH, POST): a request that was sent is never sent again, unless it was refused for its
        token (401). `body` None sends none.

        With `once` not even then, for what moves money: the token is renewed for the next call, and Unavailable raised.

        Raises what `get` raises, Conflict, StaleETag, and Ambiguous when the outcome isn't known: the answer
        was lost or unreadable, or it was a 5xx, which says nothing about what was done before it.
        """
        return await self._send(call, method, path, 1, token, headers, params=params, json=body, once=once)

    async def ask(
        self,
        call: Call,
        path: str,
        body: Mapping[str, object],
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        token: TokenSource | None = None,
    ) -> Answer:
        """Posts a question that changes nothing at Microsoft, a price or a quote: retried like `get`."""
        return await self._send(call, "POST", path, ATTEMPTS, token, headers, params=params, json=body)

    async def stream(self, call: Call, path: str) -> AsyncGenerator[bytes]:
        """The bytes of a file as they come, never whole in memory. No token is sent: its address carries a signature.

        Once, without a retry; close it where it isn't read to its end. Raises what `get` raises, and Unavailable when
        the rest is lost.
        """
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        request = self._request(call, "GET", path, headers, str(uuid4()))
        started = time.monotonic()
        response, lost = None, ""
        try:
            async with asyncio.timeout(self._longest_exchange):
                response = await self._client.send(request, stream=True)
                body = b"" if response.is_success else (await read_body(response))[0]
            if not response.is_success:
                secrets = query_texts(request.url.query)
                raise failure(call, response.status_code, body, response.headers, secrets, write=False)
            # Raw: what is compressed here is the file itself, not its way.
            async for chunk in response.aiter_raw():
                yield chunk
        except httpx.HTTPError as error:
            lost = type(error).__name__
        except TimeoutError:
            lost = _TOO_SLOW
        finally:
            if response is not None:
                await response.aclose()
            self._log_call(call, response, lost, 1, started)
        if lost:
            _raise_lost(call, lost, sent=response is not None, write=False)

    async def redeem(self, call: Call, path: str, form: Mapping[str, str]) -> Answer:
        """Posts a form that changes nothing at Microsoft, a token request: retried like `get`."""
        return await self._send(call, "POST", path, ATTEMPTS, None, None, form=form)

    async def _send(
        self,
        call: Call,
        method: str,
        path: str,
        attempts: int,
        token: TokenSource | None,
        headers: Mapping[str, str] | None,
        *,
        params: Mapping[str, str | int] | None = None,
        json: Mapping[str, object] | None = None,
        form: Mapping[str, str] | None = None,
        once: bool = False,
    ) -> Answer:
        repeatable = attempts > 1
        request_id = str(uuid4())
        refused: SecretStr | None = None
        attempt = 0
        while True:
            attempt += 1
            bearer = await token(refused) if token else None
            authorization = {"Authorization": f"Bearer {bearer.get_secret_value()}"} if bearer else {}
            request = self._request(
                call,
                method,
                path,
                {**(headers or {}), **authorization},
                request_id,
                params=params,
                json=json,
                form=form,
            )
            response, body, lost = await self._exchange(call, request, attempt)
            # The head of a refusal is an answer even when its body broke off.
            if response is None or (lost and response.is_success):
                # Without an answer the same MS-RequestId goes out again: it is how Microsoft knows a repetition.
                if repeatable and attempt < attempts and lost not in (_TOO_LONG, _TOO_SLOW):
                    await asyncio.sleep(self._backoff * (2**attempt - 1))
                    continue
                _raise_lost(call, lost, sent=response is not None or lost not in _NOT_SENT, write=not repeatable)

            request_id = str(uuid4())
            status = response.status_code
            if status < HTTPStatus.MULTIPLE_CHOICES:
                return _accept(call, response, body, write=not repeatable)
            if status == HTTPStatus.UNAUTHORIZED and token and bearer and refused is None:
                # An expired or revoked token: the one answer that says for certain that nothing was done.
                if once:
                    await token(bearer)
                    raise call.failed(Unavailable, "the token was refused and nothing was done", status)
                refused, attempt = bearer, attempt - 1
                continue
            pause = asked_pause(status, response.headers, body)
            if repeatable and attempt < attempts and (status >= 500 or (status == 429 and pause is not None)):
                wait = self._backoff * (2**attempt - 1) if pause is None else pause.total_seconds()
                if wait <= self._longest_pause:
                    await asyncio.sleep(wait)
                    continue
            secrets = [
                *texts([json, form, headers, params]),
                *query_texts(request.url.query),
                *([bearer.get_secret_value()] if bearer else []),
            ]
            raise failure(call, status, body, response.headers, secrets, write=not repeatable)

    def _request(
        self,
        call: Call,
        method: str,
        path: str,
        headers: Mapping[str, str],
        request_id: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: Mapping[str, object] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> httpx.Request:
        try:
            url = httpx.URL(path)
        except (httpx.InvalidURL, ValueError):
            raise call.malformed("an address that is none") from None
        if url.is_absolute_url and (url.netloc.decode("ascii"), url.scheme) != (self.host, self._scheme):
            raise call.malformed("an address of another host")
        return self._client.build_request(
            method,
            url,
            params=dict(params) if params else None,
            json=json,
            data=dict(form) if form else None,
            headers={**headers, self._ids[0]: request_id, self._ids[1]: call.correlation_id},
        )

    async def _exchange(
        self, call: Call, request: httpx.Request, attempt: int
    ) -> tuple[httpx.Response | None, bytes, str]:
        """Sends once. Gives the answer's head (None if none came), its body, and what was lost ("" if nothing)."""
        started = time.monotonic()
        response, body, lost = None, b"", ""
        try:
            async with asyncio.timeout(self._longest_exchange):
                response = await self._client.send(request, stream=True)
                body, whole = await read_body(response)
            lost = _TOO_LONG if response.is_success and not whole else ""
        except httpx.HTTPError as error:
            lost = type(error).__name__
        except TimeoutError:
            lost = _TOO_SLOW
        finally:
            if response is not None:
                await response.aclose()
        self._log_call(call, response, lost, attempt, started)
        return response, body, lost

    def _log_call(self, call: Call, response: httpx.Response | None, lost: str, attempt: int, started: float) -> None:
        _log.info(
            "microsoft_call",
            operation=call.operation,
            host=call.host,
            status=response.status_code if response is not None else None,
            lost=lost or None,
            attempt=attempt,
            correlation_id=call.correlation_id,
            milliseconds=round((time.monotonic() - started) * 1000),
        )


def _raise_lost(call: Call, lost: str, *, sent: bool, write: bool) -> Never:
    if lost == _TOO_LONG and not write:
        raise call.malformed(f"longer than {LONGEST_ANSWER} bytes")
    if write and sent:
        raise call.failed(Ambiguous, f"the request was sent and its answer lost ({lost})")
    raise call.failed(Unavailable, f"no answer ({lost})")


def _accept(call: Call, response: httpx.Response, body: bytes, *, write: bool) -> Answer:
    if not body.strip():
        return Answer(call, response.status_code, None, response.headers)
    try:
        return Answer(call, response.status_code, parse_json(body), response.headers)
    except ValueError as error:
        reason = "not JSON" if isinstance(error, json.JSONDecodeError) else "not readable as JSON"
    description = f"{reason}: {len(body)} bytes of {content_type(response.headers)}"
    if write:
        # Whatever answered, a proxy perhaps, it doesn't tell us that Microsoft did it.
        raise call.failed(Ambiguous, description, response.status_code)
    raise call.malformed(description, response.status_code)
