"""Trouble on purpose, and the count of calls. Both live in memory only: a restart clears them."""

import asyncio
import random
import re
from collections import Counter
from typing import Annotated, Literal

from pydantic import Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulator.models import Model
from simulator.wire import error_body, reply, throttled_body

WITH_ID = re.compile(r"(?<=/)(customers|subscriptions|servicerequests|invoices)/[^/]+")


class Fault(Model):
    """A fault, and the calls it befalls: those of `method` ("*" is any) whose path begins with `path`.

    `throttle` answers 429 with `Retry-After: seconds`; `error` answers `status`; `slow` waits `seconds` first; `drop`
    cuts the connection without a byte. `when: after` lets the call do its work before it is answered with an error or
    dropped. `times` is how often it happens (null: until it is cleared), `rate` how likely it is, drawn from `seed`.
    """

    kind: Literal["throttle", "error", "slow", "drop"]
    method: str = "*"
    path: str = "/v1/"
    times: Annotated[int, Field(ge=1)] | None = 1
    rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: int = 0
    seconds: Annotated[float, Field(ge=0)] = 1
    status: Annotated[int, Field(ge=400, le=599)] = 503
    when: Literal["before", "after"] = "before"


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
            if fault.method not in ("*", method) or not path.startswith(fault.path) or dice.random() >= fault.rate:
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
            await asyncio.sleep(fault.seconds)
            await self._app(scope, receive, send)
        elif fault.kind == "throttle":
            seconds = int(fault.seconds)
            await reply(throttled_body(seconds), 429, {"Retry-After": str(seconds)})(scope, receive, send)
        else:
            if fault.when == "after":
                await self._app(scope, receive, swallow)
            if fault.kind == "drop":
                await drop(receive)
            else:
                body = error_body(str(fault.status), "The service is not available. Try again later.")
                await reply(body, fault.status)(scope, receive, send)


def template(path: str) -> str:
    """The path with ids taken out, so that calls to one endpoint count as one."""
    if path.startswith("/v1/"):
        return WITH_ID.sub(r"\1/{id}", path)
    tenant, slash, rest = path[1:].partition("/")
    return f"/{{tenant}}/{rest}" if slash and len(tenant) == 36 else path


async def swallow(message: Message) -> None:
    """A `send` into nowhere: the work is done, the answer is lost."""


async def drop(receive: Receive) -> None:
    """Cuts the connection, as the caller sees it: no answer, not even a broken one.

    ASGI has no word for that, so this takes the transport from uvicorn's own `receive`. Without uvicorn it raises
    `ConnectionResetError`, which an in-process transport hands to the caller.
    """
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    if not isinstance(transport, asyncio.Transport):
        raise ConnectionResetError("the simulator dropped the connection")
    transport.abort()
    while (await receive())["type"] != "http.disconnect":  # uvicorn would answer 500 while it believes someone is there
        pass
