"""Trouble on purpose, and the count of calls. Both live in memory only: a restart clears them."""

import asyncio
import random
import re
import uuid
from collections import Counter
from datetime import UTC, datetime
from http.client import responses
from typing import Annotated, Literal, Self

from fastapi import Response
from pydantic import Field, model_validator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulator.azure import AzureError, is_azure
from simulator.entra import EntraError
from simulator.models import Model
from simulator.wire import PartnerCenterError, instant, reply, throttled_body

PARTNER_CENTER_PATHS, GRAPH_PATHS = "/v1/", "/v1.0/"
NOT_AVAILABLE = "The service is not available. Try again later."
TOO_MANY = "Too many requests. Try again later."

WITH_ID = re.compile(
    r"(?<=/)(customers|subscriptions|azureEntitlements|servicerequests|invoices"
    r"|reservationOrders|reservations|roleAssignments|operationResults|operationsStatus|operations|manifests"
    r"|services|problemClassifications|supportTickets|communications|fileWorkspaces|files)/[^/]+",
    re.IGNORECASE,
)


class Fault(Model):
    """A fault, and the calls it befalls: those of `method` ("*" is any) whose path begins with `path`, a regular
    expression that ignores case (`/subscriptions/.+/supportTickets/[^/]+$`).

    `throttle` answers 429 with `Retry-After: seconds`; `error` answers `status`; `slow` takes `seconds` longer; `drop`
    cuts the connection without a byte, or with `at_byte` after so many bytes of the answer, its head included. Errors
    have the shape of the host that the path belongs to; Partner Center's throttle has two, by `throttled_by`.

    `when: after` lets the call do its work before its answer is an error, late or lost; at a byte it always has. An
    answer that is shorter than `at_byte` arrives whole. `times` is how often it happens (null: until it is cleared),
    `rate` how likely it is, drawn from `seed`.
    """

    kind: Literal["throttle", "error", "slow", "drop"]
    method: str = "*"
    path: re.Pattern[str] = re.compile(PARTNER_CENTER_PATHS)
    times: Annotated[int, Field(ge=1)] | None = 1
    rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: int = 0
    seconds: Annotated[float, Field(ge=0)] = 1
    status: Annotated[int, Field(ge=400, le=599)] = 503
    when: Literal["before", "after"] = "before"
    at_byte: Annotated[int, Field(ge=0)] | None = None
    throttled_by: Literal["gateway", "service"] = "gateway"

    @model_validator(mode="after")
    def _only_a_drop_has_a_byte(self) -> Self:
        if self.at_byte is not None:
            if self.kind != "drop":
                raise ValueError("at_byte is for a drop only")
            self.when = "after"
        return self

    def befalls(self, method: str, path: str) -> bool:
        """Whether it is meant for this call."""
        return self.method in ("*", method) and re.match(self.path.pattern, path, re.IGNORECASE) is not None


class Faults:
    """The faults set now, each with its own dice. The first that befalls a call is the one it meets."""

    def __init__(self) -> None:
        self._set: list[tuple[Fault, random.Random]] = []

    def add(self, fault: Fault) -> None:
        """Sets a fault."""
        self._set.append((fault.model_copy(), random.Random(fault.seed)))  # noqa: S311 - repeatable is the point

    def clear(self) -> None:
        """Forgets every fault."""
        self._set.clear()

    def set_now(self) -> list[Fault]:
        """The faults set now, with the times each has left."""
        return [fault for fault, _ in self._set]

    def met_by(self, method: str, path: str) -> Fault | None:
        """The fault this call meets; counts it."""
        for fault, dice in self._set:
            if not fault.befalls(method, path) or dice.random() >= fault.rate:
                continue
            if fault.times is not None:
                fault.times -= 1
                self._set = [(one, its) for one, its in self._set if one.times != 0]
            return fault
        return None


