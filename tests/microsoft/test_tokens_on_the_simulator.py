"""Tokens against the simulated Entra ID: processes killed while a refresh token is rotated, tokens that expire."""

# ruff: noqa: ASYNC240 - a test may wait for its disk

import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from microsoft.identity import PARTNER_CENTER, Identity
from microsoft.partner_center import PartnerCenter
from microsoft.support import Place, Support
from microsoft.transport import Transport
from tests.microsoft.every_operation import TICKET
from tests.simulated import Simulator, running_simulator

ROTATION = """
import asyncio, os, signal, sys, tempfile
from pathlib import Path
from pydantic import SecretStr
from microsoft.identity import PARTNER_CENTER, Identity
from microsoft.transport import Transport

url, tenant, client, secret, file, moment = sys.argv[1:]

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

setattr(*{"received": (tempfile, "mkstemp"), "half stored": (os, "replace")}[moment], die)
who = Identity(
    Transport(url), tenant=tenant, client_id=client, client_secret=SecretStr(secret), refresh_token_file=Path(file)
)
asyncio.run(who.token(PARTNER_CENTER))
"""


def at_the_simulator(
    simulator: Simulator, http: Transport, file: Path, clock: Callable[[], float] = time.time
) -> Identity:
    return Identity(
        http,
        tenant=simulator.seed["tenant"],
        client_id=simulator.seed["client_id"],
        client_secret=SecretStr(simulator.seed["client_secret"]),
        refresh_token_file=file,
        clock=clock,
    )


@pytest.fixture
async def http(simulator: Simulator) -> AsyncIterator[Transport]:
    transport = Transport(simulator.url, backoff=0.01)
    yield transport
    await transport.aclose()


@pytest.mark.parametrize(("moment", "left_over"), [("received", 0), ("half stored", 1)])
async def test_after_a_kill_in_the_middle_of_a_rotation_a_new_process_goes_on(
    simulator: Simulator, http: Transport, tmp_path: Path, moment: str, left_over: int
) -> None:
    file = tmp_path / "refresh-token"
    file.write_text(simulator.seed["refresh_token"])
    file.chmod(0o600)
    names = simulator.seed
    for killed in range(2):
        arguments = [simulator.url, names["tenant"], names["client_id"], names["client_secret"], str(file), moment]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", ROTATION, *arguments), cwd=Path(__file__).parents[2], stderr=subprocess.PIPE
        )
        _, said = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == -signal.SIGKILL, said
        assert file.read_text() == names["refresh_token"]
        left = [each for each in tmp_path.iterdir() if each != file]
        assert len(left) == left_over, killed
        for each in left:
            assert stat.S_IMODE(each.stat().st_mode) == 0o600
            long_ago = time.time() - 120
            os.utime(each, (long_ago, long_ago))

    if left_over:
        # As another process leaves it for a moment while it stores a token of its own.
        (under_way := tmp_path / left[0].name.replace("refresh-token.", "refresh-token.1")).touch()
    partner_center = PartnerCenter(http, at_the_simulator(simulator, http, file))
    assert [page async for page in partner_center.customers()]
    assert file.read_text() not in ("", names["refresh_token"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {each for each in tmp_path.iterdir() if each != file} == ({under_way} if left_over else set())

    first = file.read_text()
    await at_the_simulator(simulator, http, file).token(PARTNER_CENTER)
    assert file.read_text() != first


@pytest.mark.parametrize("clock", ["right", "stopped"])
async def test_a_poll_outlives_the_token_it_began_with(tmp_path: Path, clock: str) -> None:
    """Tokens of two seconds, an operation of three. On a clock that stands still the token looks good for ever, and
    only Microsoft's 401 tells that it isn't."""
    with running_simulator(tmp_path, SIMULATOR_TOKEN_SECONDS="2", SIMULATOR_TIME_SCALE="0.15") as simulator:
        plan = simulator.seed["subscriptions"]["azure_plan"]
        place = Place(plan["customer_id"], plan["azure_subscriptions"][0])
        (file := tmp_path / "refresh-token").write_text(simulator.seed["refresh_token"])
        http = Transport(simulator.url)
        support = Support(http, at_the_simulator(simulator, http, file, time.time if clock == "right" else lambda: 0.0))
        classification = await support.classification(place.tenant, "Billing", "refund", "request")
        started = await support.create(place, "ticket-1", TICKET.model_copy(update={"classification": classification}))
        assert started is not None
        looks = 0
        with capture_logs() as logs:
            while not (await support.look(place, started.url)).is_over:
                looks += 1
                await asyncio.sleep(0.2)
        await http.aclose()
        assert looks >= 5
        fetched = [line for line in logs if line["operation"] == "redeem token"]
        turned_down = [line for line in logs if line["status"] == 401]
        assert fetched
        assert bool(turned_down) or clock == "right"
        assert len(simulator.door.get("/azure-tickets").json()["tickets"]) == 1
