"""Work that Microsoft accepts with a 202 and does later: where it is asked for, what it says, how long to wait.

The address of an operation carries a signature of over 3 KB (facts 2.3): it is kept and asked for to the letter.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator

from microsoft.answers import Answer, Call, failed_operation
from microsoft.fields import Raw, Resource, Text, Word
from microsoft.transport import TokenSource, Transport

PAUSE_UNSAID = timedelta(seconds=30)
"""Between two looks where Microsoft doesn't say how long to wait: what its own command line waits (facts 2.3)."""

_FIRST_PAUSE = timedelta(seconds=1)
_SHORTEST_PAUSE = timedelta(milliseconds=100)
_FAILED = frozenset({"failed", "canceled", "cancelled"})


class OperationError(Resource):
    """Why an operation failed. ARM and Graph write it in camelCase, support also in PascalCase."""

    code: Text = ""
    message: Text = ""


def _lower_keys(value: object) -> object:
    return {str(key).lower(): each for key, each in value.items()} if isinstance(value, dict) else value


class _Status(Resource):
    status: Word = ""
    error: Annotated[OperationError | None, BeforeValidator(_lower_keys)] = None
    properties: Raw | None = None


@dataclass(frozen=True)
class Operation:
    """An operation as it stood when it was asked for. `status` is Microsoft's word in lower case (`inprogress`,
    `pendingpurchases`, `succeeded`, `failed`); `data` is the whole answer; `pause` is how long to wait before the next
    look, which Microsoft mostly, but not always, says."""

    url: str
    status: str
    pause: timedelta
    data: object = field(default=None, repr=False)
    is_pause_said: bool = True

    @property
    def is_over(self) -> bool:
        """True once it succeeded; one that failed is raised as an exception."""
        return self.status == "succeeded"


def accepted(answer: Answer) -> Operation | None:
    """The operation that a 202 tells of; None for an answer that is the result itself.

    `Azure-AsyncOperation` goes before `Location`. Raises Malformed for a 202 that names neither.
    """
    if answer.status != 202:
        return None
    url = answer.headers.get("azure-asyncoperation") or answer.headers.get("location") or ""
    if not url:
        raise answer.call.malformed("accepted, but it doesn't say where its outcome is asked for", answer.status)
    return Operation(url, "accepted", *_pause_and_data(answer))


async def look(http: Transport, call: Call, url: str, token: TokenSource) -> Operation:
    """One look at an operation. Raises what `failed_operation` gives where it failed, and what `Transport.get` does."""
    answer = await http.get(call, url, token=token)
    said = answer.read(_Status)
    if said.status in _FAILED:
        error = said.error or OperationError()
        raise failed_operation(call, error.code, error.message)
    if not said.status:
        raise call.malformed("an operation without a status", answer.status)
    return Operation(url, said.status, *_pause_and_data(answer))


async def wait_for(
    started: Operation, look_again: Callable[[], Awaitable[Operation]], *, longest: timedelta
) -> Operation:
    """Look until the operation is over, as often as Microsoft asks; where it doesn't say, after a second at first and
    ever less often. Raises TimeoutError after `longest`."""
    async with asyncio.timeout(longest.total_seconds()):
        now, unsaid = started, _FIRST_PAUSE
        while not now.is_over:
            pause = now.pause if now.is_pause_said else min(unsaid, now.pause)
            await asyncio.sleep(max(pause, _SHORTEST_PAUSE).total_seconds())
            now, unsaid = await look_again(), unsaid * 2
    return now


def _pause_and_data(answer: Answer) -> tuple[timedelta, object, bool]:
    said = answer.retry_after
    return (PAUSE_UNSAID if said is None else said), answer.data, said is not None
