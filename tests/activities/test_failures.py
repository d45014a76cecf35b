"""When Temporal repeats what Microsoft didn't do."""

from datetime import timedelta

import httpx
import pytest

from activities.failures import failure
from microsoft.errors import MicrosoftError
from tests.microsoft.stand_ins import Script


async def refused(method: str, status: int, headers: dict[str, str]) -> MicrosoftError:
    http = Script([httpx.Response(status, headers=headers)]).transport(longest_pause=-1.0)
    asked = http.get(http.call("read"), "/x") if method == "GET" else http.write(http.call("write"), method, "/x")
    with pytest.raises(MicrosoftError) as caught:
        await asked
    return caught.value


@pytest.mark.parametrize(
    ("method", "status", "headers", "seconds"),
    [
        ("GET", 503, {"Retry-After": "120"}, 120),
        ("GET", 429, {"Retry-After": "57"}, 57),
        ("GET", 429, {}, 30),
        ("PATCH", 503, {"Retry-After": "120"}, 120),
        # What was written may not be seen yet.
        ("PATCH", 503, {"Retry-After": "1"}, 30),
        ("PATCH", 503, {}, 30),
    ],
)
async def test_a_pause_that_microsoft_asks_for_is_kept(
    method: str, status: int, headers: dict[str, str], seconds: int
) -> None:
    assert failure(await refused(method, status, headers)).next_retry_delay == timedelta(seconds=seconds)


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "0"}])
async def test_without_a_pause_it_is_temporals_own(headers: dict[str, str]) -> None:
    assert failure(await refused("GET", 503, headers)).next_retry_delay is None