class Trouble:
    """ASGI middleware, the outermost: counts calls and lets faults happen. The side door is never touched."""

    def __init__(self, app: ASGIApp, faults: Faults, calls: Counter[str]) -> None:
        self._app, self._faults, self._calls = app, faults, calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/_simulator"):
            await self._app(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        self._calls[f"{method} {template(path)}"] += 1
        fault = self._faults.met_by(method, path)
        if fault is None:
            await self._app(scope, receive, send)
        elif fault.kind == "slow":
            await self._slowly(fault, scope, receive, send)
        elif fault.at_byte is not None and cut_later(receive, fault.at_byte):
            await self._app(scope, receive, send)
        else:
            if fault.when == "after":
                await self._app(scope, receive, swallow)
            if fault.kind == "drop":
                await drop(receive)
            else:
                await refusal(fault, path)(scope, receive, send)

    async def _slowly(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        async def late(message: Message) -> None:
            if fault.when == "after" and message["type"] == "http.response.start":
                await asyncio.sleep(fault.seconds)
            await send(message)

        if fault.when == "before":
            await asyncio.sleep(fault.seconds)
        await self._app(scope, receive, late)


class Cut:
    """A connection as uvicorn writes to it, which ends after `left` more bytes."""

    def __init__(self, transport: asyncio.Transport, left: int) -> None:
        self._transport, self._left = transport, left
        self.close, self.is_closing = transport.close, transport.is_closing

    def write(self, data: bytes) -> None:
        """Writes what may still be written."""
        if self._left > 0:
            self._transport.write(data[: self._left])
        self._left -= len(data)
        if self._left < 0:
            self.close()


def refusal(fault: Fault, path: str) -> Response:
    """The throttle or error as the host of this path writes it."""
    throttled = fault.kind == "throttle"
    status, message = (429, TOO_MANY) if throttled else (fault.status, NOT_AVAILABLE)
    name = responses.get(status, "Error").replace(" ", "")
    now = datetime.now(UTC)
    if is_azure(path):
        answer = AzureError(status, name, message).response()
    elif path.startswith(GRAPH_PATHS):
        inner = {"date": instant(now, zone=""), "request-id": str(uuid.uuid4())}
        answer = reply({"error": {"code": name, "message": message, "innerError": inner}}, status)
    elif not path.startswith(PARTNER_CENTER_PATHS):
        answer = EntraError(status, "temporarily_unavailable", 90033, message).response(instant(now).replace("T", " "))
    elif throttled and fault.throttled_by == "gateway":
        answer = reply(throttled_body(int(fault.seconds)), status)
    else:
        answer = PartnerCenterError(status, str(status), message).response()
    if throttled:
        answer.headers["Retry-After"] = str(int(fault.seconds))
    return answer


def template(path: str) -> str:
    """The path with ids taken out, so that calls to one endpoint count as one."""
    if path.startswith((PARTNER_CENTER_PATHS, GRAPH_PATHS)) or is_azure(path):
        return WITH_ID.sub(r"\1/{id}", path)
    tenant, slash, rest = path[1:].partition("/")
    return f"/{{tenant}}/{rest}" if slash and len(tenant) == 36 else path


async def swallow(message: Message) -> None:
    """A `send` into nowhere: the work is done, the answer is lost."""


def connection(receive: Receive) -> asyncio.Transport | None:
    """The caller's connection, which ASGI has no word for: taken from uvicorn's own `receive`, None without uvicorn."""
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    return transport if isinstance(transport, asyncio.Transport) else None


def cut_later(receive: Receive, length: int) -> bool:
    """Sees to it that the answer to this one call ends after `length` bytes. False, and nothing, without uvicorn."""
    transport = connection(receive)
    if transport is not None:
        receive.__self__.transport = Cut(transport, length)  # type: ignore[attr-defined]  # it is uvicorn's, see above
    return transport is not None


async def drop(receive: Receive) -> None:
    """Cuts the connection, as the caller sees it: no answer, not even a broken one.

    Without uvicorn it raises `ConnectionResetError`, which an in-process transport hands to the caller.
    """
    transport = connection(receive)
    if transport is None:
        raise ConnectionResetError("the simulator dropped the connection")
    transport.abort()
    while (await receive())["type"] != "http.disconnect":  # uvicorn would answer 500 while it believes someone is there
        pass
