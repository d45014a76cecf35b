"""Work that Microsoft accepts with a 202 and does later: where it is asked for, what it says, how long to wait.

The address of an operation carries a signature of over 3 KB (facts 2.3): it is kept and asked for to the letter.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import model_validator

from microsoft.answers import Answer, Call, failed_operation, read
from microsoft.fields import Raw, Resource, Text, Word
from microsoft.transport import TokenSource, Transport

PAUSE_UNSAID = timedelta(seconds=30)
"""Between two looks where Microsoft doesn't say how long to wait: what its own command line waits (facts 2.3)."""

_FIRST_PAUSE = timedelta(seconds=1)
_SHORTEST_PAUSE = timedelta(milliseconds=100)
_FAILED = frozenset({"failed", "canceled", "cancelled"})


class OperationError(Resource):
    """Why an operation failed. ARM and Graph write it in camelCase, support also in PascalCase; a text alone counts
    too. `message` takes in what the error's `details` and `innererror` say: the reason may stand there only."""

    code: Text = ""
    message: Text = ""

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, value: object) -> object:
        if isinstance(value, str):
            return {"message": value} if " " in value else {"code": value}
        fields = _lower_keys(value)
        details = fields.get("details")
        parts = [fields, *(details if isinstance(details, list) else []), fields.get("innererror")]
        said = [_lower_keys(part) for part in parts]
        codes, messages = (
            [str(each[key]) for each in said if isinstance(each.get(key), str | int) and each[key]]
            for key in ("code", "message")
        )
        return {"code": codes[0] if codes else "", "message": "; ".join(dict.fromkeys(messages))}


def _lower_keys(value: object) -> Raw:
    return {str(key).lower(): each for key, each in value.items()} if isinstance(value, dict) else {}


class _Status(Resource):
    status: Word = ""
    error: OperationError | None = None
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
    """One look at an operation. Raises what `failed_operation` gives where it failed, and what `Transport.get` does.

    A `Location` gives no status of an operation: 202 is under way, 204 or the resource itself is done (facts 4.4).
    """
    answer = await http.get(call, url, token=token)
    body = answer.data
    if body is None and answer.status in (202, 204):
        body = {}
    said = read(_Status, _lower_keys(body) if isinstance(body, dict) else body, call)
    if said.status in _FAILED:
        error = said.error or OperationError()
        raise failed_operation(call, error.code, error.message)
    status = said.status
    if not status and answer.status == 202:
        status = "accepted"
    elif not status and (answer.status == 204 or said.properties is not None):
        status = "succeeded"
    if not status:
        raise call.malformed("an operation without a status", answer.status)
    return Operation(url, status, *_pause_and_data(answer))


async def wait_for(
    started: Operation, look_again: Callable[[], Awaitable[Operation]], *, longest: timedelta
) -> Operation:
    """Look until the operation is over, as often as Microsoft asks; where it doesn't say, after a second at first and
    ever less often. Raises TimeoutError after `longest`."""
    async with asyncio.timeout(longest.total_seconds()):
        now, unsaid = started, _FIRST_PAUSE
        while not now.is_over:
            pause = now.pause
            if not now.is_pause_said:
                pause, unsaid = unsaid, min(unsaid * 2, PAUSE_UNSAID)
            await asyncio.sleep(max(pause, _SHORTEST_PAUSE).total_seconds())
            now = await look_again()
    return now


def _pause_and_data(answer: Answer) -> tuple[timedelta, object, bool]:
    said = answer.retry_after
    return (PAUSE_UNSAID if said is None else said), answer.data, said is not None
