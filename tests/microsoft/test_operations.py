"""Operations that Microsoft does later: how often they are looked at, and in which shapes their end is told."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from microsoft.errors import Ambiguous, Forbidden, Malformed, MicrosoftError, Rejected, SupportPlanTooLow
from microsoft.operations import PAUSE_UNSAID, Operation, look, wait_for
from tests.microsoft.stand_ins import HOST, Script, fixed_token

URL = f"{HOST}/operations/1"


async def looked_at(answer: httpx.Response) -> Operation:
    http = Script([answer]).transport()
    return await look(http, http.call("look at operation"), URL, fixed_token)


async def failed(body: object) -> MicrosoftError:
    with pytest.raises(MicrosoftError) as caught:
        await looked_at(httpx.Response(200, json=body))
    return caught.value


async def pauses_before(looks: list[Operation], monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How many seconds are waited before each of these looks and the one that finds it done."""
    pauses: list[float] = []

    async def passed(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", passed)
    left = [*looks, Operation(URL, "succeeded", timedelta())]

    async def again() -> Operation:
        return left.pop(0)

    assert (await wait_for(left.pop(0), again, longest=timedelta(hours=1))).is_over
    return pauses


def running(pause: timedelta = PAUSE_UNSAID, *, said: bool = False) -> Operation:
    return Operation(URL, "inprogress", pause, is_pause_said=said)


async def test_where_no_pause_is_said_the_looks_get_rarer_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = await pauses_before([running() for _ in range(100)], monkeypatch)
    assert pauses == [1, 2, 4, 8, 16] + [30] * 95


async def test_a_pause_that_was_said_is_kept_and_makes_the_others_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [running(timedelta(seconds=7), said=True) for _ in range(100)]
    assert await pauses_before([*said, running(), running()], monkeypatch) == [7] * 100 + [1, 2]


async def test_a_pause_of_nothing_is_still_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await pauses_before([running(timedelta(), said=True)], monkeypatch) == [0.1]


PLAN = "You need access to our high tier-support plans"


@pytest.mark.parametrize(
    "body",
    [
        {"status": "Failed", "Error": {"Code": "BadRequest", "Message": PLAN}},
        {"Status": "Failed", "error": {"code": "BadRequest", "message": "No.", "details": [{"Message": PLAN}]}},
        {"status": "Failed", "error": {"innererror": {"code": "BadRequest", "message": PLAN}}},
        {"status": "Failed", "error": PLAN},
    ],
)
async def test_a_reason_is_found_wherever_it_stands(body: object) -> None:
    error = await failed(body)
    assert isinstance(error, SupportPlanTooLow)
    assert PLAN in str(error)


@pytest.mark.parametrize(
    ("reason", "expected", "code"),
    [
        ("ServiceUnavailable", Ambiguous, "ServiceUnavailable"),
        ({"code": "ServiceUnavailable", "details": [{"code": "More", "message": "Later."}]}, Ambiguous, None),
        ({"Code": "AuthorizationFailed", "Message": "No right."}, Forbidden, "AuthorizationFailed"),
        ({"code": "", "details": [{"code": "RefundLimitExceeded"}]}, Rejected, "RefundLimitExceeded"),
        ({"code": 17, "details": "x", "innererror": ["x"]}, Rejected, "17"),
        (["x"], Rejected, ""),
        (None, Rejected, ""),
    ],
)
async def test_a_failed_operation_is_sorted_by_its_code(
    reason: object, expected: type[MicrosoftError], code: str | None
) -> None:
    error = await failed({"status": "Failed", "error": reason})
    assert type(error) is expected
    assert code is None or error.code == code


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (httpx.Response(202), "accepted"),
        (httpx.Response(202, json={"id": "/x"}), "accepted"),
        (httpx.Response(202, json={"status": "InProgress"}), "inprogress"),
        (httpx.Response(204), "succeeded"),
        (httpx.Response(200, json={"id": "/x", "properties": {"title": "Credit"}}), "succeeded"),
        (httpx.Response(200, json={"STATUS": "Succeeded"}), "succeeded"),
    ],
)
async def test_what_a_location_answers_is_understood_too(answer: httpx.Response, status: str) -> None:
    assert (await looked_at(answer)).status == status


async def test_an_empty_200_tells_nothing() -> None:
    with pytest.raises(Malformed):
        await looked_at(httpx.Response(200))
